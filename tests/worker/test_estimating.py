"""What a training would take, measured by a worker on the campaign's own answers."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotator.models import Campaign, EncoderVersion, Job, TrainingEstimate
from annotator.services import finetuning
from annotator.services.estimates import request_estimate
from annotator.services.jobs import CANCELLED, cancel
from tests.campaigns import load
from tests.worker.loops import work
from tests.worker.tunable import PLAN, asked, begin, tunable
from worker import child, estimating, examples, jobs

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def hurry(place: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("learning.finetune.estimate_speed._BUDGET", 0.2)
    monkeypatch.setattr("learning.finetune.estimate_speed._READ", 0.05)
    monkeypatch.setattr("learning.finetune.estimate_ensemble._BUDGET", 0.2)
    monkeypatch.setattr("learning.finetune.estimate_ensemble._READ", 0.05)


@pytest.fixture
def campaign(base: Path) -> Campaign:
    return tunable(base)


def estimated(campaign: Campaign, **options: Any) -> TrainingEstimate:
    """After a worker had its turn at this job alone."""
    made = request_estimate(campaign=campaign, options={**PLAN, **options})
    assert made is not None
    claimed = jobs.claim(Job.objects.get(kind="estimate", state="queued").pk)
    assert claimed is not None
    child.main(claimed.id, claimed.attempt)
    made.refresh_from_db()
    return made


def test_it_says_what_the_training_then_takes(campaign: Campaign) -> None:
    made = estimated(campaign)
    assert (made.state, made.error) == ("done", "")
    said = made.figures
    assert said["memory"]["fits"]
    low, high = said["duration"]["seconds"]
    assert 0 < low < high < 600
    version = begin(campaign)
    work()
    version.refresh_from_db()
    assert said["labels"] == version.comparisons == version.record["labels"]
    assert said["responses"] == version.record["responses"]
    assert said["folds"] == version.record["out_of_fold"]["folds"]
    assert said["epochs"] == [6, 6]
    assert said["duration"]["tokens"][0] == pytest.approx(version.record["tokens"], rel=0.05)
    assert said["held_out"] == version.gate["prompts"] >= said["held_out_needed"] == 30
    assert (said["pool"], said["members"]) == (680, 0)


def test_nothing_is_embedded_or_kept_for_it(campaign: Campaign, tmp_path: Path) -> None:
    made = estimated(campaign)
    assert made.figures["judges_counted"] is False
    assert not list(tmp_path.rglob("*.npy"))
    assert not list(tmp_path.rglob("labels.npz"))
    assert not EncoderVersion.objects.exists()


def test_with_features_the_labels_are_read_as_a_training_reads_them(campaign: Campaign) -> None:
    work()  # the round that computes features
    made = estimated(campaign)
    assert made.figures["judges_counted"] is True
    version = begin(campaign)
    gathered = examples.gather(version, progress=lambda done, total: None)
    seen = examples.preview(campaign, progress=lambda done, total: None)
    assert seen.examples.digest() == gathered.digest()
    assert made.figures["labels"] == len(gathered)


def test_held_out_prompts_are_in_no_preview(campaign: Campaign) -> None:
    held = set(campaign.prompts.filter(is_holdout=True).values_list("content", flat=True))
    for _ in ("without features", "with them"):
        seen = examples.preview(campaign, progress=lambda done, total: None)
        assert held
        assert not held & set(seen.examples.prompts)
        work()


@pytest.mark.parametrize(
    ("choice", "words"),
    [(None, "There are no labels to learn from."), ("tie", "labels are ties; none says which")],
)
def test_labels_that_teach_nothing_are_said_to(base: Path, choice: Any, words: str) -> None:
    campaign = tunable(base, items=0, unanswered=12)
    if choice is not None:
        rows = [asked(n) for n in range(50, 60)]
        for row in rows:
            row["annotations"][0]["choice"] = choice
        load(campaign, rows, history=True)
    made = estimated(campaign)
    assert made.state == "failed"
    assert words in made.error
    assert Job.objects.get(kind="estimate").attempt == 1


def test_what_does_not_fit_is_said_with_both_figures(campaign: Campaign, settings: Any) -> None:
    settings.FINETUNE_MEMORY_MB = 1
    made = estimated(campaign)
    assert made.state == "done"
    needed = made.figures["memory"]
    assert not needed["fits"]
    assert needed["smallest"] > needed["available"] == 2**20
    assert made.figures["duration"] is None
    assert made.figures["labels"] > 0


def test_an_ensemble_that_does_not_fit_is_said(campaign: Campaign, monkeypatch: Any) -> None:
    needed = estimated(campaign, members=4)
    assert (needed.state, needed.figures["members"]) == ("done", 4)
    low, high = needed.figures["duration"]["ensemble"]
    assert 0 < low < high < 600
    ensembles = "worker.room.ensembles"
    real = importlib.import_module("learning.finetune.lora_ensemble_run").estimate_ensemble

    def large(*args: Any) -> Any:
        return replace(real(*args), available=0)

    monkeypatch.setattr(f"{ensembles}.estimate_ensemble", large)
    made = estimated(campaign, members=4)
    assert made.state == "failed"
    assert "ensemble" in made.error
    assert estimated(campaign).state == "done"


def test_a_folder_with_pickle_weights_is_refused(base: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    folder = tmp_path / "pickled"
    shutil.copytree(base, folder)
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    made = estimated(tunable(folder, items=20))
    assert made.state == "failed"
    assert "safetensors" in made.error


def test_it_starts_where_the_training_would(campaign: Campaign, monkeypatch: Any) -> None:
    version = begin(campaign)
    work()
    version.refresh_from_db()
    assert version.promoted_at is not None, version.reason
    campaign.refresh_from_db()
    seen: list[Path] = []
    measure = estimating.estimate

    def look(base: Path, *args: Any, beside: Path, **named: Any) -> Any:
        assert beside == Path(campaign.encoder.removeprefix("hf:"))  # members begin untrained
        seen.append(base)
        return measure(base, *args, beside=beside, **named)

    monkeypatch.setattr(estimating, "estimate", look)
    assert estimated(campaign).state == "done"
    assert [str(one)[-len(version.path) :] for one in seen] == [version.path]


def test_one_that_is_stopped_says_so_and_writes_nothing(
    campaign: Campaign, monkeypatch: Any
) -> None:
    made = request_estimate(campaign=campaign, options=PLAN)
    assert made is not None
    tell = jobs.RunningJob.progress

    def stop(job: jobs.RunningJob, done: int, total: int, message: str = "") -> None:
        if job.kind == "estimate" and "timing" in message:
            cancel(job=Job.objects.get(pk=job.id))
        tell(job, done, total, message)

    monkeypatch.setattr(jobs.RunningJob, "progress", stop)
    work()
    made.refresh_from_db()
    assert (made.state, made.error, made.figures) == ("failed", CANCELLED, {})
    assert finetuning.in_use(campaign) is None


def test_marks_of_aspects_are_counted(base: Path) -> None:
    campaign = tunable(base, items=0, unanswered=12)
    rows = [asked(n) for n in range(50, 90)]
    for row in rows:
        row["annotations"][0]["ratings"] = {"clear": [1, 2], "true": [2, 3]}
    load(campaign, rows, history=True)
    assert estimated(campaign).figures["aspects"] == 2
    assert estimated(campaign, aspects=False).figures["aspects"] == 0
