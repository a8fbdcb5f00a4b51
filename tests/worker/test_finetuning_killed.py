"""Two starts at once, and a worker that is killed in the middle of a training."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from annotator.models import EncoderVersion, Job, TrainingEstimate
from annotator.services import finetuning as services
from annotator.services.estimates import request_estimate
from config.broker import install_queue_schema
from tests.annotator.test_races import together
from tests.campaigns import make_campaign
from tests.learning.finetune import tinymodels
from tests.worker.processes import process, until
from tests.worker.test_killed import alive, children_of
from tests.worker.tunable import begin, tunable
from worker import encoderfiles

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300),
    pytest.mark.concurrent,
]


def test_many_starts_at_once_are_one_training(ruth: User) -> None:
    campaign = make_campaign()
    made = together(lambda _: services.request_finetuning(campaign=campaign), list(range(12)))
    assert len([one for one in made if one is not None]) == 1
    assert EncoderVersion.objects.count() == Job.objects.filter(kind="finetune").count() == 1


def test_many_estimates_at_once_are_one(ruth: User) -> None:
    campaign = make_campaign()
    made = together(lambda _: request_estimate(campaign=campaign, user=ruth), list(range(8)))
    assert len([one for one in made if one is not None]) == 1
    assert TrainingEstimate.objects.count() == Job.objects.filter(kind="estimate").count() == 1


def test_a_killed_estimate_is_made_anew(ruth: User, tmp_path: Path, settings: Any) -> None:
    install_queue_schema()
    settings.VAR_DIR = tmp_path
    base = tinymodels.bert(tmp_path / "base", dropout=0.0)
    campaign = tunable(base, items=60, unanswered=0)
    Job.objects.all().update(state="done")
    campaign.rounds.all().delete()
    made = request_estimate(campaign=campaign)
    assert made is not None

    def row() -> TrainingEstimate:
        connection.close()
        return TrainingEstimate.objects.get(pk=made.pk)

    def running() -> bool:
        connection.close()
        return Job.objects.filter(kind="estimate", state="running").exists()

    with process("beat", tmp_path):
        with process("worker", tmp_path, TORCH_THREADS="1") as first:
            until(running, seconds=120, what="an attempt")
            children = children_of(first.pid)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            until(lambda: not any(alive(pid) for pid in children), what="the children's end")
        assert row().state == "waiting"
        with process("worker", tmp_path, TORCH_THREADS="1"):
            until(lambda: row().state != "waiting", seconds=200, what="the end of it")
    ended = row()
    assert (ended.state, ended.error) == ("done", "")
    assert ended.figures["labels"] > 0
    assert Job.objects.get(kind="estimate").attempt >= 2


def test_one_roll_back_of_many_at_once_is_done(ruth: User) -> None:
    from annotator.errors import WrongState
    from tests.annotator.finetuned import ended

    campaign = make_campaign()
    first, second = ended(campaign), ended(campaign)

    def leave(_: int) -> bool:
        try:
            services.roll_back(version=EncoderVersion.objects.get(pk=second.pk))
        except WrongState:
            return False
        return True

    assert sum(together(leave, list(range(8)))) == 1
    campaign.refresh_from_db()
    assert services.in_use(campaign) == first


def test_a_killed_training_goes_on_from_its_checkpoint(
    ruth: User, tmp_path: Path, settings: Any
) -> None:
    install_queue_schema()
    settings.VAR_DIR = tmp_path
    base = tinymodels.bert(tmp_path / "base", dropout=0.0)
    campaign = tunable(base, unanswered=0)
    Job.objects.all().update(state="done")
    campaign.rounds.all().delete()
    version = begin(campaign, epochs=12)
    often = {**version.plan, "checkpoint_seconds": 0.0}
    EncoderVersion.objects.filter(pk=version.pk).update(plan=often)

    def row() -> EncoderVersion:
        connection.close()
        return EncoderVersion.objects.get(pk=version.pk)

    checkpoints = encoderfiles.work(version)
    with process("beat", tmp_path):
        with process("worker", tmp_path, TORCH_THREADS="1") as first:
            until(lambda: row().state == "training", seconds=120, what="training")
            children = children_of(first.pid)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            until(lambda: not any(alive(pid) for pid in children), what="the children's end")
        kept = {path.name for path in checkpoints.rglob("*") if path.is_file()}
        assert "labels.npz" in kept
        assert len(kept) > 1  # a checkpoint beside it
        assert row().state == "training"
        with process("worker", tmp_path, TORCH_THREADS="1"):
            until(lambda: not row().under_way, seconds=200, what="the end of it")
            until(lambda: not checkpoints.exists(), what="the end of its checkpoints")
    ended = row()
    assert ended.state == "promoted", (ended.state, ended.error, ended.reason)
    assert Job.objects.get(kind="finetune").attempt >= 2
    shutil.rmtree(tmp_path / "base")
