"""The researcher's page of a campaign: everything it says, in a fixed number of queries."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.db.models import Aggregate, Case, Count, FloatField, Max, Q, When

from annotator.checks import Attention, attention
from annotator.dispatch import card_key
from annotator.models import (
    Annotation,
    Annotator,
    Campaign,
    EncoderCard,
    Job,
    Response,
    Round,
    Snapshot,
)
from annotator.querysets import CHECKS
from annotator.selectors import JUDGED


@dataclass(frozen=True)
class Figures:
    """The first page of a campaign, for the researcher."""

    campaign: Campaign
    prompts: int
    holdout_prompts: int
    responses: int
    judgements: int
    by_outcome: dict[str, int]
    by_arm: dict[str, int]
    open_slots: int
    answered_slots: int
    held_slots: int
    rounds: list[Round]
    curve: list[dict[str, Any]]  # points of the newest report: all on the same answers
    annotators: list[Annotator]
    snapshots: list[Snapshot]
    card: EncoderCard | None
    measuring: Job | None  # the newest job that measures a card, whatever became of it
    attention: list[Attention]  # what gold and repeats say, one line a person
    known: dict[str, int]  # questions with a known answer, by purpose

    @property
    def changing(self) -> bool:
        """Whether workers will change the page soon: it then refreshes itself."""
        live = any(made.state not in Round.ENDED for made in self.rounds)
        built = any(snapshot.under_way for snapshot in self.snapshots)
        return live or built or (self.measuring is not None and self.measuring.under_way)

    @property
    def chosen(self) -> Round | None:
        """The newest round that chose questions."""
        return next((made for made in self.rounds if made.state == Round.State.PUBLISHED), None)


def figures(*, campaign: Campaign) -> Figures:
    """Everything the campaign page says. A fixed number of queries, whatever the size."""
    prompts = campaign.prompts.aggregate(n=Count("pk"), held=Count("pk", Q(is_holdout=True)))
    standing = Annotation.objects.filter(campaign=campaign).standing()
    keys = list(campaign.gold_answers.filter(active=True))
    by_arm: dict[str, int] = dict(
        standing.order_by().values_list("query__arm").annotate(n=Count("pk")).order_by("-n")
    )
    slots = campaign.slots.shared().aggregate(
        open=Count("pk", Q(state__in=["open", "leased"])),
        answered=Count("pk", Q(state="answered")),
        held=Count("pk", Q(state="open", query__flagged_at__isnull=False)),
    )
    outcomes = Annotation.objects.filter(campaign=campaign).current()
    return Figures(
        campaign=campaign,
        prompts=prompts["n"],
        holdout_prompts=prompts["held"],
        responses=Response.objects.filter(prompt__campaign=campaign).count(),
        judgements=sum(n for arm, n in by_arm.items() if arm not in CHECKS),
        by_outcome=dict(
            outcomes.order_by().values_list("outcome").annotate(n=Count("pk")).order_by("-n")
        ),
        by_arm=by_arm,
        open_slots=slots["open"],
        answered_slots=slots["answered"],
        held_slots=slots["held"],
        rounds=list(campaign.rounds.all()[:10]),
        curve=_curve(campaign),
        annotators=pace(campaign=campaign),
        snapshots=list(campaign.snapshots.all()[:20]),
        card=campaign.encoder_cards.first(),
        measuring=campaign.jobs.filter(key=card_key(campaign)).first(),
        attention=attention(campaign=campaign, keys=keys),
        known=dict(Counter(str(key.purpose) for key in keys)),
    )


def _curve(campaign: Campaign) -> list[dict[str, Any]]:
    newest = campaign.rounds.filter(state=Round.State.PUBLISHED).values_list("report", flat=True)
    report = newest.first() or {}
    points: list[dict[str, Any]] = report.get("curve", [])
    return sorted(points, key=lambda point: (point["round"], point["kind"]))


class Median(Aggregate):
    """The median, computed by PostgreSQL."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def pace(*, campaign: Campaign) -> list[Annotator]:
    """Annotators with answers, skips, last answer and median seconds of attention. One query."""
    said = "annotations__outcome"
    history_last = Case(When(user__isnull=True, then=1), default=0)
    return list(
        Annotator.objects.filter(campaign=campaign)
        .annotate(
            answers=Count("annotations", Q(**{f"{said}__in": JUDGED})),
            skips=Count("annotations", Q(**{said: "skip"})),
            flags=Count("annotations", Q(**{said: "flag"})),
            last_at=Max("annotations__recorded_at", filter=~Q(annotations__via="import")),
            median_ms=Median("annotations__active_ms", filter=Q(**{f"{said}__in": JUDGED})),
        )
        .filter(Q(answers__gt=0) | Q(user__isnull=False))
        .order_by(history_last, "-answers", "pseudonym")
    )
