"""Celery's view: doorbells. Load, call one function, stop."""

from __future__ import annotations

from celery import shared_task

from annotator.models import Campaign
from annotator.services import rounds
from worker import jobs, runner, schedule, turns, upkeep, webhooks


@shared_task(name="worker.run_job", acks_late=True)  # type: ignore[untyped-decorator]
def run_job(job_id: int) -> str:
    """Run one job if nobody else does. Safe to repeat, to run twice at once and to arrive late."""
    with turns.taken(job_id) as free:
        if not free:
            return "waits: another training runs here"
        job = jobs.claim(job_id)
        if job is None:
            return "taken or done"
        return runner.run(job)


@shared_task(name="worker.consider_round")  # type: ignore[untyped-decorator]
def consider_round(campaign_id: int) -> str:
    """Ask for a round if one is due; somebody has just answered, or waits at an empty queue."""
    campaign = Campaign.objects.filter(pk=campaign_id).first()
    if campaign is None or rounds.request_round_if_due(campaign=campaign) is None:
        return "not due"
    return "asked"


@shared_task(name="worker.deliver")  # type: ignore[untyped-decorator]
def deliver() -> str:
    """Send the webhooks that are due."""
    return f"tried {webhooks.deliver()} deliveries"


@shared_task(name="worker.sweep")  # type: ignore[untyped-decorator]
def sweep() -> str:
    """Ring again for lost jobs, give up hopeless ones, ask for rounds that are due."""
    return schedule.sweep()


@shared_task(name="worker.tidy")  # type: ignore[untyped-decorator]
def tidy() -> str:
    """Remove files that nobody needs any more."""
    return upkeep.tidy()
