"""Claiming, renewing and ending jobs. Every write names the attempt, so the past cannot write.

A job is claimed by one conditional UPDATE. While it runs its lease is renewed; when its worker
dies the lease runs out and the sweep rings for it again. Results are written inside `fence`,
which locks the row and refuses an attempt that is no longer the current one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from annotator.models import Job

State = Job.State


class Superseded(Exception):
    """Another attempt has the job, or it was cancelled: stop, and write nothing."""


class PermanentFailure(Exception):
    """Trying again cannot help; the message says what a person should do."""


class Interrupted(Exception):
    """The machine failed, not the input; the message says what the next attempt will do."""


def _in(seconds: float) -> Any:
    """A moment by the clock of the database, the only one that all workers share."""
    return Now() + timedelta(seconds=seconds)


def _lease() -> Any:
    return _in(settings.JOB_LEASE_SECONDS)


@dataclass(frozen=True)
class RunningJob:
    """One attempt at one job, as its handler sees it."""

    id: int
    kind: str
    arguments: dict[str, Any]
    attempt: int

    def _mine(self) -> Any:
        return Job.objects.filter(pk=self.id, attempt=self.attempt, state=State.RUNNING)

    def heartbeat(self) -> bool:
        """Renew the lease; False when the job is no longer this attempt's."""
        return bool(self._mine().update(lease_until=_lease()))

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Say how far the work is, and renew the lease.

        Raises:
            Superseded: stop working.
        """
        fields = {"done": done, "total": total, "message": message[:500], "lease_until": _lease()}
        if not self._mine().update(**fields):
            raise Superseded(f"job {self.id} attempt {self.attempt}")

    @contextmanager
    def fence(self) -> Iterator[None]:
        """A transaction that commits only if this attempt is current; ends the job with it.

        Raises:
            Superseded: another attempt is current; everything inside is rolled back.
        """
        with transaction.atomic():
            if not self._mine().select_for_update().exists():
                raise Superseded(f"job {self.id} attempt {self.attempt}")
            yield
            self._mine().update(state=State.DONE, finished_at=Now(), lease_until=None, error="")

    def done(self) -> bool:
        """Whether this attempt has ended the job."""
        mine = Job.objects.filter(pk=self.id, attempt=self.attempt)
        return mine.filter(state=State.DONE).exists()

    def fail(self, error: str, *, again: bool) -> bool:
        """Record a failed attempt: tried again after a pause, or given up. True when given up.

        The pause doubles from one attempt to the next, so that a broker or a database that is
        away for some minutes does not use up all attempts.
        """
        mine = self._mine()
        pause = _in(settings.JOB_LEASE_SECONDS * 2 ** (self.attempt - 1) / 8)
        if again and mine.filter(attempt__lt=F("max_attempts")).update(
            state=State.QUEUED, error=error, lease_until=pause
        ):
            return False
        return bool(
            mine.update(state=State.FAILED, error=error, lease_until=None, finished_at=Now())
        )

    def release(self) -> None:
        """Give the job back after an orderly stop of the worker, which costs no attempt."""
        self._mine().update(
            state=State.QUEUED, lease_until=None, max_attempts=F("max_attempts") + 1
        )


@transaction.atomic
def claim(job_id: int) -> RunningJob | None:
    """Take a job if it waits, or if its last worker's lease ran out. The row lock decides."""
    free = Job.objects.select_for_update(skip_locked=True).filter(pk=job_id).claimable()
    job = free.first()
    if job is None:
        return None
    Job.objects.filter(pk=job.pk).update(
        state=State.RUNNING,
        attempt=job.attempt + 1,
        lease_until=_lease(),
        started_at=Now(),
        message="",
    )
    return RunningJob(job.pk, job.kind, job.arguments, job.attempt + 1)
