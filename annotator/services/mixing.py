"""Gold and repeats among a person's questions, so that nobody can tell which is which.

What is mixed in looks like every other question because it is one: a query with its slot and its
assignment. The slot is kept for one person; nobody else is ever given it.
"""

from __future__ import annotations

import secrets
import uuid
from datetime import datetime, timedelta

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, F, OuterRef, Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotator.models import Annotator, Assignment, Campaign, Query, QueryResponse, Slot
from annotator.services.quality import APART, mixed_in
from annotator.services.rounds import parts_asked

MOST_CONSIDERED = 200
LABELS = (Query.Arm.POLICY, Query.Arm.RANDOM, Query.Arm.HOLDOUT)
# A rewritten response cannot be compared with another rewrite.
NOT_REPEATED = Campaign.Form.EDIT


def next_mixed_in(*, annotator: Annotator, ahead: bool = False) -> Assignment | None:
    """A gold question or a repeat where this person's draw says so, else None and no query.

    The row of the annotator is locked and carries `campaign` and `given`. The draw depends on the
    person and on how many questions they got: a reload, a second tab or an empty queue never
    draws again.
    """
    campaign, number = annotator.campaign, getattr(annotator, "given", 0)
    if not (campaign.gold_share or campaign.repeat_share):
        return None
    found = mixed_in(
        number,
        lambda n: lot(annotator, f"{n}"),
        gold=campaign.gold_share,
        repeat=campaign.repeat_share,
    )
    if found == "gold":
        return _gold(annotator, number, ahead)
    return _repeat(annotator, number, ahead) if found else None


def lot(annotator: Annotator, of: str) -> float:
    """A number in [0, 1) that nobody outside can foresee, always the same for one name."""
    drawn = salted_hmac("tiebreak.mixing", f"{annotator.pk}:{of}", algorithm="sha256").digest()
    return float(int.from_bytes(drawn[:6], "big") / 2**48)


def unseen(*, annotator: Annotator, purpose: str) -> list[Query]:
    """Questions with an active key that this person was never given, with `response_ids`."""
    got = Assignment.objects.filter(query_id=OuterRef("pk"), annotator=annotator)
    members = QueryResponse.objects.filter(query_id=OuterRef("pk")).order_by("pk")
    return list(
        Query.objects.filter(campaign_id=annotator.campaign_id, arm=purpose)
        .filter(gold_answers__active=True, flagged_at__isnull=True, withdrawn=False)
        .filter(~Exists(got))
        .annotate(response_ids=ArraySubquery(members.values("response_id")))
        .order_by("pk")[:MOST_CONSIDERED]
    )


def give_known(*, annotator: Annotator, query: Query, ahead: bool = False) -> Assignment:
    """Give a question with a known answer, asked as the campaign asks now."""
    form, parts = annotator.campaign.form, parts_asked(annotator.campaign)
    if (query.form, query.parts) != (form, parts):  # it would stand out among the others
        under_way = Assignment.objects.filter(query=OuterRef("pk")).open()
        still = Query.objects.filter(~Exists(under_way), pk=query.pk)
        if still.update(form=form, parts=parts):
            query.form, query.parts = form, parts
    order: list[int] = list(query.response_ids)  # type: ignore[attr-defined]
    secrets.SystemRandom().shuffle(order)
    return give(annotator=annotator, query=query, order=order, ahead=ahead)


def give(
    *, annotator: Annotator, query: Query, order: list[int], ahead: bool = False
) -> Assignment:
    """Make a slot for this person alone, and lease it to them."""
    holder, until = uuid.uuid4(), lease_end(annotator.campaign, timezone.now())
    slot = Slot.objects.create(
        campaign_id=query.campaign_id,
        query=query,
        place=0,
        state=Slot.State.LEASED,
        leased_until=until,
        holder=holder,
        reserved_for=annotator,
    )
    return Assignment.objects.create(
        pk=holder,
        slot=slot,
        query=query,
        annotator=annotator,
        display_order=order,
        lease_until=until,
        guidelines_version=annotator.guidelines_read,
        ahead=ahead,
    )


def lease_end(campaign: Campaign, now: datetime) -> datetime:
    """When a lease taken now runs out."""
    return now + timedelta(minutes=campaign.lease_minutes)


def _gold(annotator: Annotator, number: int, ahead: bool) -> Assignment | None:
    found = unseen(annotator=annotator, purpose=Query.Arm.GOLD)
    if not found:
        return None
    query = found[int(lot(annotator, f"{number} which") * len(found))]
    return give_known(annotator=annotator, query=query, ahead=ahead)


def _repeat(annotator: Annotator, number: int, ahead: bool) -> Assignment | None:
    """One of their own counted answers, some questions ago, never repeated before."""
    campaign = annotator.campaign
    if NOT_REPEATED in (campaign.form, *campaign.follow_ups):
        return None
    mine = Assignment.objects.filter(annotator=annotator)
    recent = mine.work().order_by("-shown_at").values("shown_at")[APART - 1 : APART]
    again = Query.objects.filter(
        repeat_of_id=OuterRef("query_id"), slots__reserved_for_id=annotator.pk
    )
    asked = {"query__form": campaign.form, "query__parts": parts_asked(campaign)}
    found = list(
        mine.filter(state=Assignment.State.ANSWERED, query__arm__in=LABELS, **asked)
        .filter(query__flagged_at__isnull=True, query__withdrawn=False)
        .filter(slot__annotation__assignment_id=F("pk"), shown_at__lt=Subquery(recent))
        .filter(~Exists(again))
        .select_related("query")
        .order_by("-closed_at")[:MOST_CONSIDERED]
    )
    if not found:
        return None
    before = found[int(lot(annotator, f"{number} which") * len(found))]
    query = _copy(before.query, before.display_order)
    return give(annotator=annotator, query=query, order=turned(before.display_order), ahead=ahead)


def _copy(query: Query, response_ids: list[int]) -> Query:
    made = Query.objects.create(
        campaign_id=query.campaign_id,
        item_id=query.item_id,
        prompt_id=query.prompt_id,
        form=query.form,
        parts=query.parts,
        arm=Query.Arm.REPEAT,
        repeat_of=query,
    )
    QueryResponse.objects.bulk_create(
        QueryResponse(query=made, response_id=response_id) for response_id in sorted(response_ids)
    )
    return made


def turned(order: list[int]) -> list[int]:
    """Another order than the first time: sides swapped, or shuffled anew."""
    if len(order) == 2:
        return order[::-1]
    other = list(order)
    while len(order) > 1 and other == order:
        secrets.SystemRandom().shuffle(other)
    return other
