"""From folder to folder: learnt, put to scale, gone on with after a kill, read back, refused."""

from dataclasses import replace

import numpy as np
import pytest

from learning.encoders.huggingface import fingerprint
from learning.errors import ConfigError, EncoderError
from learning.finetune import Examples, OutOfMemory, Plan, UnusableModel
from learning.finetune import lora_ensemble_run as runs
from learning.finetune.lora_ensemble import read_record
from learning.finetune.lora_ensemble_belief import RECORD, WEIGHTS
from learning.finetune.lora_ensemble_encoder import key_of, load
from learning.finetune.lora_ensemble_run import (
    estimate_ensemble,
    fold_of,
    refuse_too_large,
    train_ensemble,
)
from learning.text import joined
from tests.learning.finetune import tinymodels

PLAN = Plan(
    method="lora", learning_rate=5e-3, members=4, lora_rank=4, lora_alpha=8.0, batch=8,
    checkpoint_seconds=0.0, max_tokens=64,
)  # fmt: skip


@pytest.fixture(scope="module", params=["encoder", "decoder"])
def base(request, tmp_path_factory):
    where = tmp_path_factory.mktemp(request.param)
    make = tinymodels.bert if request.param == "encoder" else tinymodels.decoder
    return make(where)


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return tinymodels.bert(tmp_path_factory.mktemp("bert"))


def run(base, tmp_path, examples, plan=PLAN, *, name="out", **named):
    return train_ensemble(
        base, examples, plan, epochs=2, work=tmp_path / "work", out=tmp_path / name, **named
    )


def rewards(folder, base, examples):
    texts = [joined(p, r) for p, r in zip(examples.prompts, examples.responses, strict=True)]
    return load(folder, base).encode([*texts, texts[0]])


def test_members_are_trained_saved_and_read_back(base, tmp_path):
    examples = tinymodels.examples(40)
    record = run(base, tmp_path, examples)
    assert (record["members"], record["labels"], record["epochs"]) == (4, 40, 2)
    assert record["base"] == fingerprint(base)
    assert 0.3 < record["log_loss"] < 1.5
    found = rewards(tmp_path / "out", base, examples)
    assert found.shape == (len(examples.responses) + 1, 4)
    np.testing.assert_array_equal(found[0], found[-1])
    assert (found[:-1].std(axis=1) > 0).all()
    assert not list((tmp_path / "work").iterdir())
    assert run(base, tmp_path, examples) == record  # nothing is done twice
    other = run(base, tmp_path, examples, replace(PLAN, seed=1))
    assert other["log_loss"] != record["log_loss"]


def test_what_is_easy_is_learnt(bert, tmp_path):
    examples = tinymodels.examples(300, ties=False)
    record = run(bert, tmp_path, examples, replace(PLAN, members=6))
    assert record["log_loss"] < 0.6
    assert record["accuracy"] > 0.7


class Killed(BaseException):
    """Nothing that anybody catches."""


@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_run_that_was_killed_goes_on_to_the_same_members(base, tmp_path, after):
    examples = tinymodels.examples(40)
    steps = []

    def die(progress):
        steps.append(progress)
        if progress.done == after:
            raise Killed

    runs.Teller, kept = lambda report: kept_teller(report), runs.Teller
    try:
        with pytest.raises(Killed):
            run(base, tmp_path, examples, report=die)
        steps.clear()
        run(base, tmp_path, examples, report=steps.append)
    finally:
        runs.Teller = kept
    assert next(one.done for one in steps if one.total) == after
    whole = tmp_path / "whole"
    run(base, whole, examples)
    np.testing.assert_array_equal(
        rewards(tmp_path / "out", base, examples), rewards(whole / "out", base, examples)
    )


def kept_teller(report):
    """One that reports every step."""
    from learning.finetune.train_state import Teller

    return Teller(report, seconds=0.0)


def test_weights_that_the_base_lacks_are_kept_with_the_adapters(tmp_path):
    """Without a pooler: transformers draws one at random whenever the folder is loaded."""
    from transformers import BertModel

    base = tinymodels.bert(tmp_path / "base")
    whole = BertModel.from_pretrained(base)
    bare = BertModel(whole.config, add_pooling_layer=False)
    bare.save_pretrained(base)
    examples = tinymodels.examples(30)
    run(base, tmp_path, examples)
    np.testing.assert_array_equal(
        rewards(tmp_path / "out", base, examples), rewards(tmp_path / "out", base, examples)
    )


def test_a_label_that_may_be_wrong_counts_for_both_sides(bert, tmp_path):
    """Half right is no label at all; surely right is the label itself."""
    sure = tinymodels.examples(30)
    n = len(sure)
    same, fold = runs._mirrored(replace(sure, noise=np.zeros(n)), np.arange(n) % 2)
    assert (len(same), len(fold)) == (n, n)
    np.testing.assert_array_equal(same.outcome, sure.comparisons.outcome)
    unsure, fold = runs._mirrored(replace(sure, noise=np.full(n, 0.3)), np.arange(n) % 2)
    decisive = sure.comparisons.decisive
    assert len(unsure) == n + decisive.sum()
    np.testing.assert_allclose(unsure.weight[n:], 0.3 * sure.comparisons.weight[decisive])
    np.testing.assert_allclose(unsure.weight[:n][~decisive], sure.comparisons.weight[~decisive])
    np.testing.assert_array_equal(unsure.outcome[n:], -sure.comparisons.outcome[decisive])
    np.testing.assert_array_equal(fold[n:], (np.arange(n) % 2)[decisive])
    record = run(bert, tmp_path, replace(sure, noise=np.full(n, 0.3)))
    assert record["labels"] == n


def test_a_member_that_must_not_see_a_label_sees_none_of_its_group():
    examples = tinymodels.examples(60)
    fold = fold_of(examples, 5, 0)
    for group in np.unique(examples.group):
        assert len(set(fold[examples.group == group])) == 1
    assert set(fold) == set(range(5))
    one = Examples.of(["same"] * 4, list("abcd"), tinymodels.Comparisons.of([0, 2], [1, 3], [1, 1]))
    assert len(fold_of(one, 2, 0)) == 2  # fewer groups than folds: by pair


def test_members_begin_as_what_the_frozen_features_tell(bert, tmp_path):
    """Before any step they are the Laplace head on these, fitted without their fold."""
    from learning.finetune.lora_ensemble import LoraEnsemble, Shape
    from learning.finetune.model import load as load_model
    from learning.heads import LinearBT
    from learning.scaling import Standardizer

    examples = tinymodels.examples(80, ties=False)
    model = load_model(bert, max_tokens=64)
    rows = model.reader.rows(examples.prompts, examples.responses)
    frozen, data = model.read(rows), examples.comparisons
    members = 400
    made = LoraEnsemble.attach(model, Shape(members=members, rank=1))
    runs.begin(made, frozen, data, np.ones((members, len(data)), bool))
    found = made.rewards(rows).astype(float)
    scaling = Standardizer.fit(frozen, None, data.pairs)
    phi = scaling.transform(frozen, None)
    mu, s2 = LinearBT().fit(phi, data).margin(phi, data.pairs)
    margins = found[data.left] - found[data.right]
    assert np.abs(margins.mean(axis=1) - mu).max() < 4 * np.sqrt(s2.max() / members)
    np.testing.assert_allclose(margins.var(axis=1), s2, rtol=0.35)


def test_what_cannot_fit_is_refused_with_figures(bert, tmp_path, monkeypatch):
    examples = tinymodels.examples(30)
    few, many = (estimate_ensemble(bert, replace(PLAN, members=k), examples) for k in (4, 32))
    assert many.trained == 8 * few.trained
    assert many.least == 8 * few.least
    assert few.weights == many.weights
    poor = replace(many, available=1)
    with pytest.raises(OutOfMemory, match=r"32 adapters: .* GiB.*So do fewer"):
        refuse_too_large(poor, 32)
    monkeypatch.setattr(runs, "estimate_ensemble", lambda *_: poor)
    with pytest.raises(OutOfMemory):
        run(bert, tmp_path, examples)
    assert not (tmp_path / "out").exists()


def test_damaged_files_and_another_encoder_are_refused(bert, base, tmp_path):
    examples = tinymodels.examples(30)
    run(bert, tmp_path, examples)
    out = tmp_path / "out"
    key = key_of(out)
    if base.name.startswith("decoder"):
        with pytest.raises(EncoderError, match="not the encoder"):
            load(out, base)
    whole = (out / WEIGHTS).read_bytes()
    (out / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    assert key_of(out) != key
    with pytest.raises(UnusableModel, match="holds no ensemble"):
        load(out, bert)
    (out / WEIGHTS).unlink()
    with pytest.raises(UnusableModel, match="holds no ensemble"):
        load(out, bert)
    (out / RECORD).write_text("[1]")
    with pytest.raises(UnusableModel, match="holds no ensemble"):
        read_record(out)


@pytest.mark.parametrize("members", [1, 3, 33, -1])
def test_numbers_of_members_that_cannot_be_put_to_scale_are_refused(members):
    with pytest.raises(ConfigError, match="members must be"):
        Plan.read({"members": members})
