"""Reads for one person about their own answers. Nothing of others, of arms, models or scores."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Avg, Count, F, Prefetch, Q, QuerySet, Sum, TextField, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Coalesce, Left
from django.db.models.lookups import Transform
from django.utils.translation import gettext as _

from annotator import selectors
from annotator.answer_words import Told, first_line, in_words
from annotator.errors import InvalidInput
from annotator.figures import Median
from annotator.models import Annotation, Annotator, Assignment, Campaign

PAGE: Final = 50
START: Final = 2_000  # characters of a prompt that are looked at for its first line
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR: Final = re.compile(r"(open|[0-9]{1,16})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
CHANGEABLE: Final = (Campaign.State.RUNNING, Campaign.State.PAUSED)


@dataclass(frozen=True)
class Version:
    """One recorded answer of a chain, in words."""

    phrases: list[str]
    rationale: str
    at: datetime


@dataclass(frozen=True)
class Row:
    """One question that this person answered, skipped, flagged, or took an answer back from.

    Attributes:
        prompt: Its first line; empty while a researcher looks at the question.
        held: It was reported or withdrawn: it is shown to nobody.
        now: What stands.
        before: What stood before it, the newest first.
        late: It came after its lease had run out.
        taken_back: It waits to be answered again.
        corrected: It was changed on the page of corrections.
        changeable: It can be changed now.
    """

    assignment: uuid.UUID
    prompt: str
    held: bool
    now: Version
    before: list[Version]
    late: bool
    taken_back: bool
    corrected: bool
    changeable: bool


@dataclass(frozen=True)
class Page:
    """Some rows, and where the older ones begin."""

    rows: list[Row]
    older: str = ""


@dataclass(frozen=True)
class Summary:
    """How much, and how fast: for oneself alone. No comparison, no aim."""

    today: int = 0
    week: int = 0
    all: int = 0
    today_ms: int | None = None
    pace_ms: float | None = None
    median_ms: float | None = None


def annotator_of(*, campaign: Campaign, user: User) -> Annotator | None:
    """Under which row this person answers here, if they have begun. One query."""
    return Annotator.objects.filter(campaign=campaign, user=user).first()


def page(*, annotator: Annotator, campaign: Campaign, before: str = "") -> Page:
    """Answers, the newest first, in pages of 50. Two queries, whatever came before.

    Raises:
        InvalidInput: `before` is not where a page ended.
    """
    mine = _of(annotator).filter(Q(closed_at__isnull=False) | Q(state="open", reopened__gt=0))
    rows = mine.filter(_older(before)) if before else mine
    found = list(
        rows.order_by("-closed_at", "-pk")  # what was taken back has no end yet, and comes first
        .select_related("query")
        .defer("draft")
        .annotate(prompt_start=_start_of_prompt())
        .prefetch_related(Prefetch("annotations", Annotation.objects.order_by("pk")))[: PAGE + 1]
    )
    last = found[PAGE - 1] if len(found) > PAGE else None
    older = f"{_moment(last.closed_at)}_{last.pk}" if last else ""
    shown = [_row(assignment, campaign) for assignment in found[:PAGE]]
    return Page([row for row in shown if row], older)


def _of(annotator: Annotator) -> QuerySet[Assignment]:
    return Assignment.objects.filter(annotator=annotator).work()


class AsText(Transform):
    """A JSON value as text, a string without its quotes."""

    template = "(%(expressions)s #>> '{}')"
    output_field = TextField()


def _start_of_prompt() -> Left:
    """The beginning of the newest turn, or of a plain prompt: texts may be very long."""
    content = "query__prompt__content"
    turn = KeyTextTransform("content", KeyTransform("-1", content))
    return Left(Coalesce(turn, AsText(F(content)), Value("")), START)


def _moment(at: datetime | None) -> str:
    return "open" if at is None else str((at - EPOCH) // timedelta(microseconds=1))


def _older(before: str) -> Q:
    """What comes after the place that a page ended at."""
    found = CURSOR.fullmatch(before)
    if found is None:
        said = _("before: expected where a page ended, got “%(before)s”")
        raise InvalidInput(said % {"before": before[:80]})
    since, pk = found[1], found[2]
    if since == "open":
        return Q(closed_at__isnull=False) | Q(pk__lt=pk)
    at = EPOCH + timedelta(microseconds=int(since))
    return Q(closed_at__lt=at) | Q(closed_at=at, pk__lt=pk)


def _row(assignment: Assignment, campaign: Campaign) -> Row | None:
    chain = list(assignment.annotations.all())
    if not chain:
        return None
    query, last = assignment.query, chain[-1]
    taken_back = last.outcome == "undone"
    said = [one for one in reversed(chain) if one.outcome != "undone"]
    words = [version(one, query.form, query.parts) for one in said]
    held = bool(query.flagged_at or query.withdrawn)
    follows = next((one for one in chain if one.pk == last.supersedes_id), None)
    start: str = assignment.prompt_start  # type: ignore[attr-defined]
    return Row(
        assignment=assignment.pk,
        prompt="" if held else first_line(start),
        held=held,
        now=words[0],
        before=words[1:],
        late=said[0].late,
        taken_back=taken_back,
        corrected=bool(follows and follows.outcome != "undone" and not taken_back),
        changeable=assignment.state == "answered" and not held and campaign.state in CHANGEABLE,
    )


def version(said: Annotation, form: str, parts: dict[str, Any]) -> Version:
    """One recorded answer in words."""
    reason = "" if said.outcome == "flag" else said.rationale
    return Version(in_words(told(said, form, parts)), reason, said.recorded_at)


def told(said: Annotation, form: str, parts: dict[str, Any]) -> Told:
    """A recorded answer as words need it."""
    return Told(
        forms=(form, *parts.get("follow_ups", ())),
        order=said.display_order or [],
        outcome=said.outcome,
        tiers=said.tiers,
        acceptable=said.acceptable,
        strength=said.strength,
        rationale=said.rationale,
        details=said.details,
        options=parts.get("options", {}),
    )


def summary(*, annotator: Annotator) -> Summary:
    """How many answers, and the attention they took. One query."""
    today = Q(closed_at__gte=selectors.midnight())
    week = Q(closed_at__gte=selectors.midnight() - timedelta(days=6))
    took = "annotations__active_ms"
    figures = (
        _of(annotator)
        .filter(state="answered", annotations__superseded_by=None)
        .aggregate(
            today=Count("pk", today),
            week=Count("pk", week),
            all=Count("pk"),
            today_ms=Sum(took, filter=today),
            pace_ms=Avg(took, filter=today),
            median_ms=Median(took),
        )
    )
    return Summary(**figures)
