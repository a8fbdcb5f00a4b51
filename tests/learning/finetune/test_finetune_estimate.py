"""What a training is said to take, next to what it takes."""

import tempfile
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from learning.data import Comparisons
from learning.finetune import (
    Examples,
    NothingToLearn,
    Plan,
    UnusableModel,
    finetune,
    lora_ensemble_run,
)
from learning.finetune import estimate as module
from learning.finetune.estimate import Pool, compact, estimate, sampled
from learning.finetune.lora_ensemble import LoraEnsemble
from learning.finetune.lora_ensemble_run import train_ensemble
from learning.finetune.model import RewardModel
from learning.finetune.train_model import Scorer
from tests.learning.finetune import tinymodels

LABELS = tinymodels.examples(36)
PLAN = Plan(epochs=2, folds=2, batch=8, max_tokens=64, learning_rate=1e-3)


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    from learning.finetune import estimate_ensemble, estimate_speed

    monkeypatch.setattr(estimate_speed, "_BUDGET", 0.2)
    monkeypatch.setattr(estimate_speed, "_READ", 0.05)
    monkeypatch.setattr(estimate_ensemble, "_BUDGET", 0.2)
    monkeypatch.setattr(estimate_ensemble, "_READ", 0.05)


def trained(folder, base, examples=LABELS, plan=PLAN):
    """The record of a training, with the steps of all its models."""
    told = []
    tuned = finetune(base, examples, plan, folder=folder, report=told.append)
    tuning = max(one.total for one in told if one.stage == "tuning")
    return tuned.record, tuning


@pytest.mark.parametrize("method", ["full", "lora"])
def test_steps_and_tokens_are_those_of_the_training(bert_folder, tmp_path, method):
    plan = replace(PLAN, method=method)
    made = estimate(bert_folder, LABELS, plan)
    record, tuning = trained(tmp_path, bert_folder, plan=plan)
    assert (made.labels, made.responses) == (record["labels"], record["responses"])
    assert made.folds == record["out_of_fold"]["folds"] == 2
    assert made.epochs == (2, 2)
    assert made.duration.steps[0] == made.duration.steps[1]
    assert made.duration.steps[0] == pytest.approx(tuning + record["steps"], rel=0.15)
    assert made.duration.tokens[0] == pytest.approx(record["tokens"], rel=0.1)
    assert made.duration.truncated == record["truncated"] / record["responses"]


def test_a_decoder_that_shares_prompts_is_estimated_as_well(llama_folder, tmp_path):
    made = estimate(llama_folder, LABELS, PLAN)
    record, _ = trained(tmp_path, llama_folder)
    assert record["shared_prefix"]
    assert made.duration.tokens[0] == pytest.approx(record["tokens"], rel=0.1)


def test_the_time_is_that_of_the_training(bert_folder, tmp_path, monkeypatch):
    """Where computing is slow enough to stand out: a millisecond for four tokens."""
    forward = Scorer.forward

    def slow(self, given):
        time.sleep(given.tokens * 2.5e-4)
        return forward(self, given)

    monkeypatch.setattr(Scorer, "forward", slow)
    low, high = estimate(bert_folder, LABELS, PLAN).duration.seconds
    began = time.monotonic()
    trained(tmp_path, bert_folder)
    took = time.monotonic() - began
    assert 0.6 * low < took < 2 * high
    assert 0.25 < low / high < 1


@pytest.mark.parametrize("noise", [None, 0.2])
def test_the_time_of_an_ensemble_is_that_of_its_training(bert_folder, tmp_path, monkeypatch, noise):
    """Where computing is slow enough to stand out; labels that may be wrong are learnt twice."""
    forward = LoraEnsemble.forward

    def slow(self, rows):
        time.sleep(sum(map(len, rows)) * 2.5e-4)
        return forward(self, rows)

    monkeypatch.setattr(LoraEnsemble, "forward", slow)
    plan = replace(PLAN, members=4, lora_rank=4)
    unsure = None if noise is None else np.full(len(LABELS), noise)
    examples = replace(LABELS, noise=unsure)
    low, high = estimate(bert_folder, examples, plan).duration.ensemble
    began = time.monotonic()
    record = train_ensemble(
        bert_folder, examples, plan, epochs=2, work=tmp_path / "work", out=tmp_path / "out"
    )
    took = time.monotonic() - began
    assert (record["members"], record["epochs"]) == (4, 2)
    # The estimate counts all responses once more: those that are embedded at last.
    assert 0.6 * low < took < 1.5 * high


def test_without_members_there_is_no_time_of_an_ensemble(bert_folder):
    assert estimate(bert_folder, LABELS, PLAN).duration.ensemble is None


def test_passes_of_an_ensemble_are_those_of_the_last_model(bert_folder):
    plan = replace(PLAN, epochs=0, max_epochs=4, members=4, lora_rank=4)
    low, high = estimate(bert_folder, LABELS, plan).duration.ensemble
    assert 2 < high / low < 4.9  # one to four passes, and the same texts read at last


def test_an_ensemble_that_does_not_fit_is_not_timed(bert_folder, monkeypatch):
    real = lora_ensemble_run.estimate_ensemble

    def large(*args):
        return replace(real(*args), least=2**60)

    monkeypatch.setattr(lora_ensemble_run, "estimate_ensemble", large)
    duration = estimate(bert_folder, LABELS, replace(PLAN, members=4)).duration
    assert duration.ensemble is None
    assert duration.seconds[0] > 0


def test_cross_validation_makes_a_range_that_holds_the_training(bert_folder, tmp_path):
    plan = replace(PLAN, epochs=0, max_epochs=4)
    made = estimate(bert_folder, LABELS, plan)
    record, _ = trained(tmp_path, bert_folder, plan=plan)
    assert made.epochs == (1, 4)
    low, high = made.duration.tokens
    assert 0.9 * low <= record["tokens"] <= 1.1 * high
    # Two folds of half the labels: two passes and one of the last model; or four of everything.
    assert high / low == pytest.approx((4 + 4) / (2 + 1), rel=0.02)


def test_labels_about_one_prompt_cannot_be_held_out(bert_folder, tmp_path):
    alone = replace(LABELS, group=np.zeros(len(LABELS), np.int64))
    plan = replace(PLAN, epochs=0)
    made = estimate(bert_folder, alone, plan)
    record = finetune(bert_folder, alone, plan, folder=tmp_path).record
    assert (made.folds, made.epochs) == (0, (2, 2))
    assert made.duration.tokens[0] == pytest.approx(record["tokens"], rel=0.05)


def test_more_responses_to_embed_take_longer(bert_folder):
    texts = LABELS.prompts[:4], LABELS.responses[:4]
    few, many = (estimate(bert_folder, LABELS, PLAN, pool=Pool(n, *texts)) for n in (10, 100_000))
    assert many.duration.read[0] > 100 * few.duration.read[0]
    assert many.duration.seconds[0] > few.duration.seconds[1]
    assert many.duration.tokens == few.duration.tokens


def test_of_many_labels_a_sample_of_prompts_is_counted(bert_folder, monkeypatch):
    whole = estimate(bert_folder, LABELS, PLAN)
    monkeypatch.setattr(module, "SAMPLE", 12)
    part = estimate(bert_folder, LABELS, PLAN)
    assert (part.labels, part.folds) == (whole.labels, whole.folds)
    assert part.duration.tokens[0] == pytest.approx(whole.duration.tokens[0], rel=0.3)
    assert part.duration.steps[0] == pytest.approx(whole.duration.steps[0], rel=0.3)


def test_a_sample_is_whole_prompts_with_their_texts():
    part = sampled(LABELS, 12, seed=0)
    assert 12 <= len(part) <= 14
    names, count = np.unique(LABELS.group, return_counts=True)
    inside, kept = np.unique(part.group, return_counts=True)
    assert kept.tolist() == count[np.isin(names, inside)].tolist()
    assert len(part.responses) == len(np.unique(part.comparisons.pairs))


def test_compacting_keeps_what_is_said_of_which_texts():
    rated = replace(
        LABELS,
        noise=np.linspace(0, 0.4, len(LABELS)),
        aspects=np.arange(len(LABELS.responses), dtype=np.float32)[:, None],
    )
    rows = np.array([30, 2, 17])
    part = compact(rated, rows)
    for place, row in enumerate(rows):
        for side in ("left", "right"):
            mine = getattr(part.comparisons, side)[place]
            theirs = getattr(rated.comparisons, side)[row]
            assert part.responses[mine] == rated.responses[theirs]
            assert part.prompts[mine] == rated.prompts[theirs]
            assert part.aspects[mine, 0] == rated.aspects[theirs, 0]
        assert part.noise[place] == rated.noise[row]
        assert part.comparisons.outcome[place] == rated.comparisons.outcome[row]


def test_what_does_not_fit_is_not_loaded(bert_folder, monkeypatch):
    def never(*args, **named):
        raise AssertionError("it was loaded")

    for where in ("train_model", "train_setup"):
        monkeypatch.setattr(f"learning.finetune.{where}.load", never)
    made = estimate(bert_folder, LABELS, PLAN, limit=2**20)
    assert made.duration is None
    assert made.memory.available == 2**20
    told = made.to_dict()
    assert told["memory"]["fits"] is False
    assert told["memory"]["smallest"] > 2**20
    assert told["labels"] == len(LABELS)


def test_pieces_shrink_where_memory_ends(bert_folder, monkeypatch):
    forward, seen = Scorer.forward, []

    def full(self, given):
        seen.append(len(given.outcome))
        if len(given.outcome) > 2:
            raise RuntimeError("CUDA out of memory")
        return forward(self, given)

    monkeypatch.setattr(Scorer, "forward", full)
    monkeypatch.setattr("learning.finetune.estimate_speed._BUDGET", 60.0)  # pieces of all sizes
    made = estimate(bert_folder, LABELS, PLAN)
    assert made.duration.seconds[0] > 0
    assert max(seen) > 2
    assert seen[-1] <= 2


def test_nothing_is_left_behind(bert_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in bert_folder.iterdir()}
    estimate(bert_folder, LABELS, PLAN)
    assert not list(tmp_path.iterdir())
    assert {path: path.stat().st_mtime_ns for path in bert_folder.iterdir()} == before


def test_whoever_is_told_may_stop_it(bert_folder):
    def stop(progress):
        raise KeyError(progress.stage)

    with pytest.raises(KeyError, match="reading"):
        estimate(bert_folder, LABELS, PLAN, report=stop)


def test_ratings_of_aspects_are_in_it(bert_folder, monkeypatch):
    rated = replace(LABELS, aspects=np.ones((len(LABELS.responses), 2), np.float32))
    seen = []
    init = Scorer.__init__

    def look(self, model, setting, *, aspects):
        seen.append(aspects)
        init(self, model, setting, aspects=aspects)

    monkeypatch.setattr(Scorer, "__init__", look)
    estimate(bert_folder, rated, PLAN)
    assert set(seen) == {2}


# Bad input


def test_no_labels(bert_folder):
    nothing = Examples((), (), Comparisons.none(), np.arange(0))
    with pytest.raises(NothingToLearn, match="no labels"):
        estimate(bert_folder, nothing, PLAN)


def test_ties_only(bert_folder):
    tied = Examples.of(["p", "p"], ["a", "b"], Comparisons.of([0], [1], [0]))
    with pytest.raises(NothingToLearn, match="ties"):
        estimate(bert_folder, tied, PLAN)


def test_pickle_weights(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(UnusableModel, match="safetensors"):
        estimate(tmp_path, LABELS, PLAN)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_texts_are_timed_in_the_precision_they_are_read_in(bert_folder, monkeypatch, precision):
    real, halves = RewardModel.read, []

    def read(self, *given, **more):
        halves.append(more.get("half", False))
        return real(self, *given, **more)

    monkeypatch.setattr(RewardModel, "read", read)
    estimate(bert_folder, LABELS, replace(PLAN, precision=precision))
    within = precision == "bfloat16"
    assert halves[-4:] == [False, False, within, within]  # by encoders, then within a training
