"""Who answers what: handing a round's questions to the judge, and what the router decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from annotator import dispatch
from annotator.models import Campaign, Judge, Query, Round, Route, Slot
from annotator.services import budgets
from annotator.services.judges import asked, stop_asking

JUDGED_ARMS = (Query.Arm.POLICY, Query.Arm.RANDOM)  # the random arm is answered by both


@dataclass(frozen=True)
class Decision:
    """Who is to answer one question."""

    query_id: int
    to: str
    reason: str
    audit: bool = False
    error: float | None = None
    value: float | None = None
    propensity: float = 1.0
    seconds: float = 0.0


def hand_over(*, made: Round, queries: Sequence[Query]) -> list[Query]:
    """Give a new round's questions to the judge; returns those that people get at once.

    What the policy chose waits for the router. The random arm goes to both: what people and the
    judge say there, drawn from everything, is what the judge is measured on.
    """
    if not any(query.arm in JUDGED_ARMS for query in queries):
        return list(queries)
    ask_judge(made.campaign)
    return [query for query in queries if query.arm != Query.Arm.POLICY]


def ask_judge(campaign: Campaign) -> None:
    """Have a worker ask the judge about what it was not asked yet, then route it."""
    arguments = {"campaign": campaign.pk}
    dispatch.enqueue(
        kind="judge", key=judge_key(campaign.pk), arguments=arguments, campaign=campaign
    )


def judge_key(campaign_id: int) -> str:
    """One campaign's judge is asked by one worker at a time."""
    return f"judge:{campaign_id}"


def unrouted(campaign: Campaign) -> Any:
    """Questions that the policy chose and nobody was told to answer."""
    chosen = Query.objects.filter(campaign=campaign, arm=Query.Arm.POLICY, round__isnull=False)
    return chosen.filter(route__isnull=True, slots__isnull=True, withdrawn=False)


@transaction.atomic
def apply_routes(
    *, campaign: Campaign, judge: Judge | None, policy: str, decisions: Sequence[Decision]
) -> int:
    """Store who answers what, and offer people what is theirs. Returns how many are theirs.

    A question that was routed meanwhile keeps its route.
    """
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # one router at a time
    waiting = {query.pk: query for query in unrouted(campaign).select_related("round")}
    fresh = [one for one in decisions if one.query_id in waiting]
    Route.objects.bulk_create(
        Route(
            query_id=one.query_id,
            judge=judge,
            to=one.to,
            reason=one.reason,
            policy=policy,
            audit=one.audit,
            error=one.error,
            value=one.value,
            propensity=one.propensity,
            seconds=one.seconds,
        )
        for one in fresh
    )
    theirs = [waiting[one.query_id] for one in fresh if one.to == Route.To.HUMAN]
    Slot.objects.bulk_create(
        Slot(campaign=campaign, query=query, place=query.round.number if query.round else 0)
        for query in theirs
        for _ in range(campaign.overlap)
    )
    left = [one.query_id for one in fresh if one.to == Route.To.NOBODY]
    Query.objects.filter(pk__in=left).update(withdrawn=True)
    return len(theirs)


def route_to_people(*, campaign: Campaign, judge: Judge | None, reason: str) -> int:
    """Let people answer everything that waits for a decision."""
    found = unrouted(campaign).values_list("pk", flat=True)
    decisions = [Decision(query_id, Route.To.HUMAN, reason) for query_id in found]
    return apply_routes(
        campaign=campaign, judge=judge, policy=campaign.routing, decisions=decisions
    )


def go_on(campaign: Campaign) -> bool:
    """See to questions that wait for a decision and that no job will decide about.

    After a message that was lost, a judge that was switched off, or a round that was published
    just when the judge was done. True if there were any.
    """
    if campaign.jobs.live().filter(key=judge_key(campaign.pk)).exists():
        return False
    spent = budgets.spent(campaign)
    if not spent and budgets.human_seconds_free(campaign) >= budgets.usual_seconds(campaign):
        _ask_again(campaign)
    if not unrouted(campaign).exists():
        return False
    if asked(campaign) is not None:
        ask_judge(campaign)
    else:
        route_to_people(campaign=campaign, judge=None, reason="no_judge")
    return True


@transaction.atomic
def _ask_again(campaign: Campaign) -> None:
    """What nobody was to answer while people's time was up is decided about anew."""
    routes = Route.objects.filter(query__campaign=campaign, to=Route.To.NOBODY)
    if again := list(routes.values_list("query_id", flat=True)):
        routes.delete()
        Query.objects.filter(pk__in=again).update(withdrawn=False)


def give_up_judging(*, campaign_id: int, error: str) -> None:
    """The judge cannot be asked: people answer, and its page says why."""
    campaign = Campaign.objects.get(pk=campaign_id)
    judge = asked(campaign)
    if judge is not None:
        stop_asking(judge=judge, why=error)
    route_to_people(campaign=campaign, judge=judge, reason="no_judge")
