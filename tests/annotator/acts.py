"""What people do, in one word each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.utils import timezone

from annotator.models import Annotation, Assignment, Campaign, Slot
from annotator.services.annotations import record_annotation
from annotator.services.assignments import next_assignment


def lease(campaign: Campaign, person: User) -> Any:
    """The person's next assignment, or None."""
    return next_assignment(slug=campaign.slug, user=person)[1]


def answer(
    assignment: Assignment,
    person: User,
    choice: str = "a2",
    *,
    key: UUID | None = None,
    **more: Any,
) -> Annotation:
    """Press a button."""
    return record_annotation(
        assignment_id=assignment.pk,
        user=person,
        submission_key=key or assignment.submission_key,
        data={"choice": choice, **more},
    )


def expire(assignment: Assignment) -> Assignment:
    """Let a lease run out."""
    past = timezone.now() - timedelta(minutes=1)
    Assignment.objects.filter(pk=assignment.pk).update(lease_until=past)
    Slot.objects.filter(pk=assignment.slot_id).update(leased_until=past)
    assignment.refresh_from_db()
    return assignment
