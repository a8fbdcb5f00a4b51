"""A machine that fails in mid-training: said on the page, tried again from the checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Annotation, Campaign, EncoderVersion, Job
from annotator.services import finetuning as services
from annotator.services import rounds
from annotator.services.campaigns import add_member
from learning.finetune import checkpoints, train_stage
from tests.worker.loops import work
from tests.worker.tunable import begin, tunable
from worker import encoderfiles

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.timeout(240),
    pytest.mark.usefixtures("place"),
]
Break = Callable[[pytest.MonkeyPatch, Callable[[], bool]], None]


@pytest.fixture
def campaign(base: Path, ruth: User) -> Campaign:
    made = tunable(base, unanswered=8)
    add_member(campaign=made, user=ruth, role="owner")
    work()
    return made


def gpu(patched: pytest.MonkeyPatch, now: Callable[[], bool]) -> None:
    """It stops answering in a forward pass."""
    real = train_stage.Scorer.forward

    def forward(self: Any, given: Any) -> Any:
        if now():
            raise torch.AcceleratorError("CUDA error: unspecified launch failure")
        return real(self, given)

    patched.setattr(train_stage.Scorer, "forward", forward)


def disk(patched: pytest.MonkeyPatch, now: Callable[[], bool]) -> None:
    """It is full when a checkpoint is written."""
    real = checkpoints._sync

    def sync(folder: Path) -> None:
        if now():
            raise OSError(28, "No space left on device")
        real(folder)

    patched.setattr(checkpoints, "_sync", sync)


def sooner() -> None:
    """The pause before the next attempt is over."""
    Job.objects.filter(kind="finetune").update(lease_until=None)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (gpu, "The GPU stopped answering in the middle of the training."),
        (disk, "The checkpoint could not be written: the disk is full."),
    ],
    ids=["gpu", "disk"],
)
def test_the_next_attempt_goes_on_from_the_checkpoint_and_the_old_model_stays_in_use(
    campaign: Campaign, as_ruth: Client, monkeypatch: pytest.MonkeyPatch, broken: Break, words: str
) -> None:
    old = begin(campaign)
    work()
    work()  # the round that the promotion asked for
    campaign.refresh_from_db()
    assert services.in_use(campaign) == old
    answers = Annotation.objects.count()

    version = begin(campaign, epochs=4)
    often = {**version.plan, "checkpoint_seconds": 0.0}
    EncoderVersion.objects.filter(pk=version.pk).update(plan=often)
    taken: list[str] = []
    step = train_stage.Stage._step

    def count(self: Any, given: Any) -> float:
        value = step(self, given)
        taken.append(self.name)
        return value

    monkeypatch.setattr(train_stage.Stage, "_step", count)
    with monkeypatch.context() as patched:
        broken(patched, lambda: taken.count("training") >= 10)
        work()

    version.refresh_from_db()
    job = Job.objects.get(kind="finetune", state="queued")
    assert (version.state, job.attempt) == ("training", 1)
    assert job.lease_until is not None  # after a pause
    assert words in job.error
    page = as_ruth.get("/c/loop/encoders/").content.decode()
    assert f"An attempt failed: {words}" in page
    assert "It is tried again from the checkpoint." in page
    assert "Version 2 is being made" in page
    assert list(encoderfiles.work(version).glob("checkpoint-*"))
    campaign.refresh_from_db()
    assert services.in_use(campaign) == old
    rounds.request_round(campaign=campaign, trigger="somebody waits")
    Job.objects.filter(kind="round", state="queued").update(lease_until=None)
    before = len(taken)
    sooner()
    work()

    version.refresh_from_db()
    assert version.state in ("promoted", "not_promoted"), version.error
    assert version.gate["against"] == old.number
    assert Job.objects.get(pk=job.pk).attempt == 2
    steps = version.record["steps"]
    assert before - taken.index("training") >= 10  # by the first attempt
    assert set(taken[before:]) == {"training"}  # the fold is not trained again
    assert taken.count("training") in (steps, steps + 1)  # at most the step that was under way
    newest = campaign.rounds.first()
    assert newest is not None
    assert newest.state == "published", newest.error
    assert Annotation.objects.count() == answers
    assert not encoderfiles.work(version).exists()


def test_a_machine_that_never_recovers_ends_in_a_sentence(
    campaign: Campaign, as_ruth: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = begin(campaign)
    disk(monkeypatch, lambda: True)
    for _ in range(5):
        sooner()
        work()
    version.refresh_from_db()
    assert version.state == "failed"
    assert "the disk is full" in version.error
    assert Job.objects.get(kind="finetune").state == "failed"
    assert services.in_use(campaign) is None
    assert "the disk is full" in as_ruth.get("/c/loop/encoders/").content.decode()
    monkeypatch.undo()
    again = services.request_finetuning(campaign=campaign)
    assert again is not None
    assert again.number == 2
