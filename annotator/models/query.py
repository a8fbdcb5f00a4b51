"""Rounds and the questions they put: queries, slots, assignments."""

from __future__ import annotations

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotator.querysets import AssignmentQuerySet, RoundQuerySet, SlotQuerySet

from .campaign import Annotator, Campaign
from .pool import Item, Prompt, Response


class Round(models.Model):
    """One fit → score → select → publish cycle, with a state that a person can read."""

    class State(models.TextChoices):
        WAITING = "waiting", "waiting for a worker"
        EMBEDDING = "embedding", "embedding"
        FITTING = "fitting", "fitting"
        SELECTING = "selecting", "selecting"
        PUBLISHED = "published", "published"
        FAILED = "failed", "failed"

    ENDED = (State.PUBLISHED, State.FAILED)

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="rounds")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=State, default=State.WAITING)
    detail = models.CharField(max_length=500, blank=True, help_text="Progress, in words.")
    trigger = models.CharField(max_length=200, help_text="Why the round started.")
    error = models.TextField(blank=True)
    annotations_seen = models.PositiveIntegerField(
        default=0, help_text="How many recorded annotations the fit saw: the version by count."
    )
    report = models.JSONField(default=dict, blank=True, help_text="What the selection did.")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = RoundQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["campaign", "number"], name="one_round_per_number"),
            models.UniqueConstraint(
                fields=["campaign"],
                condition=~Q(state__in=["published", "failed"]),
                name="rounds_never_overlap",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.campaign} round {self.number}"

    @property
    def words(self) -> str:
        """The state in words: `embedding 3 200 of 10 000`, `failed: …`."""
        if self.state == self.State.FAILED:
            return f"failed: {self.error.splitlines()[-1] if self.error else 'unknown reason'}"
        label = str(self.State(self.state).label)
        return f"{label} {self.detail}" if self.detail else label


class Query(models.Model):
    """A question that was put: a form plus an unordered set of responses, made by a round."""

    class Arm(models.TextChoices):
        POLICY = "policy", "policy"
        RANDOM = "random", "random"
        HOLDOUT = "holdout", "holdout"
        GOLD = "gold", "gold"
        REPEAT = "repeat", "repeat"
        AUDIT = "audit", "audit"
        IMPORTED = "imported", "imported history"
        PRACTICE = "practice", "practice"
        QUALIFICATION = "qualification", "qualification test"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="queries")
    round = models.ForeignKey(
        Round, null=True, blank=True, on_delete=models.CASCADE, related_name="queries"
    )
    item = models.ForeignKey(
        Item, null=True, blank=True, on_delete=models.SET_NULL, related_name="queries"
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="queries")
    responses = models.ManyToManyField(Response, through="QueryResponse", related_name="queries")
    form = models.CharField(max_length=20)
    parts = models.JSONField(
        default=dict,
        blank=True,
        help_text="What was asked, as the campaign had it then: follow_ups, and options by form.",
    )
    arm = models.CharField(max_length=16, choices=Arm)
    repeat_of = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="repeats",
        help_text="The question that one person is asked again, to see how steady they are.",
    )
    acquisition = models.CharField(max_length=40, blank=True)
    score = models.FloatField(null=True, blank=True, help_text="Acquisition score, if any.")
    propensity = models.FloatField(
        null=True, blank=True, help_text="Probability with which the query was chosen."
    )
    model_version = models.ForeignKey(
        "annotator.ModelVersion",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="queries",
    )
    flagged_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Held: nobody is given it before a researcher has decided.",
    )
    withdrawn = models.BooleanField(default=False, help_text="Nobody is given it any more.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "queries"
        constraints = [
            models.CheckConstraint(
                condition=Q(arm="repeat", repeat_of__isnull=False)
                | (~Q(arm="repeat") & Q(repeat_of__isnull=True)),
                name="repeats_say_of_what",
            )
        ]
        indexes = [models.Index(fields=["campaign", "arm"], name="query_by_arm")]

    def __str__(self) -> str:
        return f"query {self.pk}"


class QueryResponse(models.Model):
    """One response of a query. The set has no order: sides are drawn per assignment."""

    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="members")
    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["query", "response"], name="response_once_per_query")
        ]

    def __str__(self) -> str:
        return f"{self.query} has {self.response}"


class Slot(models.Model):
    """One wanted human answer to a query; a query with overlap 3 has 3 slots."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        LEASED = "leased", "leased"
        ANSWERED = "answered", "answered"
        WITHDRAWN = "withdrawn", "withdrawn"

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="slots")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="slots")
    place = models.PositiveIntegerField(help_text="Order of serving inside the campaign.")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    leased_until = models.DateTimeField(null=True, blank=True)
    holder = models.UUIDField(
        null=True, blank=True, help_text="The assignment that has the lease, also after it ran out."
    )
    reserved_for = models.ForeignKey(
        Annotator,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="reserved_slots",
        help_text="The only person who is ever given it: practice, tests, gold and repeats.",
    )
    annotation = models.OneToOneField(
        "annotator.Annotation",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="counted_in",
        help_text="The one annotation that counts for this slot.",
    )

    objects = SlotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state="answered", annotation__isnull=False)
                | (~Q(state="answered") & Q(annotation__isnull=True)),
                name="answered_means_counted",
            ),
            models.CheckConstraint(
                condition=Q(state="leased", leased_until__isnull=False) | ~Q(state="leased"),
                name="leased_has_an_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["campaign", "place", "id"],
                condition=Q(state__in=["open", "leased"], reserved_for__isnull=True),
                name="slot_queue",
            ),
        ]

    def __str__(self) -> str:
        return f"slot {self.pk} of {self.query}"


class Assignment(models.Model):
    """The lease of one slot to one annotator, with the drawn display order."""

    class State(models.TextChoices):
        OPEN = "open", "open"
        ANSWERED = "answered", "answered"
        SKIPPED = "skipped", "skipped"
        FLAGGED = "flagged", "flagged"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slot = models.ForeignKey(Slot, on_delete=models.CASCADE, related_name="assignments")
    query = models.ForeignKey(Query, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=10, choices=State, default=State.OPEN)
    display_order = ArrayField(
        models.BigIntegerField(), help_text="Response ids as shown: A first. Drawn once, stored."
    )
    submission_key = models.UUIDField(default=uuid.uuid4, help_text="Makes submitting idempotent.")
    lease_until = models.DateTimeField()
    guidelines_version = models.PositiveIntegerField(default=0)
    ahead = models.BooleanField(
        default=False, help_text="Leased while the person still worked on the one before."
    )
    draft = models.JSONField(default=dict, blank=True, help_text="What was typed so far.")
    shown_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True, blank=True)
    reopened = models.PositiveSmallIntegerField(default=0, help_text="How often it was undone.")

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["query", "annotator"], name="never_asked_twice")
        ]
        indexes = [
            models.Index(
                fields=["annotator"], condition=Q(state="open"), name="assignment_open_for"
            ),
            models.Index(fields=["annotator", "-closed_at"], name="assignment_history"),
        ]

    def __str__(self) -> str:
        return f"assignment {self.pk}"
