"""Reads. Each says how many queries it costs; the tests hold it to that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import (
    Avg,
    Case,
    CharField,
    Count,
    Exists,
    F,
    FloatField,
    IntegerField,
    JSONField,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, JSONObject
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator.errors import Missing
from annotator.forms import Shown, Step, sequence
from annotator.models import (
    Annotation,
    Annotator,
    Assignment,
    Campaign,
    GoldAnswer,
    Guidelines,
    Job,
    Preferences,
    Query,
    QueryResponse,
    Round,
    Slot,
)
from annotator.querysets import CHECKS, TESTS

PACE_OF = 20  # answers
JUDGED = ("preference", "tie", "neither", "other")


@dataclass(frozen=True)
class LoopStatus:
    """What decides whether a round is due, and what a person sees of the progress."""

    fresh: int  # judgements since the newest round was asked for
    open_slots: int  # slots that wait for an answer
    waiting: int  # queries that nobody has been given yet
    round_live: bool
    round_failed: bool  # the newest round failed: somebody has to look
    pool_left: bool  # the newest published round left something to ask
    judging: bool = False  # a judge is asked, or the router decides, about what comes next
    mine: int = 0  # answers this annotator gave
    today: int = 0  # of these, since midnight
    since: datetime | None = None  # when the first of these was given
    pace_ms: float | None = None  # attention that each of the last ones took
    own_keys: Mapping[str, str] | None = None  # the person's keys that are no defaults

    def with_one_more(self) -> LoopStatus:
        """As it stands when the question on the page has been answered."""
        return replace(self, mine=self.mine + 1, today=self.today + 1)


def loop_status(*, campaign_id: int, annotator_id: int | None = None) -> LoopStatus:
    """The state of one campaign's loop. One query.

    `fresh` counts by time of recording, which only decides when to ask for a round; what a
    model has seen is counted by the worker (ids and times commit out of order).
    """
    newest = Round.objects.filter(campaign_id=OuterRef("pk")).order_by("-number")
    fresh = Annotation.objects.filter(
        campaign_id=OuterRef("pk"), recorded_at__gt=OuterRef("asked_at")
    )
    fresh = fresh.judgements().exclude(via__in=[Annotation.Via.IMPORT, Annotation.Via.JUDGE])
    fresh = fresh.exclude(query__arm__in=CHECKS)
    slots = Slot.objects.filter(campaign_id=OuterRef("pk"), state__in=["open", "leased"])
    slots = slots.on_offer()
    person = _of_person(campaign_id, annotator_id) if annotator_id is not None else {}
    row = (
        Campaign.objects.filter(pk=campaign_id)
        .annotate(asked_at=Coalesce(Subquery(newest.values("created_at")[:1]), F("created_at")))
        .annotate(
            fresh=_count(fresh, "campaign_id"),
            open_slots=_count(slots, "campaign_id"),
            waiting=_count(slots.untouched(), "campaign_id", of="query_id"),
            round_live=Exists(newest.live()),
            judging=Exists(Job.objects.live().filter(campaign_id=OuterRef("pk"), kind="judge")),
            last_state=Subquery(newest.values("state")[:1]),
            last_report=Subquery(newest.filter(state="published").values("report")[:1]),
            **person,
        )
        .values(
            *("fresh", "open_slots", "waiting", "round_live", "last_state", "last_report"),
            "judging",
            *person,
        )
        .get()
    )
    today = row.get("day") or {}
    return LoopStatus(
        fresh=row["fresh"],
        open_slots=row["open_slots"],
        waiting=row["waiting"],
        round_live=row["round_live"],
        round_failed=row["last_state"] == Round.State.FAILED,
        pool_left=bool((row["last_report"] or {}).get("pool_left", True)),
        judging=row["judging"],
        mine=row.get("mine", 0),
        today=today.get("answers", 0) - row.get("tests_today", 0),
        since=datetime.fromisoformat(today["since"]) if today.get("answers") else None,
        pace_ms=row.get("pace"),
        own_keys=row.get("own_keys"),
    )


def _of_person(campaign_id: int, annotator_id: int) -> dict[str, Any]:
    """Columns about one annotator: answers, those of today, the pace of the last ones, keys.

    Practice and tests are few: to count and subtract them costs less than to look at each answer.
    """
    mine = Assignment.objects.filter(annotator_id=annotator_id, state="answered")
    tests = mine.filter(query__campaign_id=campaign_id, query__arm__in=TESTS)
    day = mine.filter(closed_at__gte=midnight()).order_by()
    figures = JSONObject(answers=Count("pk"), since=Min("closed_at"))
    last = day.order_by("-closed_at").values("pk")[:PACE_OF]
    took = Annotation.objects.filter(assignment__in=last, superseded_by=None).order_by()
    keys = Preferences.objects.filter(user__annotators=annotator_id)
    return {
        "mine": _count(mine, "annotator_id") - _count(tests, "annotator_id"),
        "day": Subquery(
            day.values("annotator_id").annotate(figures=figures).values("figures"),
            output_field=JSONField(),
        ),
        "tests_today": _count(tests.filter(closed_at__gte=midnight()), "annotator_id"),
        "pace": Subquery(
            took.values("annotator_id").annotate(pace=Avg("active_ms")).values("pace"),
            output_field=FloatField(),
        ),
        "own_keys": Subquery(keys.values("keys")[:1]),
    }


def own_keys(*, user: User) -> dict[str, str]:
    """A person's keys that are no defaults. One query."""
    return Preferences.objects.filter(user=user).values_list("keys", flat=True).first() or {}


def midnight() -> datetime:
    """When today began, in the site's time zone."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def _count(rows: QuerySet, by: str, of: str = "pk") -> Coalesce:  # type: ignore[type-arg]
    distinct = of != "pk"
    counted = rows.order_by().values(by).annotate(n=Count(of, distinct=distinct)).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


@dataclass(frozen=True)
class Sight:
    """What one person sees of a query: the prompt and the responses in their drawn order.

    Carries no model name, score, arm or other answer: the page cannot leak what it never gets.

    Attributes:
        prompt, context: What all responses answer; empty where each has a prompt of its own.
        responses: Their texts.
        prompts: One a response, where they differ.
        shown: What forms need to know.
    """

    prompt: str | list[dict[str, str]]
    context: str
    responses: tuple[str, ...]
    prompts: tuple[str | list[dict[str, str]], ...]
    shown: Shown


def sight(*, assignment: Assignment) -> Sight:
    """The texts of one assignment. One query."""
    rows = QueryResponse.objects.filter(query_id=assignment.query_id).values_list(
        "response_id",
        "response__text",
        "response__prompt_id",
        "response__prompt__content",
        "response__prompt__context",
    )
    by_id = {row[0]: row[1:] for row in rows}
    texts, prompt_ids, prompts, contexts = zip(
        *(by_id[response_id] for response_id in assignment.display_order), strict=True
    )
    apart = len(set(prompt_ids)) > 1
    return Sight(
        prompt="" if apart else prompts[0],
        context="" if apart else contexts[0],
        responses=texts,
        prompts=prompts if apart else (),
        shown=Shown(tuple(assignment.display_order), texts, lot(assignment)),
    )


def seen(assignment: Assignment, steps: Sequence[Step]) -> Shown:
    """What forms need to know of it; texts, for one query, only where a part looks at them."""
    if any(step.part.name == "edit" or step.options.get("highlights") for step in steps):
        return sight(assignment=assignment).shown
    return Shown(tuple(assignment.display_order), lot=lot(assignment))


def lot(assignment: Assignment) -> float:
    """A number in [0, 1) that only the assignment decides."""
    return (assignment.pk.int % 1_000_003) / 1_000_003


def steps(query: Query) -> tuple[Step, ...]:
    """What a query asks, as its campaign had it when the query was made. No query."""
    names = (query.form, *query.parts.get("follow_ups", ()))
    return sequence(names, query.parts.get("options", {}))


def my_campaigns(*, user: User) -> QuerySet[Campaign]:
    """Campaigns in which this person answers, with what waits for them. One query."""
    mine = Assignment.objects.filter(
        annotator__user=user, annotator__campaign_id=OuterRef("pk"), state="answered"
    ).work()
    waiting = Slot.objects.filter(campaign_id=OuterRef("pk"), state__in=["open", "leased"])
    waiting = waiting.shared()
    running_first = Case(When(state="running", then=0), When(state="paused", then=1), default=2)
    return (
        Campaign.objects.answered_by(user)
        .exclude(state=Campaign.State.DRAFT)
        .annotate(
            mine=_count(mine, "annotator__campaign_id"),
            waiting=_count(waiting, "campaign_id"),
        )
        .order_by(running_first, "name")
    )


def campaign_to_answer(*, slug: str, user: User) -> Campaign:
    """The campaign, if this person may answer in it. One query.

    Raises:
        Missing: no such campaign, a draft, or not for this person.
    """
    found = (
        Campaign.objects.answered_by(user)
        .exclude(state=Campaign.State.DRAFT)
        .annotate(guidelines_version=newest_guidelines())
        .filter(slug=slug)
        .first()
    )
    if found is None:
        raise Missing(_("no campaign “%(slug)s” that you can answer in") % {"slug": slug})
    return found


def newest_guidelines(outer: str = "pk") -> Coalesce:
    """Subquery: the newest version number of a campaign's guidelines, 0 when it has none."""
    newest = Guidelines.objects.filter(campaign_id=OuterRef(outer)).order_by("-version")
    return Coalesce(Subquery(newest.values("version")[:1]), 0)


def stage() -> Case:
    """Column of an annotator: what comes before the first question: practice, qualification, "".

    Nobody waits for a question that was retired, withdrawn or flagged.
    """
    keys = GoldAnswer.objects.filter(campaign_id=OuterRef("campaign_id"), active=True)
    keys = keys.filter(query__flagged_at__isnull=True, query__withdrawn=False)
    practice = Q(practised_at__isnull=True) & Exists(keys.filter(purpose="practice"))
    untested = Q(campaign__qualification_pass__gt=0, qualified_at__isnull=True)
    tested = untested & Q(disqualified_at__isnull=True)
    return Case(
        When(practice, then=Value("practice")),
        When(tested & Exists(keys.filter(purpose="qualification")), then=Value("qualification")),
        default=Value(""),
        output_field=CharField(),
    )


def given() -> Case:
    """Column of an annotator: how many questions they got; 0 where nothing is ever mixed in."""
    got = Assignment.objects.filter(annotator_id=OuterRef("pk"))
    mixes = Q(campaign__gold_share__gt=0) | Q(campaign__repeat_share__gt=0)
    return Case(When(mixes, then=_count(got, "annotator_id")), default=Value(0))


@dataclass(frozen=True)
class EmptyQueue:
    """Why there is no question for this person now."""

    reason: str  # paused, finished, preparing, failed, leased, others, done
    until: datetime | None = None


def why_empty(*, campaign: Campaign, annotator: Annotator) -> EmptyQueue:
    """Why nothing can be served to this person. At most five queries; only when empty."""
    if campaign.state in (Campaign.State.PAUSED, Campaign.State.FINISHED):
        return EmptyQueue(campaign.state)
    unseen = Slot.objects.filter(campaign=campaign).unseen_by(annotator.pk)
    leased = unseen.filter(state="leased").aggregate(until=Max("leased_until"))["until"]
    if leased is not None:
        first = unseen.filter(state="leased").order_by("leased_until").first()
        return EmptyQueue("leased", first.leased_until if first else leased)
    status = loop_status(campaign_id=campaign.pk)
    if status.round_failed:
        return EmptyQueue("failed")
    if status.round_live or status.judging or status.pool_left:
        return EmptyQueue("preparing")
    return EmptyQueue("others" if status.open_slots else "done")
