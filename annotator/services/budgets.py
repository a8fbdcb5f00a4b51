"""People's time: what a campaign may spend of it, on what first, and what has been spent."""

from __future__ import annotations

from typing import Final

from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from annotator.catalogue import ROUTINGS
from annotator.models import Annotation, Annotator, Campaign, Slot
from annotator.services import webhooks

USUAL_SECONDS: Final = 30.0  # of a person for an answer, before anybody was timed
PILOT: Final = 100  # questions that measure a judge, where the policy has no such option
FEWEST: Final = 30  # with fewer nothing can be said of a judge
PILOT_SHARE: Final = 0.5  # of people's minutes, where they are few, that the pilot may take
AT_ONCE: Final = ("all_human", "all_judge")  # these measure nobody first


def human_seconds(campaign: Campaign) -> float:
    """Attention that people have spent on answers here; imported history is not counted."""
    return float(_given(campaign).aggregate(total=Sum("active_ms"))["total"] or 0) / 1000


def _given(campaign: Campaign) -> QuerySet[Annotation]:
    given = campaign.annotations.filter(annotator__kind=Annotator.Kind.HUMAN)
    return given.exclude(via=Annotation.Via.IMPORT)


def human_seconds_free(campaign: Campaign) -> float:
    """What is left of it when everything that waits in the queue of people is answered."""
    left = human_seconds_left(campaign)
    if left in (0.0, float("inf")):
        return left
    waiting = Slot.objects.filter(campaign=campaign).untouched().count()
    return max(0.0, left - waiting * usual_seconds(campaign))


def usual_seconds(campaign: Campaign) -> float:
    """Attention that an answer takes here, on average; 30 seconds before anybody was timed."""
    timed = _given(campaign).filter(active_ms__gt=0)
    found = timed.aggregate(total=Sum("active_ms"), answers=Count("pk"))
    return found["total"] / found["answers"] / 1000 if found["answers"] else USUAL_SECONDS


def pilot_questions(campaign: Campaign) -> int:
    """How many questions people and a judge have to decide before it is asked about others.

    The policy's `pilot`, or what half of people's minutes pays if that is less; then 30 at least.
    None where the policy measures nobody first.
    """
    if campaign.routing in AT_ONCE:
        return 0
    usual = {option.name: option.default for option in ROUTINGS[campaign.routing].options}
    most = int(campaign.routing_config.get("pilot", usual.get("pilot", PILOT)))
    if campaign.human_minutes is None:
        return most
    pays = int(PILOT_SHARE * campaign.human_minutes * 60 / usual_seconds(campaign))
    return min(most, max(FEWEST, pays))


def human_seconds_left(campaign: Campaign) -> float:
    """What the budget leaves of it: infinite without one, never negative."""
    if campaign.human_minutes is None:
        return float("inf")
    return max(0.0, campaign.human_minutes * 60 - human_seconds(campaign))


@transaction.atomic
def spent(campaign: Campaign) -> bool:
    """Whether people's time is up; whoever listens is told when it is found out first."""
    up = human_seconds_left(campaign) == 0
    if not up:
        Campaign.objects.filter(pk=campaign.pk, budget_spent_at__isnull=False).update(
            budget_spent_at=None
        )
        return False
    first = Campaign.objects.filter(pk=campaign.pk, budget_spent_at__isnull=True)
    if first.update(budget_spent_at=timezone.now()):
        webhooks.emit(
            campaign_id=campaign.pk,
            event=webhooks.Event.BUDGET,
            data={"budget": "people", "minutes": campaign.human_minutes},
        )
    return True
