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
QUEUES = {"embed": "learning", "round": "learning", "snapshot": "default"}


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
    """Tell some worker that the job waits. Never raises: the row is the truth."""
    try:
        current_app.send_task(RUN_JOB, args=[job.pk], queue=job.queue)
    except Exception as error:  # any broker, any failure: the sweep will ring again
        logger.warning("doorbell for %s failed, the sweep will repeat it: %s", job, error)
        return
    Job.objects.filter(pk=job.pk).update(rung_at=timezone.now())


def embed_wanted(campaign: Campaign) -> None:
    """Compute features for texts that have none yet."""
    enqueue(
        kind="embed",
        key=f"embed:{campaign.pk}",
        arguments={"campaign": campaign.pk},
        campaign=campaign,
    )
