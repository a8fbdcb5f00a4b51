from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons
from learning.finetune import Examples, Plan, Progress, calibration, finetune, memory, tuning
from learning.finetune.calibration import Held
from learning.finetune.train_model import rate_at
from learning.finetune.train_state import Teller
from learning.heads import LinearBT
from tests.learning.finetune import tinymodels

LABELS = tinymodels.examples(60)


@given(st.integers(1, 12), st.integers(0, 3))
def test_folds_keep_groups_whole_and_hold_every_label_out_once(count, seed):
    folds = tuning.folds_of(LABELS, count, seed)
    for fold in folds:
        assert not set(LABELS.group[fold.train]) & set(LABELS.group[fold.test])
        assert sorted([*fold.train, *fold.test]) == list(range(60))
    held = np.concatenate([fold.test for fold in folds])
    assert len(np.unique(held)) == len(held)
    if count == 1:
        assert 0 < len(held) <= 0.2 * 60 + 3
    else:
        assert len(held) == 60


def test_one_group_cannot_be_held_out():
    data = Comparisons.of([0], [1], [1])
    assert tuning.folds_of(Examples.of(["p", "p"], ["a", "b"], data), 3, 0) == []


def test_folds_without_a_decisive_label_are_left_out():
    data = Comparisons.of([0, 2, 4], [1, 3, 5], [1, 0, -1])
    names = ["p", "p", "q", "q", "r", "r"]
    folds = tuning.folds_of(Examples.of(names, list("abcdef"), data), 3, 0)
    assert len(folds) == 2
    assert all(data.decisive[fold.test].any() for fold in folds)


def planted(n, *, overfit, seed=0, dim=12):
    """Features that know the answer to training labels better than to new ones, or do not."""
    rng = np.random.default_rng(seed)
    left, right = np.arange(n), np.arange(n) + n
    phi = rng.normal(size=(2 * n, dim))
    margin = phi[left, 0] - phi[right, 0]
    outcome = np.where(rng.random(n) < 1 / (1 + np.exp(-margin)), 1, -1)
    train = np.arange(n) < n // 2
    told = overfit * outcome * train + rng.normal(size=n) * 0.5
    phi[left, 1], phi[right, 1] = told, -told
    data = Comparisons.of(left, right, outcome)
    plain = rng.normal(size=(2 * n, 2)).astype(np.float32)
    return Held(phi.astype(np.float32), plain, data.subset(train), data.subset(~train))


def test_features_that_know_the_labels_too_well_get_a_stronger_prior():
    folds = [planted(400, overfit=3.0, seed=seed) for seed in range(2)]
    found = calibration.prior_precision(folds)
    assert found["prior_precision"] is not None
    assert found["log_loss"] < found["evidence_log_loss"] - 0.01


def test_where_the_evidence_does_as_well_it_stands():
    found = calibration.prior_precision([planted(1200, overfit=0.0)])
    assert found["prior_precision"] is None
    assert found["log_loss"] == pytest.approx(found["evidence_log_loss"], abs=2e-3)


def told_apart(fold, precision):
    """Log-loss of held-out labels under a fixed precision, each block scaled to 1 a pair."""
    pairs = np.concatenate([fold.train.pairs, fold.test.pairs])
    spread = [np.square(b[pairs[:, 0]] - b[pairs[:, 1]]) for b in (fold.features, fold.surface)]
    embedded = fold.features / np.sqrt(spread[0].sum(axis=1).mean())
    surface = fold.surface / np.sqrt(2 * spread[1].mean(axis=0))  # two columns
    phi = np.hstack([embedded, surface]).astype(np.float64)
    belief = LinearBT().fit(phi, fold.train, prior_precision=precision)
    mu, s2 = belief.margin(phi, fold.test.pairs)
    return float(-np.log(belief.preference(mu * fold.test.outcome, s2)).mean())


def test_a_precision_is_the_most_probable_of_the_grid():
    folds = [planted(200, overfit=2.0, seed=seed) for seed in range(2)]
    found = calibration.prior_precision(folds)
    losses = [
        sum(len(fold.test) * told_apart(fold, one) for fold in folds)
        for one in calibration.PRECISIONS
    ]
    usual = [0.5 * ((np.log10(one) - 0.5) / 0.6) ** 2 for one in calibration.PRECISIONS]
    best = int(np.argmin(np.add(losses, usual)))
    assert found["prior_precision"] == calibration.PRECISIONS[best]
    assert found["log_loss"] == pytest.approx(losses[best] / 200, abs=1e-4)


def test_what_a_few_labels_happen_to_like_is_not_taken_for_certain():
    """Every label of the ten that are held out is as the features say: no prior looks best."""
    fold = planted(400, overfit=0.0)
    margin = fold.features[fold.test.left, 0] - fold.features[fold.test.right, 0]
    clear = np.flatnonzero(margin * fold.test.outcome > 1.0)[:10]
    lucky = replace(fold, test=fold.test.subset(clear))
    losses = [told_apart(lucky, one) for one in calibration.PRECISIONS]
    assert calibration.PRECISIONS[int(np.argmin(losses))] < 0.05
    chosen = calibration.prior_precision([lucky])["prior_precision"]
    assert chosen is None or 0.3 < chosen < 20


def test_heads_are_tried_on_what_they_will_see():
    """Surface features that tell everything: without them, a strong prior would look best."""
    fold = planted(400, overfit=3.0)
    data = Comparisons.of(
        np.r_[fold.train.left, fold.test.left],
        np.r_[fold.train.right, fold.test.right],
        np.r_[fold.train.outcome, fold.test.outcome],
    )
    told = np.zeros((len(fold.features), 2), np.float32)
    told[data.left, 0], told[data.right, 0] = data.outcome, -data.outcome
    with_it = calibration.prior_precision([replace(fold, surface=told)])
    without = calibration.prior_precision([fold])
    assert with_it["log_loss"] < 0.2 < without["log_loss"]


def test_without_folds_nothing_is_said():
    assert calibration.prior_precision([])["prior_precision"] is None


def asked(n, *, sure, seed=0):
    """Margins of a model that is too sure by this factor, and what people said."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n) * 2
    outcome = np.where(rng.random(n) < 1 / (1 + np.exp(-truth)), 1, -1)
    return truth * sure, outcome


@pytest.mark.parametrize("sure", [0.5, 1.0, 3.0])
def test_margins_that_are_too_sure_get_a_temperature(sure):
    margin, outcome = asked(20_000, sure=sure)
    assert calibration.temperature(margin, outcome) == pytest.approx(sure, rel=0.05)


def test_a_temperature_is_the_best_of_a_grid():
    margin, outcome = asked(200, sure=2.0, seed=1)
    grid = np.logspace(-1, 1, 2_001)
    losses = [np.logaddexp(0, -margin * outcome / one).mean() for one in grid]
    best = grid[int(np.argmin(losses))]
    assert calibration.temperature(margin, outcome) == pytest.approx(best, rel=2e-3)


def test_ties_and_too_few_labels_give_no_temperature():
    margin, outcome = asked(29, sure=3.0)
    more = np.concatenate([margin, np.full(50, 9.0)]), np.concatenate([outcome, np.zeros(50, int)])
    assert calibration.temperature(margin, outcome) == calibration.temperature(*more) == 1.0


def test_a_temperature_stays_within_bounds():
    margin = np.linspace(0.1, 1.0, 40)
    right, wrong = np.ones(40, int), -np.ones(40, int)
    assert 0.05 <= calibration.temperature(margin, right) < 0.06
    assert 19 < calibration.temperature(margin, wrong) <= 20


def test_a_probe_gives_the_heads_margins_on_the_raw_features():
    held = planted(200, overfit=0.0)
    raw = held.features * 7 + 3
    probe = calibration.probe(raw, held.train)
    scaling = calibration.Standardizer.fit(raw, None, held.train.pairs)
    phi = scaling.transform(raw, None)
    belief = LinearBT().fit(phi, held.train)
    rewards = raw.astype(np.float64) @ probe.weight + probe.bias
    left, right = held.test.pairs.T
    expected, _ = belief.margin(phi.astype(np.float64), held.test.pairs)
    np.testing.assert_allclose(rewards[left] - rewards[right], expected, atol=1e-4)
    assert abs(rewards.mean()) < 1e-4


def test_epochs_are_those_of_the_least_loss_out_of_fold(bert_folder, tmp_path):
    plan = Plan(max_epochs=3, folds=2, batch=8, max_tokens=64, learning_rate=1e-3)
    record = finetune(bert_folder, LABELS, plan, folder=tmp_path).record
    by_epoch = record["out_of_fold"]["by_epoch"]
    assert len(by_epoch) == 4
    assert record["epochs"] == 1 + int(np.argmin(by_epoch[1:]))
    assert record["out_of_fold"]["log_loss"] == by_epoch[record["epochs"]]
    decisive = int(LABELS.comparisons.decisive.sum())
    assert record["out_of_fold"]["held_out"] == decisive


def test_a_fold_that_gets_worse_stops(bert_folder, tmp_path):
    plan = Plan(max_epochs=50, folds=1, batch=8, max_tokens=64, learning_rate=0.02)
    rng = np.random.default_rng(0)
    data = LABELS.comparisons
    noise = Comparisons.of(data.left, data.right, rng.choice([-1, 1], size=60))
    record = finetune(bert_folder, replace(LABELS, comparisons=noise), plan, folder=tmp_path).record
    by_epoch = record["out_of_fold"]["by_epoch"]
    assert record["epochs"] < 25
    assert by_epoch[-1] == by_epoch[-2]  # what a fold that stopped is counted with


def test_nothing_of_a_test_fold_reaches_its_model(bert_folder, tmp_path):
    """Other labels in the held-out fold change its figures and no margin."""
    plan = Plan(epochs=1, folds=1, batch=8, max_tokens=64, learning_rate=1e-3)
    (fold,) = tuning.folds_of(LABELS, 1, 0)
    data = LABELS.comparisons
    outcome = data.outcome.copy()
    outcome[fold.test] *= -1
    turned = Comparisons.of(
        data.left, data.right, outcome, strength=data.strength, weight=data.weight
    )
    made = [
        finetune(bert_folder, one, plan, folder=tmp_path / name).record["out_of_fold"]
        for name, one in (("as", LABELS), ("turned", replace(LABELS, comparisons=turned)))
    ]
    assert made[0]["accuracy"] == pytest.approx(1 - made[1]["accuracy"])


def test_the_rate_rises_and_falls():
    rates = [rate_at(step, 100, 0.1) for step in range(100)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == 1.0
    assert rates[-1] < 0.02
    assert rate_at(0, 1, 0.0) == 1.0


def test_memory_counts_what_is_there(bert_folder, llama_folder, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for base in (bert_folder, llama_folder):
        from learning.finetune import model

        weights = sum(one.numel() for one in model.load(base).core.parameters())
        full = memory.estimate_memory(base, Plan(epochs=1), LABELS)
        assert full.weights == full.gradients == 4 * weights
        assert full.moments == 8 * weights
        lora = memory.estimate_memory(base, Plan(method="lora", lora_rank=2), LABELS)
        assert lora.gradients < full.gradients / 2
        assert lora.activations == pytest.approx(2.5 * full.activations, rel=1e-6)
        assert full.fits
        full.check()


def test_less_memory_with_fewer_tokens_pairs_or_with_checkpointing(llama_folder):
    def activations(**named):
        return memory.estimate_memory(llama_folder, Plan(**named), LABELS).activations

    most = activations(max_tokens=64)
    assert activations(max_tokens=32) < most
    assert activations(max_tokens=64, micro_batch=1) < most
    assert activations(max_tokens=64, checkpointing=True) < most


def test_another_stage_is_told_at_once_and_the_rest_now_and_then():
    told = []
    teller = Teller(lambda progress: told.append((progress.stage, progress.done)), seconds=60.0)
    for stage, done in (("tuning", 0), ("tuning", 1), ("training", 0), ("training", 1)):
        teller.tell(Progress(stage, done))
    assert told == [("tuning", 0), ("training", 0)]
