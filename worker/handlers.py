"""Which function does which kind of job, and what to tell people when one is given up.

The functions are imported when they run: the celery process that only spawns children never
loads numpy or torch.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from django.conf import settings
from django.db import transaction

from annotator.errors import TiebreakError
from annotator.services.jobs import give_up
from learning.errors import LearningError
from worker.jobs import RunningJob

# What these say is about the input or the settings: trying again cannot help.
PERMANENT: tuple[type[Exception], ...] = (TiebreakError, LearningError)


def _embed(job: RunningJob) -> None:
    from worker import embedding

    embedding.run(job)


def _card(job: RunningJob) -> None:
    from worker import cards

    cards.run(job)


def _curation(job: RunningJob) -> None:
    from worker import curation

    curation.run(job)


def _estimate(job: RunningJob) -> None:
    from worker import estimating

    os.nice(settings.FINETUNE_NICE)  # as the training that it is about
    estimating.run(job)


def _finetune(job: RunningJob) -> None:
    from worker import finetuning

    os.nice(settings.FINETUNE_NICE)  # rounds, judges and people come first
    finetuning.run(job)


def _import(job: RunningJob) -> None:
    from worker import imports

    imports.run(job)


def _judge(job: RunningJob) -> None:
    from worker import judging

    judging.run(job)


def _round(job: RunningJob) -> None:
    from worker import rounds

    rounds.run(job)


def _snapshot(job: RunningJob) -> None:
    from worker import snapshots

    snapshots.run(job)


HANDLERS: dict[str, Callable[[RunningJob], None]] = {
    "card": _card,
    "curation": _curation,
    "embed": _embed,
    "estimate": _estimate,
    "finetune": _finetune,
    "import": _import,
    "judge": _judge,
    "round": _round,
    "snapshot": _snapshot,
}


@transaction.atomic
def fail(job: RunningJob, error: str, *, again: bool) -> bool:
    """Record a failed attempt and, when it was the last, tell the row people look at. At once."""
    given_up = job.fail(error, again=again)
    if given_up:
        give_up(kind=job.kind, arguments=job.arguments, error=error)
    return given_up
