"""People's time: what a campaign may spend of it, and what has been spent."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Sum
from django.utils import timezone

from annotator.models import Annotation, Annotator, Campaign
from annotator.services import webhooks


def human_seconds(campaign: Campaign) -> float:
    """Attention that people have spent on answers here; imported history is not counted."""
    given = campaign.annotations.filter(annotator__kind=Annotator.Kind.HUMAN)
    given = given.exclude(via=Annotation.Via.IMPORT)
    return float(given.aggregate(total=Sum("active_ms"))["total"] or 0) / 1000


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
