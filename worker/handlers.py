"""Which function does which kind of job, and what to tell people when one is given up.

The functions are imported when they run: the celery process that only spawns children never
loads numpy or torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from annotator.errors import TiebreakError
from annotator.services.rounds import fail_round
from annotator.services.snapshots import fail_snapshot
from learning.errors import LearningError
from worker.jobs import RunningJob

# What these say is about the input or the settings: trying again cannot help.
PERMANENT: tuple[type[Exception], ...] = (TiebreakError, LearningError)


def _embed(job: RunningJob) -> None:
    from worker import embedding

    embedding.run(job)


def _round(job: RunningJob) -> None:
    from worker import rounds

    rounds.run(job)


def _snapshot(job: RunningJob) -> None:
    from worker import snapshots

    snapshots.run(job)


HANDLERS: dict[str, Callable[[RunningJob], None]] = {
    "embed": _embed,
    "round": _round,
    "snapshot": _snapshot,
}


def give_up(kind: str, arguments: dict[str, Any], error: str) -> None:
    """Tell the row that people look at that its job will not be finished."""
    if kind == "round":
        fail_round(round_id=arguments["round"], error=error)
    elif kind == "snapshot":
        fail_snapshot(snapshot_id=arguments["snapshot"], error=error)
