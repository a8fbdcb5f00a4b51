import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from learning import encoders
from learning.data import Comparisons
from learning.errors import LearningError
from learning.finetune import (
    CheckpointFailed,
    DeviceLost,
    Diverged,
    Examples,
    FinetuneError,
    NothingToLearn,
    OutOfMemory,
    Plan,
    Progress,
    Tuned,
    UnusableModel,
    checkpoints,
    finetune,
    model,
    score_model,
    train_stage,
)
from learning.finetune.train_state import capture, restore
from learning.text import joined
from tests.learning.finetune import tinymodels

LABELS = tinymodels.examples(24)
QUICK = Plan(
    epochs=2,
    folds=1,
    batch=8,
    max_tokens=64,
    learning_rate=1e-3,
    dropout=True,
    checkpoint_seconds=0,
)


class Stop(Exception):
    """What a caller raises to stop a run."""


def weights(tuned):
    return load_file(tuned.folder / "model.safetensors")


def same(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def nearly(one, other):
    """Adam turns rounding of a gradient near 0 into a step; so all but a few weights are close."""
    for name, value in weights(one).items():
        far = (weights(other)[name] - value).abs() > 1e-4 + 1e-3 * value.abs()
        assert int(far.sum()) <= 1 + value.numel() // 200, name
    assert other.record["losses"] == pytest.approx(one.record["losses"], rel=1e-4)


def stopping(after):
    """A report that raises at the given call."""
    calls = []

    def report(progress):
        calls.append(progress)
        if len(calls) == after:
            raise Stop

    return report


@pytest.fixture(scope="module", autouse=True)
def every_step():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("learning.finetune.train_state.Teller.tell", _always)
        yield


@pytest.fixture(scope="module")
def whole(bert_folder, tmp_path_factory):
    """An uninterrupted run, and what it reported."""
    told = []
    tuned = finetune(
        bert_folder, LABELS, QUICK, folder=tmp_path_factory.mktemp("run"), report=told.append
    )
    return tuned, told


def _always(self, progress, *, now=False):
    del now
    self._now = progress
    self.report(progress)


def test_the_result_is_a_reward_folder_and_nothing_else_stays(whole):
    tuned, _ = whole
    assert [path.name for path in tuned.folder.parent.iterdir()] == ["model"]
    encoder = encoders.load_encoder(f"reward:{tuned.folder}", threads=1)
    assert (encoder.key, encoder.dim) == (tuned.key, tuned.dim)
    assert json.loads((tuned.folder / model.ABOUT).read_text())["record"] == tuned.record


def test_it_learns(bert_folder, tmp_path):
    plan = Plan(folds=3, max_epochs=2, batch=8, max_tokens=64, learning_rate=5e-4)
    tuned = finetune(bert_folder, tinymodels.examples(90), plan, folder=tmp_path)
    figures = tuned.record["out_of_fold"]
    assert figures["log_loss"] < figures["frozen_log_loss"] < np.log(2)
    assert figures["accuracy"] > 0.8
    assert score_model.load(str(tuned.folder)).temperature == figures["temperature"] != 1
    encoder = encoders.load_encoder(f"reward:{tuned.folder}", threads=1)
    good, bad = encoder.encode([joined("Say x", "aaaaaaaa"), joined("Say x", "bbbbbbbb")])
    head = weights(tuned)["classifier.weight"][0].numpy()
    assert good @ head > bad @ head + 1


def test_the_record_tells_what_was_done(whole):
    record = whole[0].record
    assert record["epochs"] == 2
    assert len(record["losses"]) == 2
    assert record["labels"] == 24
    assert record["out_of_fold"]["folds"] == 1
    assert record["memory"]["estimate"]["total"] > record["memory"]["estimate"]["weights"] > 0
    assert record["truncated"] == 3
    assert record["tokens"] > 0
    assert Plan.read(record["plan"]) == QUICK


def test_progress_names_stages_losses_and_speed(whole):
    _, told = whole
    stages = [one.stage for one in told]
    assert list(dict.fromkeys(stages)) == ["reading", "tuning", "calibrating", "training", "saving"]
    training = [one for one in told if one.stage == "training" and one.loss is not None]
    assert [one.done for one in training] == list(range(1, training[-1].total + 1))
    assert all(one.loss > 0 and one.tokens_per_second > 0 for one in training)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(method, kind, request, tmp_path):
    base = request.getfixturevalue(f"{kind}_folder")
    plan = replace(QUICK, method=method)
    told = []
    expected = finetune(base, LABELS, plan, folder=tmp_path / "whole", report=told.append)
    rng = np.random.default_rng(0)
    for number in rng.integers(3, len(told), size=1):
        folder = tmp_path / f"stopped-{number}"
        for _ in range(2):  # and once more, from where it went on
            with pytest.raises(Stop):
                finetune(base, LABELS, plan, folder=folder, report=stopping(int(number) // 2 + 1))
        again = finetune(base, LABELS, plan, folder=folder)
        same(weights(again), weights(expected))
        assert again.record["out_of_fold"] == expected.record["out_of_fold"]
        assert again.record["losses"] == expected.record["losses"]


def test_between_checkpoints_it_goes_on_from_the_last_one(bert_folder, whole, tmp_path):
    plan = replace(QUICK, checkpoint_seconds=1e4)
    with pytest.raises(Stop):
        finetune(bert_folder, LABELS, plan, folder=tmp_path, report=stopping(len(whole[1]) - 3))
    same(weights(finetune(bert_folder, LABELS, plan, folder=tmp_path)), weights(whole[0]))


def test_moments_and_steps_come_back_to_where_their_weights_are():
    here, there = torch.ones(3), torch.ones(3, device="meta")  # meta: a device that is not the CPU
    optimizer = torch.optim.AdamW([here], fused=True)
    here.grad = torch.ones(3)
    optimizer.step()
    kept = capture({"one": here}, optimizer, here.device)
    other = torch.optim.AdamW([there])
    restore(kept, {"one": there}, other, there.device)
    assert {state.device.type for state in other.state[there].values()} == {"meta"}


CODE = """
import os, sys
from pathlib import Path
import torch; torch.set_num_threads(1)
from learning.finetune import finetune
from tests.learning.finetune.test_finetune_train import LABELS, QUICK, _always
from learning.finetune.train_state import Teller
Teller.tell = _always
left = int(sys.argv[3])
def report(progress):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), 9)
finetune(Path(sys.argv[1]), LABELS, QUICK, folder=Path(sys.argv[2]), report=report)
"""


def test_a_run_that_was_killed_goes_on_to_the_same_bits(bert_folder, whole, tmp_path):
    told = len(whole[1])
    at = int(np.random.default_rng(1).integers(told // 2, told))
    command = [sys.executable, "-c", CODE, str(bert_folder), str(tmp_path), str(at)]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env={**os.environ, "PYTHONPATH": "."}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.glob("checkpoint-*"))
    same(weights(finetune(bert_folder, LABELS, QUICK, folder=tmp_path)), weights(whole[0]))


SEVERAL = """
import sys
from pathlib import Path
import torch; torch.set_num_threads(1)
from learning.finetune import finetune
from tests.learning.finetune.test_finetune_train import LABELS, ONCE
finetune(Path(sys.argv[1]), LABELS, ONCE, folder=Path(sys.argv[2]))
"""
ONCE = replace(QUICK, epochs=1, dropout=False, micro_batch=3)


def test_two_processes_train_the_same_model_as_one(bert_folder, tmp_path):
    one = finetune(bert_folder, LABELS, ONCE, folder=tmp_path / "one")
    (tmp_path / "run.py").write_text(SEVERAL)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launch, str(tmp_path / "run.py"), str(bert_folder), str(tmp_path / "two")]
    root = Path(__file__).parents[3]
    there = {**os.environ, "PYTHONPATH": str(root), "ACCELERATE_USE_CPU": "true"}
    subprocess.run(command, cwd=root, env=there, check=True, capture_output=True)
    record = json.loads((tmp_path / "two/model" / model.ABOUT).read_text())["record"]
    assert record["processes"] == 2
    assert record["tokens"] == one.record["tokens"]
    nearly(one, Tuned(tmp_path / "two/model", "", 0, record))


def test_a_run_that_is_over_is_not_done_again(bert_folder, whole):
    told = []
    again = finetune(bert_folder, LABELS, QUICK, folder=whole[0].folder.parent, report=told.append)
    assert again.record == whole[0].record
    assert told == []


def test_checkpoints_of_other_labels_or_another_plan_are_not_used(bert_folder, whole, tmp_path):
    for plan, labels in [
        (replace(QUICK, learning_rate=2e-3), LABELS),
        (QUICK, tinymodels.examples(24, seed=5)),
    ]:
        with pytest.raises(Stop):
            finetune(bert_folder, labels, plan, folder=tmp_path, report=stopping(9))
    same(weights(finetune(bert_folder, LABELS, QUICK, folder=tmp_path)), weights(whole[0]))


def test_a_warm_start_keeps_the_scalar_head(whole, tmp_path):
    plan = replace(QUICK, epochs=1, learning_rate=1e-9)
    again = finetune(whole[0].folder, LABELS, plan, folder=tmp_path)
    for name, value in weights(whole[0]).items():
        torch.testing.assert_close(weights(again)[name], value, atol=1e-6, rtol=1e-5)


def test_cutting_a_step_into_pieces_changes_rounding_only(bert_folder, tmp_path):
    made = []
    for size in (1, 3, 8):
        plan = replace(QUICK, micro_batch=size, dropout=False, epochs=1)
        made.append(finetune(bert_folder, LABELS, plan, folder=tmp_path / str(size)))
    for other in made[1:]:
        nearly(made[0], other)


@pytest.mark.parametrize(("share", "packing"), [("on", "off"), ("on", "on"), ("off", "on")])
def test_shared_prompts_and_packed_rows_train_the_same_model(
    llama_folder, tmp_path, share, packing
):
    off = replace(QUICK, share_prefix="off", packing="off", epochs=1)
    plain = finetune(llama_folder, LABELS, off, folder=tmp_path / "plain")
    on = replace(off, share_prefix=share, packing=packing)
    tuned = finetune(llama_folder, LABELS, on, folder=tmp_path / "shared")
    assert (tuned.record["shared_prefix"], tuned.record["packed"]) == (
        share == "on",
        packing == "on",
    )
    nearly(plain, tuned)


def test_an_encoder_that_is_asked_to_share_says_why_not(bert_folder, tmp_path):
    plan = replace(QUICK, share_prefix="on", epochs=1)
    record = finetune(bert_folder, LABELS, plan, folder=tmp_path).record
    assert not record["shared_prefix"]
    assert any("both directions" in note for note in record["notes"])


def test_checkpointing_of_activations_changes_rounding_only(llama_folder, tmp_path):
    made = []
    for on in (False, True):
        plan = replace(QUICK, checkpointing=on, epochs=1)
        made.append(finetune(llama_folder, LABELS, plan, folder=tmp_path / str(on)))
    nearly(*made)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_half_precision_trains_about_the_same(bert_folder, tmp_path, method):
    made = []
    for precision in ("float32", "bfloat16"):
        plan = replace(QUICK, precision=precision, dropout=False, method=method)
        made.append(finetune(bert_folder, LABELS, plan, folder=tmp_path / precision).record)
    assert made[1]["half"]
    assert made[1]["losses"] == pytest.approx(made[0]["losses"], rel=0.2)


def test_ratings_of_aspects_train_the_features_and_stay_out_of_the_model(bert_folder, tmp_path):
    ratings = np.full((len(LABELS.responses), 2), np.nan, dtype=np.float32)
    ratings[::2, 0] = [text.count("c") for text in LABELS.responses[::2]]
    rated = replace(LABELS, aspects=ratings)
    made = []
    for on in (False, True):
        plan = replace(QUICK, aspects=on)
        made.append(weights(finetune(bert_folder, rated, plan, folder=tmp_path / str(on))))
    assert made[0].keys() == made[1].keys()
    name = "bert.pooler.dense.weight"
    assert not torch.allclose(made[0][name], made[1][name], atol=1e-5)


def test_labels_that_may_be_wrong_pull_less(bert_folder, tmp_path):
    doubted = replace(LABELS, noise=np.full(len(LABELS), 0.3))
    made = [
        finetune(bert_folder, one, QUICK, folder=tmp_path / name).record["losses"]
        for name, one in (("sure", LABELS), ("doubted", doubted))
    ]
    assert made[0] != made[1]


# Bad input


def test_no_labels(bert_folder, tmp_path):
    nothing = Examples((), (), Comparisons.none(), np.arange(0))
    with pytest.raises(NothingToLearn, match="no labels"):
        finetune(bert_folder, nothing, QUICK, folder=tmp_path)


def test_ties_only(bert_folder, tmp_path):
    data = Comparisons.of([0], [1], [0])
    tied = Examples.of(["p", "p"], ["a", "b"], data)
    with pytest.raises(NothingToLearn, match="ties"):
        finetune(bert_folder, tied, QUICK, folder=tmp_path)


def test_ties_with_a_likelihood_that_has_none(bert_folder, tmp_path):
    with pytest.raises(FinetuneError, match="ties among the labels"):
        finetune(bert_folder, LABELS, replace(QUICK, tie=0.0), folder=tmp_path)


def test_one_label_is_enough(bert_folder, tmp_path):
    one = Examples.of(["p", "p"], ["a", "b"], Comparisons.of([0], [1], [1]))
    record = finetune(bert_folder, one, replace(QUICK, epochs=0), folder=tmp_path).record
    assert record["epochs"] == 2
    assert record["out_of_fold"]["log_loss"] is None
    assert record["prior_precision"] is None


def test_texts_that_are_long_or_empty(bert_folder, llama_folder, tmp_path):
    texts = ["", "x" * 5_000, "short", ""]
    data = Comparisons.of([0, 2], [1, 3], [1, -1])
    strange = Examples.of(["y" * 5_000] * 2 + [""] * 2, texts, data)
    for base in (bert_folder, llama_folder):
        record = finetune(base, strange, QUICK, folder=tmp_path / base.name).record
        assert record["truncated"] == 2
        assert any("2 of 4 texts were longer than 64 tokens" in note for note in record["notes"])


def test_pickle_weights_and_code_are_refused_before_anything_starts(bert_folder, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytest_model.bin").write_bytes(b"")
    with pytest.raises(UnusableModel, match="pickles"):
        finetune(tmp_path, LABELS, QUICK, folder=tmp_path / "run")
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "a.B"}}')
    with pytest.raises(UnusableModel, match="code of its own"):
        finetune(tmp_path, LABELS, QUICK, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_with_its_step_and_keeps_the_checkpoint(
    bert_folder, tmp_path, monkeypatch
):
    steps = []
    real = train_stage.loss.losses

    def broken(margin, *rest):
        steps.append(1)
        return real(margin, *rest) * (float("nan") if len(steps) > 3 else 1.0)

    monkeypatch.setattr(train_stage.loss, "losses", broken)
    with pytest.raises(Diverged, match="not a number at step 4") as caught:
        finetune(bert_folder, LABELS, QUICK, folder=tmp_path)
    assert caught.value.step == 4
    assert len(list(tmp_path.glob("checkpoint-*"))) == 1


def test_a_disk_that_is_full_stops_in_a_sentence_and_the_checkpoint_before_stays(
    bert_folder, whole, tmp_path, monkeypatch
):
    real, calls = checkpoints._sync, []

    def full(folder):
        calls.append(folder)
        if len(calls) == 4:
            raise OSError(28, "No space left on device")
        real(folder)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "_sync", full)
        with pytest.raises(CheckpointFailed, match="the disk is full"):
            finetune(bert_folder, LABELS, QUICK, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"base", "checkpoint-00000001"}
    same(weights(finetune(bert_folder, LABELS, QUICK, folder=tmp_path)), weights(whole[0]))


def short_of_memory(monkeypatch, *, pairs):
    real = train_stage.Scorer.forward

    def forward(self, given):
        if given.ends.shape[1] > pairs:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, given)

    monkeypatch.setattr(train_stage.Scorer, "forward", forward)


def test_fewer_pairs_at_a_time_where_memory_is_short(bert_folder, tmp_path, monkeypatch):
    plan = replace(QUICK, dropout=False, epochs=1)
    plenty = finetune(bert_folder, LABELS, plan, folder=tmp_path / "plenty")
    short_of_memory(monkeypatch, pairs=2)
    tuned = finetune(bert_folder, LABELS, plan, folder=tmp_path / "short")
    assert (plenty.record["micro_batch"], tuned.record["micro_batch"]) == (8, 2)
    nearly(plenty, tuned)


def test_memory_that_is_too_short_for_one_pair(bert_folder, tmp_path, monkeypatch):
    short_of_memory(monkeypatch, pairs=0)
    with pytest.raises(OutOfMemory, match="even with one pair"):
        finetune(bert_folder, LABELS, QUICK, folder=tmp_path)


def test_a_model_that_cannot_fit_is_refused_with_figures(bert_folder, tmp_path, monkeypatch):
    monkeypatch.setattr("learning.finetune.memory.available", lambda: 10 * 2**20)
    with pytest.raises(OutOfMemory, match=r"about 0\.6 GiB .* and 0\.0 GiB are free"):
        finetune(bert_folder, LABELS, QUICK, folder=tmp_path)


def test_a_lost_gpu_is_said_in_a_sentence(bert_folder, whole, tmp_path, monkeypatch):
    real, calls = train_stage.Scorer.forward, []

    def forward(self, given):
        calls.append(given)
        if len(calls) == 5:
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return real(self, given)

    with monkeypatch.context() as patched:
        patched.setattr(train_stage.Scorer, "forward", forward)
        with pytest.raises(DeviceLost, match="The last checkpoint is kept"):
            finetune(bert_folder, LABELS, QUICK, folder=tmp_path)
    same(weights(finetune(bert_folder, LABELS, QUICK, folder=tmp_path)), weights(whole[0]))


def test_whatever_report_raises_passes_through(bert_folder, tmp_path):
    def report(_: Progress):
        raise RuntimeError("CUDA is not what this is about")

    with pytest.raises(RuntimeError, match="not what this is about"):
        finetune(bert_folder, LABELS, QUICK, folder=tmp_path, report=report)


def test_all_errors_are_the_librarys():
    assert issubclass(FinetuneError, LearningError)
