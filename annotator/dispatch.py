"""The only door to background work.

A job row is written in the caller's transaction; the doorbell rings after the commit. When the
broker is down the row still stands, and the sweep rings again: nothing is lost, only later.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from celery import current_app
from django.db import IntegrityError, transaction
from django.utils import timezone

from annotator.models import Campaign, Job

logger = logging.getLogger(__name__)

RUN_JOB = "worker.run_job"
CONSIDER = "worker.consider_round"
DELIVER = "worker.deliver"
QUEUES = {
    "card": "learning",
    "curation": "learning",
    "embed": "learning",
    "estimate": "learning",
    "finetune": "learning",
    "import": "default",
    "judge": "judges",
    "round": "learning",
    "snapshot": "default",
}


def enqueue(
    *, kind: str, key: str, arguments: dict[str, Any], campaign: Campaign | None = None
) -> Job | None:
    """Ask for one piece of work. Returns None when a live job of that key exists already."""
    job = Job(kind=kind, key=key, arguments=arguments, campaign=campaign, queue=QUEUES[kind])
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        return None
    transaction.on_commit(partial(ring, job))
    return job


def ring(job: Job) -> None:
    """Tell some worker that the job waits."""
    if _send(RUN_JOB, [job.pk], job.queue):
        Job.objects.filter(pk=job.pk).update(rung_at=timezone.now())


def deliveries_wait() -> None:
    """Tell some worker that webhooks are to be delivered, after the commit."""
    transaction.on_commit(partial(_send, DELIVER, [], "default"))


def nudge(campaign: Campaign) -> None:
    """Tell some worker that a round may be due. Costs the request no query; may be lost."""
    transaction.on_commit(partial(_send, CONSIDER, [campaign.pk], "default"))


def _send(task: str, arguments: list[int], queue: str) -> bool:
    """Send a message, if the broker is there. Never raises: the rows are the truth."""
    try:
        current_app.send_task(task, args=arguments, queue=queue)
    except Exception as error:  # any broker, any failure: the sweep repeats what matters
        logger.warning("message %s%s was not sent, the sweep makes up: %s", task, arguments, error)
        return False
    return True


def embed_wanted(campaign: Campaign) -> None:
    """Compute features for texts that have none yet."""
    enqueue(
        kind="embed",
        key=f"embed:{campaign.pk}",
        arguments={"campaign": campaign.pk},
        campaign=campaign,
    )


def card_wanted(campaign: Campaign) -> Job | None:
    """Measure what the campaign's encoder can learn; None when that is under way already."""
    return enqueue(
        kind="card",
        key=card_key(campaign),
        arguments={"campaign": campaign.pk},
        campaign=campaign,
    )


def card_key(campaign: Campaign) -> str:
    """Names the job, so that its state can be shown."""
    return f"card:{campaign.pk}"


def curation_wanted(campaign: Campaign, arguments: dict[str, Any]) -> Job | None:
    """Check what an export would hold; None when that is under way already."""
    return enqueue(
        kind="curation", key=curation_key(campaign), arguments=arguments, campaign=campaign
    )


def curation_key(campaign: Campaign) -> str:
    """Names the job, so that its state can be shown."""
    return f"curation:{campaign.pk}"


def estimate_key(campaign: Campaign) -> str:
    """Names the job, so that its progress can be shown; one at a time per campaign."""
    return f"estimate:{campaign.pk}"


def finetune_key(campaign: Campaign) -> str:
    """Names the job, so that its progress can be shown; one at a time per campaign."""
    return f"finetune:{campaign.pk}"
