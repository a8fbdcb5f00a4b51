"""A small campaign whose better responses are the longer ones, and doing its background work."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from annotator.models import Campaign, Job
from tests.annotator.acts import answer, lease
from tests.campaigns import item
from worker import child, jobs

FIELDS: dict[str, Any] = {
    "encoder": "hashed",
    "batch_size": 12,
    "labels_per_round": 6,
    "queue_low": 4,
    "holdout_prompts": 0.25,
    "random_share": 0.25,
    "holdout_share": 0.25,
}


def work() -> None:
    """Do what waits, as the celery task would, in this process."""
    for job in Job.objects.filter(state="queued").order_by("pk"):
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)


def rich(number: int) -> dict[str, Any]:
    """An item of which the longer response is the better one."""
    long = "a longer and more careful answer " * (2 + number % 5)
    return item(
        number,
        responses=[{"text": f"short {number}"}, {"text": f"{long} {number}"}],
        annotations=[{"annotator": "w", "kind": "human", "choice": 1, "strength": 2}],
    )


def prefer_longer(campaign: Campaign, person: User, most: int = 1000) -> int:
    """Answer like somebody who likes long answers."""
    done = 0
    while done < most and (assignment := lease(campaign, person)) is not None:
        texts = dict(assignment.query.responses.values_list("pk", "text"))
        first, second = (len(texts[pk]) for pk in assignment.display_order)
        answer(assignment, person, "a2" if first > second else "b2")
        done += 1
    return done
