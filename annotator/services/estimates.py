"""What a training would take: asked for before it starts, measured by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotator import dispatch
from annotator.errors import WrongState
from annotator.models import Campaign, EncoderVersion, TrainingEstimate
from annotator.services.finetuning import checked, trainable

State = TrainingEstimate.State


@transaction.atomic
def request_estimate(
    *,
    campaign: Campaign,
    method: str = EncoderVersion.Method.FULL,
    options: Mapping[str, Any] | None = None,
    user: User | None = None,
) -> TrainingEstimate | None:
    """Have a worker measure what a training would take; None while it measures another.

    Raises:
        InvalidInput: no such method or option, or a value that cannot be.
        WrongState: the campaign was not started, its encoder has nothing to train, or a training
            is under way, beside which nothing can be measured.
    """
    plan = checked(method, options or {})
    locked = trainable(campaign)
    if locked.encoders.live().exists():
        raise WrongState(
            "a training is under way: what the next one takes can be measured when it has ended"
        )
    if locked.training_estimates.filter(state=State.WAITING).exists():
        return None
    made: TrainingEstimate = locked.training_estimates.create(
        method=method, plan=plan, requested_by=user
    )
    dispatch.enqueue(
        kind="estimate",
        key=dispatch.estimate_key(locked),
        arguments={"estimate": made.pk},
        campaign=locked,
    )
    return made


def record_estimate(*, estimate_id: int, figures: Mapping[str, Any]) -> None:
    """Store what was measured. Call inside the job's fence."""
    _waiting(estimate_id).update(
        state=State.DONE, figures=dict(figures), finished_at=timezone.now()
    )


def fail_estimate(*, estimate_id: int, error: str) -> None:
    """Say why there is none."""
    _waiting(estimate_id).update(state=State.FAILED, error=error, finished_at=timezone.now())


def _waiting(estimate_id: int) -> Any:
    return TrainingEstimate.objects.filter(pk=estimate_id, state=State.WAITING)
