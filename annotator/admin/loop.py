"""Rounds, models, the queue and the jobs: what the workers do, in the open."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from annotator.errors import TiebreakError
from annotator.models import Job, ModelVersion, Query, Round, Slot
from annotator.services import rounds

from .base import ReadOnlyAdmin


def _metric(version: ModelVersion, name: str, form: str) -> str:
    figure = version.metrics.get(name) or {}
    if figure.get("value") is None:
        return "—"
    value, low, high = (format(figure[key], form) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


@admin.register(Round)
class RoundAdmin(ReadOnlyAdmin):
    """Each round with a state that a person can read; failed ones can be retried."""

    list_display = ["campaign", "number", "words", "trigger", "annotations_seen", "created_at"]
    list_filter = ["campaign", "state"]
    actions = ["retry"]

    @admin.action(description="Retry failed rounds", permissions=["view"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Round]) -> None:
        """Run failed rounds again."""
        for made in queryset.select_related("campaign"):
            try:
                rounds.retry_round(made=made)
                messages.success(request, f"{made} is tried again.")
            except TiebreakError as error:
                messages.error(request, f"{made}: {error}")


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    """What was learnt, measured on the holdout."""

    list_display = ["campaign", "made_by", "kind", "comparisons", "accuracy", "log_loss", "tested"]
    list_filter = ["campaign", "kind"]

    @admin.display(description="round", ordering="round__number")
    def made_by(self, version: ModelVersion) -> int:
        """Round number."""
        return version.round.number

    @admin.display(description="accuracy on the holdout")
    def accuracy(self, version: ModelVersion) -> str:
        """With 95 % interval."""
        return _metric(version, "accuracy", ".1%")

    @admin.display(description="log-loss on the holdout")
    def log_loss(self, version: ModelVersion) -> str:
        """With 95 % interval."""
        return _metric(version, "log_loss", ".3f")

    @admin.display(description="holdout answers")
    def tested(self, version: ModelVersion) -> int:
        """How many comparisons the figures rest on."""
        return int(version.metrics.get("n", 0))


@admin.register(Slot)
class SlotAdmin(ReadOnlyAdmin):
    """The queue."""

    list_display = ["id", "campaign", "query", "place", "state", "leased_until"]
    list_filter = ["campaign", "state"]
    ordering = ["campaign", "place", "id"]


@admin.register(Query)
class QueryAdmin(ReadOnlyAdmin):
    """Questions that were put; flagged ones wait for a decision here."""

    list_display = [
        "id",
        "campaign",
        "round",
        "arm",
        "acquisition",
        "score",
        "propensity",
        "flagged_at",
    ]
    list_filter = ["campaign", "arm", ("flagged_at", admin.EmptyFieldListFilter)]
    actions = ["release", "withdraw"]

    @admin.action(description="Offer flagged questions again", permissions=["view"])
    def release(self, request: HttpRequest, queryset: QuerySet[Query]) -> None:
        """Nothing is wrong with them."""
        for query in queryset.filter(flagged_at__isnull=False):
            rounds.release_flagged(query=query)
        messages.success(request, "Offered again.")

    @admin.action(description="Withdraw flagged questions", permissions=["view"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Query]) -> None:
        """Nobody is asked these again."""
        for query in queryset.filter(flagged_at__isnull=False):
            rounds.withdraw_flagged(query=query)
        messages.success(request, "Withdrawn.")


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """Background work."""

    list_display = ["id", "kind", "campaign", "state", "message", "attempt", "created_at", "error"]
    list_filter = ["state", "kind"]
