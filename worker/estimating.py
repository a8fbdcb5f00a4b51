"""What a training would take: read the labels, measure the model for some seconds, say it."""

from __future__ import annotations

from typing import Any

import numpy as np
from django.conf import settings

from annotator.models import EncoderVersion, TrainingEstimate
from annotator.services.estimates import record_estimate
from annotator.services.finetuning import in_use
from learning.finetune import Progress, base_of
from learning.finetune.estimate import Pool, estimate
from learning.finetune.gate import FEWEST
from worker import embedding, examples, textindex
from worker.examples import Preview
from worker.finetuning import base_folder, plan_of
from worker.jobs import RunningJob
from worker.room import MEGABYTE, refuse_too_large

SAMPLE = 256  # responses of the pool whose length is looked at


def run(job: RunningJob) -> None:
    """Measure one estimate; what it cannot be about fails with a sentence.

    Raises:
        LearningError: there is nothing to learn from, or the encoder cannot be trained.
    """
    wanted = TrainingEstimate.objects.select_related("campaign__encoder_version").get(
        pk=job.arguments["estimate"]
    )
    if wanted.state != TrainingEstimate.State.WAITING:
        with job.fence():
            return
    figures = _measure(job, wanted)
    with job.fence():
        record_estimate(estimate_id=wanted.pk, figures=figures)


def _measure(job: RunningJob, wanted: TrainingEstimate) -> dict[str, Any]:
    campaign = wanted.campaign
    job.progress(0, 0, "reading the answers")
    read = examples.preview(
        campaign, progress=lambda done, total: job.progress(done, total, "reading the answers")
    )
    version = EncoderVersion(  # as it would be made; it is never saved
        campaign=campaign,
        base=campaign.encoder,
        base_version=in_use(campaign),
        method=wanted.method,
        plan=wanted.plan,
    )
    read.examples.check()  # what is to be said of the labels is said first
    plan = plan_of(version)
    base = base_folder(version)
    found = estimate(
        base,
        read.examples,
        plan,
        pool=_pool(read),
        beside=base_of(embedding.own_encoder(version)),
        limit=settings.FINETUNE_MEMORY_MB * MEGABYTE,
        report=lambda progress: job.progress(0, 0, _said(progress)),
    )
    if plan.members and found.memory.fits:  # whose ensemble may not fit
        refuse_too_large(base, plan, read.examples)
    rated = read.examples.aspects
    return found.to_dict() | {
        "max_tokens": plan.max_tokens,
        "threads": plan.threads,
        "pool": len(read.index.ids),
        "members": plan.members,
        "aspects": 0 if rated is None or not plan.aspects else int(rated.shape[1]),
        "judges_counted": read.whole,
        "held_out": read.held,
        "held_out_needed": FEWEST,
    }


def _pool(read: Preview) -> Pool:
    """All responses, of which some are looked at."""
    ids = read.index.ids
    some = ids[np.linspace(0, len(ids) - 1, min(SAMPLE, len(ids))).astype(int)]
    texts = list(textindex.read_texts(some))
    return Pool(len(ids), [prompt for _, prompt, _ in texts], [text for _, _, text in texts])


def _said(progress: Progress) -> str:
    return "counting tokens" if progress.stage == "reading" else "timing some steps of the training"
