"""The record: append-only. A database trigger refuses UPDATE and DELETE (see the migrations)."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models

from annotator.querysets import AnnotationQuerySet

from .campaign import Annotator, Campaign
from .query import Assignment, Query


class Annotation(models.Model):
    """One recorded answer, by a person or a judge; superseded, never overwritten.

    `tiers` is the weak order over the query's response ids, best first:
    `[[3], [8]]` is 3 > 8, `[[3, 8]]` a tie. `acceptable` is the number of tiers above the
    line of good enough: 0 is "neither is good enough", null is unknown.
    """

    class Outcome(models.TextChoices):
        PREFERENCE = "preference", "preference"
        TIE = "tie", "tie"
        NEITHER = "neither", "neither is good enough"
        SKIP = "skip", "skip"
        FLAG = "flag", "flag"
        UNDONE = "undone", "taken back"
        OTHER = "other", "rated or edited, not ordered"

    class Via(models.TextChoices):
        PAGE = "page", "page"
        API = "api", "API"
        IMPORT = "import", "import"
        JUDGE = "judge", "judge"

    campaign = models.ForeignKey(Campaign, on_delete=models.PROTECT, related_name="annotations")
    query = models.ForeignKey(Query, on_delete=models.PROTECT, related_name="annotations")
    annotator = models.ForeignKey(Annotator, on_delete=models.PROTECT, related_name="annotations")
    assignment = models.ForeignKey(
        Assignment, null=True, blank=True, on_delete=models.PROTECT, related_name="annotations"
    )
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_by"
    )
    via = models.CharField(max_length=10, choices=Via)
    submission_key = models.UUIDField(unique=True, default=uuid.uuid4)

    outcome = models.CharField(max_length=12, choices=Outcome)
    tiers = models.JSONField(null=True, blank=True)
    acceptable = models.PositiveSmallIntegerField(null=True, blank=True)
    strength = models.PositiveSmallIntegerField(null=True, blank=True)
    rationale = models.TextField(blank=True)
    details = models.JSONField(
        default=dict,
        blank=True,
        help_text="By form, what the weak order does not say: aspects, ratings, tags, marks, …",
    )
    extra = models.JSONField(default=dict, blank=True, help_text="What an import said besides.")

    late = models.BooleanField(default=False, help_text="Came after its lease had run out.")
    display_order = ArrayField(models.BigIntegerField(), null=True, blank=True)
    guidelines_version = models.PositiveIntegerField(default=0)
    shown_at = models.DateTimeField(null=True, blank=True)
    recorded_at = models.DateTimeField(auto_now_add=True)
    first_action_ms = models.PositiveIntegerField(null=True, blank=True)
    active_ms = models.PositiveIntegerField(null=True, blank=True)

    objects = AnnotationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(strength__isnull=True) | models.Q(strength__range=(1, 3)),
                name="strength_is_1_to_3",
            )
        ]
        indexes = [
            models.Index(fields=["campaign", "recorded_at"], name="annotation_by_time"),
        ]

    def __str__(self) -> str:
        return f"annotation {self.pk}: {self.outcome}"
