"""The sweep: what makes a lost doorbell harmless. Safe to run twice at once."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from annotator import dispatch
from annotator.models import Campaign, Job
from annotator.services import rounds
from worker.handlers import give_up


def sweep() -> str:
    """One pass; returns what was done, for the log."""
    given_up = give_up_hopeless()
    asked = sum(
        rounds.request_round_if_due(campaign=campaign) is not None
        for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING)
    )
    rung = ring_again()
    return f"rang {rung}, asked for {asked} rounds, gave up {given_up} jobs"


def ring_again() -> int:
    """Ring for jobs that wait although their bell should have been heard by now."""
    now = timezone.now()
    unheard = now - timedelta(seconds=settings.SWEEP_SECONDS)
    waiting = Job.objects.claimable(now=now).filter(
        Q(rung_at__isnull=True, created_at__lt=unheard) | Q(rung_at__lt=unheard)
    )
    for job in waiting:
        dispatch.ring(job)
    return len(waiting)


def give_up_hopeless() -> int:
    """End jobs whose last allowed attempt died without a word."""
    now = timezone.now()
    hopeless = Job.objects.live().filter(
        Q(lease_until__lt=now) | Q(lease_until__isnull=True), attempt__gte=F("max_attempts")
    )
    ended = 0
    for job in hopeless:
        error = f"given up after {job.attempt} attempts: {job.error or 'the worker kept dying'}"
        still = hopeless.filter(pk=job.pk, attempt=job.attempt)
        if still.update(state=Job.State.FAILED, error=error, finished_at=now, lease_until=None):
            give_up(job.kind, job.arguments, error)
            ended += 1
    return ended
