"""Members side by side are what each is alone, to rounding, and peft says the same."""

import copy
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
)

from learning.acquisition import METHODS
from learning.data import Comparisons, Context, Pool, belief_from_arrays
from learning.errors import ConfigError, ShapeError
from learning.finetune.errors import Diverged, NothingToLearn, OutOfMemory, UnusableModel
from learning.finetune.lora_ensemble import LoraEnsemble, MemberLinear, Shape, read_record
from learning.finetune.lora_ensemble_belief import RECORD
from learning.finetune.lora_ensemble_fit import Run, Schedule, fit, scaled, train
from learning.finetune.model import RewardModel, last_layer
from learning.finetune.texts import Reader, Row, tensors
from learning.finetune.train_state import Teller, quiet
from learning.heads._anchors import batches
from learning.heads._likelihood import AnswerModel

SIZES = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_labels": 1,
    "pad_token_id": 0,
}
SHAPE = Shape(members=4, rank=3, alpha=6.0)
ANSWERS = AnswerModel(tie=0.2)


# peft looks at the model in a way that transformers no longer likes.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")


def as_reward(core, *, decoder):
    """A model as loading makes one, without a tokenizer: texts come as numbers."""
    words = SimpleNamespace(pad_token_id=0)
    reader = Reader(words, 64, not decoder, (), (), (), types=not decoder)
    return RewardModel(core.double().eval(), last_layer(core), reader, decoder)


@pytest.fixture(params=["encoder", "decoder"])
def base(request):
    torch.manual_seed(0)
    if request.param == "encoder":
        return as_reward(BertForSequenceClassification(BertConfig(**SIZES)), decoder=False)
    config = LlamaConfig(**SIZES, num_key_value_heads=2, bos_token_id=1, eos_token_id=2)
    return as_reward(LlamaForSequenceClassification(config), decoder=True)


def close(base):
    """Bert is exact in double; Llama computes its norms in single."""
    return {"atol": 1e-5, "rtol": 1e-5} if base.decoder else {"atol": 1e-9, "rtol": 1e-9}


def task(n=24, seed=0):
    """Texts of token numbers; those with more high numbers are better."""
    rng = np.random.default_rng(seed)
    texts = [rng.integers(3, 40, rng.integers(4, 12)) for _ in range(2 * n)]
    rows = [Row(text.astype(np.int32), 0, 2, cut=False) for text in texts]
    left, right = np.arange(n), np.arange(n, 2 * n)
    score = np.array([np.mean(row) for row in texts])
    outcome = np.sign(score[left] - score[right]).astype(np.int8)
    outcome[:3] = 0
    strength = np.where(outcome == 0, 0, rng.integers(0, 4, n))
    weight = rng.uniform(0.5, 2.0, n)
    return rows, Comparisons.of(left, right, outcome, strength=strength, weight=weight)


def peft_of(base, ensemble, k):
    """The k-th member as peft has it."""
    names = [n for n, m in ensemble.model.core.named_modules() if isinstance(m, MemberLinear)]
    config = LoraConfig(
        r=SHAPE.rank, lora_alpha=SHAPE.alpha, lora_dropout=0.0, target_modules=names
    )
    alone = get_peft_model(copy.deepcopy(base.core), config).double().eval()
    inside = alone.base_model.model
    for name in names:
        ours, theirs = ensemble.model.core.get_submodule(name), inside.get_submodule(name)
        theirs.lora_A.default.weight.data.copy_(ours.A[k])
        theirs.lora_B.default.weight.data.copy_(ours.B[k])
    head = inside.classifier if hasattr(inside, "classifier") else inside.score
    weights = dict(ensemble.model.core.named_parameters())
    own = weights["score.weight" if base.decoder else "classifier.weight"]
    head.weight.data.copy_(own[k : k + 1])
    head.weight.requires_grad_(True)
    return alone, names, head


def alone_rewards(model, rows, base):
    return model(**tensors(rows, base.reader)).logits[:, 0]


def scramble(ensemble):
    torch.manual_seed(1)
    for weight in ensemble.parameters.values():
        weight.data += 0.1 * torch.randn_like(weight)


def test_each_member_says_what_peft_says_of_it(base):
    ensemble = LoraEnsemble.attach(copy.deepcopy(base), SHAPE)
    scramble(ensemble)
    rows, _ = task()
    with torch.no_grad():
        ours = ensemble.forward(rows)
        for k in range(SHAPE.members):
            theirs = alone_rewards(peft_of(base, ensemble, k)[0], rows, base)
            torch.testing.assert_close(ours[k] - ours[k, 0], theirs - theirs[0], **close(base))


def test_a_member_trained_among_others_is_what_peft_trains_alone(base):
    rows, data = task()
    kept = np.random.default_rng(0).random((SHAPE.members, len(data))) < 0.7
    ensemble = LoraEnsemble.attach(copy.deepcopy(base), SHAPE)
    alone, _, _ = peft_of(base, ensemble, 2)
    schedule = Schedule(epochs=3, batch=7, learning_rate=1e-2, clip=0.05)
    train(ensemble, rows, data, kept, ANSWERS, schedule)
    train_plainly(alone, rows, data, kept[2], schedule, base)
    with torch.no_grad():
        ours, theirs = ensemble.forward(rows)[2], alone_rewards(alone, rows, base)
    torch.testing.assert_close(ours - ours[0], theirs - theirs[0], **close(base))


def train_plainly(model, rows, data, kept, schedule, base):
    """One adapter, a likelihood written out, torch's own clipping."""
    n = len(data)
    order = batches(n, schedule.batch, -(-n * schedule.epochs // schedule.batch), schedule.seed)
    weights = [w for w in model.parameters() if w.requires_grad]
    adam = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=0.0)
    for step, part in enumerate(order):
        adam.param_groups[0]["lr"] = schedule.learning_rate * (1 - 0.9 * step / len(order))
        # Padding is masked, so that a batch of one gives what a batch of many does.
        loss = torch.zeros((), dtype=torch.float64)
        for at in part:
            left, right = rows[data.left[at]], rows[data.right[at]]
            margin = alone_rewards(model, [left], base) - alone_rewards(model, [right], base)
            y, s = int(data.outcome[at]), int(data.strength[at])
            z = torch.exp(margin / 2) + torch.exp(-margin / 2) + 2 * ANSWERS.tie
            value = y * margin / 2 - torch.log(z)
            reach = [y * margin - cut for cut in ANSWERS.cuts]
            sig = torch.nn.functional.logsigmoid
            if s == 1:
                value = value + sig(-reach[0])
            elif s == 2:
                value = value + sig(reach[0]) + sig(-reach[1])
            elif s == 3:
                value = value + sig(reach[1])
            loss = loss - float(kept[at] * data.weight[at]) * value.sum() / len(part)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, schedule.clip)
        adam.step()


def test_a_member_attached_alone_is_the_same_and_learns_the_same(base):
    rows, data = task()
    kept = np.random.default_rng(0).random((SHAPE.members, len(data))) < 0.7
    whole = LoraEnsemble.attach(copy.deepcopy(base), SHAPE)
    single = LoraEnsemble.attach(copy.deepcopy(base), SHAPE, only=1)
    schedule = Schedule(epochs=2, batch=8, learning_rate=1e-2)
    train(whole, rows, data, kept, ANSWERS, schedule)
    train(single, rows, data, kept[1:2], ANSWERS, schedule)
    with torch.no_grad():
        torch.testing.assert_close(whole.forward(rows)[1], single.forward(rows)[0], **close(base))


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_a_few_pairs_at_a_time_are_the_same_step(base, at_once):
    rows, data = task()
    kept = np.random.default_rng(0).random((SHAPE.members, len(data))) < 0.7
    schedule = Schedule(epochs=2, batch=7, learning_rate=1e-2)
    whole, parts = (LoraEnsemble.attach(copy.deepcopy(base), SHAPE) for _ in range(2))
    train(whole, rows, data, kept, ANSWERS, schedule)
    train(parts, rows, data, kept, ANSWERS, schedule, run=Run(Teller(quiet), at_once=at_once))
    with torch.no_grad():
        torch.testing.assert_close(parts.forward(rows), whole.forward(rows), **close(base))


def test_a_long_step_can_be_stopped_in_its_middle(base):
    rows, data = task()
    kept, told = np.ones((SHAPE.members, len(data)), bool), []

    def stop(progress):
        told.append(progress.done)
        if len(told) == 3:
            raise KeyboardInterrupt

    run = Run(Teller(stop, seconds=0.0), at_once=2)
    ensemble = LoraEnsemble.attach(base, SHAPE)
    with pytest.raises(KeyboardInterrupt):
        train(ensemble, rows, data, kept, ANSWERS, Schedule(batch=24), run=run)
    assert told == [0, 0, 0]  # two pieces of the first step


def test_members_that_do_not_fit_are_computed_a_few_pairs_at_a_time(base, monkeypatch):
    rows, data = task()
    kept = np.ones((SHAPE.members, len(data)), bool)
    forward, seen = LoraEnsemble.forward, []

    def small(self, given):
        seen.append(len(given))
        if len(given) > 4:
            raise MemoryError
        return forward(self, given)

    monkeypatch.setattr(LoraEnsemble, "forward", small)
    run = Run(Teller(quiet))
    ensemble = LoraEnsemble.attach(base, SHAPE)
    train(ensemble, rows, data, kept, ANSWERS, Schedule(epochs=1, batch=8), run=run)
    assert (run.at_once, seen[:3]) == (2, [16, 8, 4])
    monkeypatch.setattr(LoraEnsemble, "forward", lambda *_: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(OutOfMemory, match="fewer members"):
        train(ensemble, rows, data, kept, ANSWERS, Schedule(), run=Run(Teller(quiet)))


def test_the_shared_weights_stay_as_they_were(base):
    before = {n: p.clone() for n, p in base.core.named_parameters()}
    rows, data = task()
    ensemble = LoraEnsemble.attach(base, Shape(members=10, rank=2))
    fit(ensemble, rows, data, Schedule(epochs=1, learning_rate=1e-2))
    after = {n.replace(".base.", "."): p for n, p in ensemble.model.core.named_parameters()}
    for name, parameter in before.items():
        if not name.startswith(("classifier", "score")):
            assert torch.equal(after[name], parameter)


def test_members_learn_and_are_put_to_scale_on_what_they_have_not_seen(base):
    rows, data = task(n=150, seed=3)
    made = fit(
        LoraEnsemble.attach(base, Shape(members=4, rank=2)), rows, data,
        Schedule(epochs=8, batch=16, learning_rate=1e-2, folds=2),
    )  # fmt: skip
    rewards = made.rewards(rows)
    fresh, new = task(n=150, seed=4)
    belief = made.belief(len(data))
    mu, s2 = belief.margin(made.rewards(fresh), new.pairs)
    said = belief.preference(mu * new.outcome, s2)[new.decisive]
    assert -np.log(said).mean() < (0.675 if base.decoder else 0.62) < np.log(2)
    assert made.answers.tie > 0
    assert rewards.shape == (300, 4)


def test_the_belief_is_that_of_the_members(base):
    ensemble = LoraEnsemble.attach(base, SHAPE)
    scramble(ensemble)
    rows, data = task()
    kept = np.ones((4, len(data)), bool)
    kept[:2, ::2] = kept[2:, 1::2] = False
    made = scaled(ensemble, ensemble.rewards(rows), data, kept, ANSWERS)
    rewards = made.rewards(rows)
    belief = belief_from_arrays(made.belief(len(data)).to_arrays())
    mu, s2 = belief.margin(rewards, data.pairs)
    margin = made.scale * (rewards[data.left] - rewards[data.right]).astype(np.float64)
    np.testing.assert_allclose(mu, margin.mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(s2, margin.var(axis=1, ddof=1), atol=1e-5)


def test_bald_asks_where_members_disagree():
    ensemble = LoraEnsemble(None, SHAPE)
    rewards = np.zeros((6, 4))
    rewards[0] = (2, -2, 2, -2)  # members are sure, and of different things
    rewards[2] = (2, 2, 2, 2)  # they agree
    pool = Pool.of(rewards, [(0, 1), (2, 3), (4, 5)])
    method = METHODS["bald"]
    picked = method.select(
        pool, ensemble.belief(50), Context(), 1,
        rng=np.random.default_rng(0), config=method.parse_config({}),
    )  # fmt: skip
    assert picked.indices.tolist() == [0]


def test_saved_members_come_back_and_only_to_their_own_model(base, tmp_path):
    fresh = copy.deepcopy(base)
    ensemble = LoraEnsemble.attach(base, SHAPE)
    scramble(ensemble)
    rows, _ = task()
    ensemble.save(tmp_path, base="mine")
    back = LoraEnsemble.load(tmp_path, copy.deepcopy(fresh), base="mine")
    assert np.array_equal(back.rewards(rows), ensemble.rewards(rows))
    assert (back.scale, back.answers) == (ensemble.scale, ensemble.answers)
    assert read_record(tmp_path).max_tokens == 64
    with pytest.raises(UnusableModel, match="belongs to the model mine"):
        LoraEnsemble.load(tmp_path, copy.deepcopy(fresh), base="other")
    record = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(json.dumps(record | {"rank": 5}))
    with pytest.raises(UnusableModel, match="other adapters"):
        LoraEnsemble.load(tmp_path, copy.deepcopy(fresh), base="mine")
    (tmp_path / RECORD).write_text("[]")
    with pytest.raises(UnusableModel, match="holds no ensemble"):
        LoraEnsemble.load(tmp_path, fresh, base="mine")


def test_what_cannot_be_trained_is_refused(base):
    rows, data = task()
    ties = Comparisons.of([0], [1], [0])
    ensemble = LoraEnsemble.attach(base, SHAPE)
    with pytest.raises(NothingToLearn):
        fit(ensemble, rows, ties, Schedule(folds=2))
    with pytest.raises(ConfigError, match="10 members"):
        fit(ensemble, rows, data, Schedule())
    with pytest.raises(ShapeError):
        fit(ensemble, rows[:5], data, Schedule(folds=2))
    next(iter(ensemble.parameters.values())).data[:] = float("nan")
    with pytest.raises(Diverged, match="step 1"):
        fit(ensemble, rows, data, Schedule(folds=2))


def test_a_model_without_linear_layers_is_refused():
    tiny = GPT2Config(vocab_size=40, n_embd=32, n_layer=1, n_head=2, num_labels=1, pad_token_id=0)
    with pytest.raises(UnusableModel, match="no linear layers"):
        LoraEnsemble.attach(as_reward(GPT2ForSequenceClassification(tiny), decoder=True), SHAPE)
