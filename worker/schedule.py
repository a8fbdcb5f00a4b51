"""The sweep: what makes a lost doorbell harmless. Safe to run twice at once."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from annotator import dispatch
from annotator.errors import WrongState
from annotator.models import AnsweredRequest, Campaign, Delivery, EncoderVersion, Job, Round
from annotator.services import finetuning, rounds, routes
from annotator.services.jobs import CANCELLED, give_up

RETRY_AFTER = timedelta(minutes=15)
LOGGED = timedelta(days=30)  # webhook deliveries that ended
REMEMBERED = timedelta(days=1)  # answers to requests with an idempotency key


def sweep() -> str:
    """One pass; returns what was done, for the log."""
    given_up = give_up_hopeless()
    mended = revive_rounds() + retry_failed_rounds() + revive_finetunings()
    asked = sum(
        rounds.request_round_if_due(campaign=campaign) is not None
        for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING)
    )
    routed = sum(
        routes.go_on(campaign) for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING)
    )
    rung = ring_again()
    if Delivery.objects.filter(state=Delivery.State.WAITING, due_at__lte=Now()).exists():
        dispatch.deliveries_wait()
    Delivery.objects.exclude(state=Delivery.State.WAITING).filter(
        created_at__lt=Now() - LOGGED
    ).delete()
    AnsweredRequest.objects.filter(created_at__lt=Now() - REMEMBERED).delete()
    mended += routed
    return (
        f"rang {rung}, asked for {asked} rounds, mended {mended} rounds and trainings, gave up "
        f"{given_up} jobs"
    )


def ring_again() -> int:
    """Ring for jobs that wait although their bell should have been heard by now."""
    unheard = Now() - timedelta(seconds=settings.SWEEP_SECONDS)
    waiting = Job.objects.claimable().filter(
        Q(rung_at__isnull=True, created_at__lt=unheard) | Q(rung_at__lt=unheard)
    )
    for job in waiting:
        dispatch.ring(job)
    return len(waiting)


def give_up_hopeless() -> int:
    """End jobs whose last allowed attempt died without a word."""
    hopeless = Job.objects.filter(
        state=Job.State.RUNNING, lease_until__lt=Now(), attempt__gte=F("max_attempts")
    )
    ended = 0
    for job in hopeless:
        error = f"given up after {job.attempt} attempts: {job.error or 'the worker kept dying'}"
        with transaction.atomic():
            still = hopeless.filter(pk=job.pk, attempt=job.attempt)
            if still.update(
                state=Job.State.FAILED, error=error, finished_at=Now(), lease_until=None
            ):
                give_up(kind=job.kind, arguments=job.arguments, error=error)
                ended += 1
    return ended


def revive_rounds() -> int:
    """Give a job to rounds that are under way without one: nothing else would ever end them."""
    stranded = Round.objects.live().filter(campaign__state=Campaign.State.RUNNING)
    return sum(rounds.revive_round(made=made) for made in stranded)


def revive_finetunings() -> int:
    """The same for trainings under way without a job."""
    return sum(finetuning.revive(version=one) for one in EncoderVersion.objects.live())


def retry_failed_rounds() -> int:
    """Try a campaign's newest round again some time after it failed; people may do so sooner."""
    retried = 0
    for campaign in Campaign.objects.filter(state=Campaign.State.RUNNING):
        newest = campaign.rounds.first()
        if newest is None or newest.state != Round.State.FAILED or newest.error == CANCELLED:
            continue
        if campaign.rounds.filter(pk=newest.pk, finished_at__lt=Now() - RETRY_AFTER).exists():
            try:
                rounds.retry_round(made=newest)
                retried += 1
            except WrongState:
                continue  # somebody was faster
    return retried
