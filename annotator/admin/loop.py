"""Rounds, models, the queue and the jobs: what the workers do, in the open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from annotator import wording
from annotator.errors import TiebreakError
from annotator.models import (
    EncoderCard,
    EncoderVersion,
    Job,
    ModelVersion,
    Query,
    Round,
    Route,
    Slot,
)
from annotator.services import jobs, rounds

from .base import ReadOnlyAdmin


def _metric(metrics: Mapping[str, Any], name: str, form: str) -> str:
    figure = metrics.get(name) or {}
    if figure.get("value") is None:
        return "—"
    value = format(figure["value"], form)
    if figure["low"] is None:
        return f"{value} (too few prompts for an interval)"
    return f"{value} ({figure['low']:{form}} to {figure['high']:{form}})"


@admin.register(Round)
class RoundAdmin(ReadOnlyAdmin):
    """Each round with a state that a person can read; failed ones can be retried."""

    list_display = ["campaign", "number", "words", "trigger", "annotations_seen", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state"]
    actions = ["retry"]
    readonly_fields = ["in_words", "parameters"]
    fields = [
        *("campaign", "number", "state", "detail", "error", "trigger", "annotations_seen"),
        *("finished_at", "in_words", "parameters", "report"),
    ]

    @admin.display(description="how questions were chosen")
    def in_words(self, made: Round) -> SafeString:
        """The report, in sentences."""
        said = wording.sentences(made.report)
        return format_html_join("", "<p>{}</p>", ((text,) for text in said)) or SafeString("–")

    @admin.display(description="parameters and notes")
    def parameters(self, made: Round) -> SafeString:
        """Every option that was used, and what the function noted."""
        pairs = {**wording.options(made.report), **wording.facts(made.report)}
        return format_html_join("", "<div>{}: {}</div>", pairs.items()) or SafeString("–")

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
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "kind"]
    readonly_fields = ["accuracy", "log_loss", "good_enough"]

    @admin.display(description="round", ordering="round__number")
    def made_by(self, version: ModelVersion) -> int:
        """Round number."""
        return version.round.number

    @admin.display(description="accuracy on the holdout")
    def accuracy(self, version: ModelVersion) -> str:
        """With 95 % interval."""
        return _metric(version.metrics, "accuracy", ".1%")

    @admin.display(description="log-loss on the holdout")
    def log_loss(self, version: ModelVersion) -> str:
        """With 95 % interval."""
        return _metric(version.metrics, "log_loss", ".3f")

    @admin.display(description="what is good enough, on the holdout")
    def good_enough(self, version: ModelVersion) -> str:
        """How well the model knows the line, in words; only some forms ask about it."""
        line = version.metrics.get("good_enough")
        if not line:
            return "Not known: no held-out answer, or nothing this model learnt from, says it."
        return (
            f"Whether a response is good enough was said {line['n']} times about "
            f"{line['prompts']} held-out prompts. Called right: "
            f"{_metric(line, 'accuracy', '.1%')}. Log-loss: {_metric(line, 'log_loss', '.3f')}; "
            "0.693 is a coin. In brackets: 95 % intervals over prompts."
        )

    @admin.display(description="holdout answers")
    def tested(self, version: ModelVersion) -> int:
        """How many comparisons the figures rest on."""
        return int(version.metrics.get("n", 0))


@admin.register(EncoderCard)
class EncoderCardAdmin(ReadOnlyAdmin):
    """What encoders could learn, card by card."""

    list_display = ["campaign", "encoder_key", "labels", "learnable", "sentence", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter)]
    list_select_related = ["campaign"]


@admin.register(EncoderVersion)
class EncoderVersionAdmin(ReadOnlyAdmin):
    """Encoders that were trained on a campaign's answers; its page starts and rolls back."""

    list_display = ["campaign", "number", "state", "method", "comparisons", "reason", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state", "method"]
    list_select_related = ["campaign"]


@admin.register(Slot)
class SlotAdmin(ReadOnlyAdmin):
    """The queue."""

    list_display = ["id", "campaign", "query", "place", "state", "leased_until"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state"]
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
    list_filter = [
        ("campaign", admin.RelatedOnlyFieldListFilter),
        "arm",
        ("flagged_at", admin.EmptyFieldListFilter),
    ]
    actions = ["release", "withdraw"]
    readonly_fields = ["asked", "answers", "flags", "routed"]

    @admin.display(description="what was asked")
    def asked(self, query: Query) -> str:
        """Prompt and responses, as they were written."""
        texts = [response.text for response in query.responses.all()]
        return "\n\n———\n\n".join([str(query.prompt.content), *texts])

    @admin.display(description="answers")
    def answers(self, query: Query) -> str:
        """Every annotation, with its reason."""
        return "\n".join(
            f"{a.annotator}: {a.outcome}{f' – {a.rationale}' if a.rationale else ''}"
            for a in query.annotations.select_related("annotator").order_by("pk")
        )

    @admin.display(description="why it was flagged")
    def flags(self, query: Query) -> str:
        """The reasons of those who flagged it."""
        flagged = query.annotations.filter(outcome="flag").current()
        return "; ".join(flagged.values_list("rationale", flat=True))

    @admin.display(description="who was to answer")
    def routed(self, query: Query) -> str:
        """A person or the judge, and why; nothing was decided where there is no judge."""
        route = Route.objects.filter(query=query).first()
        return f"{route.get_to_display()}: {route.reason}" if route else "–"

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
    actions = ["cancel"]

    @admin.action(description="Cancel waiting and running jobs", permissions=["view"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Their worker is stopped at its next heartbeat; a round or export then says so."""
        for job in queryset:
            cancelled = jobs.cancel(job=job)
            told = messages.success if cancelled else messages.warning
            told(request, f"{job} is {'cancelled' if cancelled else 'ended already'}.")
