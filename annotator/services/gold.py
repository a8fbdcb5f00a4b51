"""Keys: questions whose answer is known, made from items, revised by versions, retired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from annotator.errors import InvalidInput
from annotator.forms import sizes
from annotator.models import Campaign, GoldAnswer, Item, Query, QueryResponse
from annotator.services.rounds import parts_asked
from annotator.services.stated import weak_order

Tiers = list[list[int]]


def misfit(*, campaign: Campaign, responses: int) -> str:
    """Why a question about so many responses would stand out among the campaign's, or nothing."""
    least, most = sizes((campaign.form, *campaign.follow_ups))
    if campaign.set_size and least <= campaign.set_size <= most:
        least = most = campaign.set_size
    if least <= responses <= most:
        return ""
    wanted = f"{least}" if least == most else f"{least} to {most}"
    return f"expected {wanted} responses, as the campaign asks about, got {responses}"


@transaction.atomic
def add_gold(
    *,
    item: Item,
    purpose: str,
    tiers: Tiers | None,
    good: Mapping[int, bool],
    explanation: str = "",
    user: User | None = None,
) -> GoldAnswer:
    """Make a question with a known answer of an imported item; no round asks about it any more.

    Raises:
        InvalidInput: the item has too many or too few responses, or the key says nothing, or names
            responses that are not the item's.
    """
    campaign = item.campaign
    ids = list(dict.fromkeys(item.places.values_list("response_id", flat=True)))
    if problem := misfit(campaign=campaign, responses=len(ids)):
        raise InvalidInput(f"{item}: {problem}")
    _check_key(ids, tiers, good)
    query = Query.objects.create(
        campaign=campaign,
        item=item,
        prompt_id=item.prompt_id,
        form=campaign.form,
        parts=parts_asked(campaign),
        arm=GoldAnswer.Purpose(purpose).value,
    )
    QueryResponse.objects.bulk_create(QueryResponse(query=query, response_id=pk) for pk in ids)
    return GoldAnswer.objects.create(
        campaign=campaign,
        query=query,
        purpose=purpose,
        tiers=tiers,
        good={str(pk): value for pk, value in good.items()},
        explanation=explanation,
        created_by=user,
    )


def add_from_row(*, item: Item, gold: Mapping[str, Any]) -> GoldAnswer:
    """The key that an imported row carries in `meta.gold`, checked by `services.native`.

    Raises:
        InvalidInput: as `add_gold`.
    """
    places = {place.position: place.response_id for place in item.places.all()}
    given = gold.get("acceptable") or []
    return add_gold(
        item=item,
        purpose=gold["purpose"],
        tiers=weak_order(dict(gold), places),
        good={places[n]: bool(value) for n, value in enumerate(given) if value is not None},
        explanation=gold.get("explanation") or "",
    )


@transaction.atomic
def revise_gold(
    *,
    gold: GoldAnswer,
    tiers: Tiers | None,
    good: Mapping[int, bool],
    explanation: str,
    user: User | None = None,
) -> GoldAnswer:
    """Decide a key anew: the next version decides about every answer, also those given before.

    Raises:
        InvalidInput: the key says nothing, or names responses that the question does not have.
    """
    query = Query.objects.select_for_update(no_key=True).get(pk=gold.query_id)
    _check_key(list(query.members.values_list("response_id", flat=True)), tiers, good)
    last = query.gold_answers.aggregate(last=Max("version"))["last"]
    query.gold_answers.update(active=False)
    return GoldAnswer.objects.create(
        campaign_id=gold.campaign_id,
        query=query,
        purpose=gold.purpose,
        version=last + 1,
        tiers=tiers,
        good={str(pk): value for pk, value in good.items()},
        explanation=explanation,
        created_by=user,
    )


@transaction.atomic
def retire_gold(*, gold: GoldAnswer) -> None:
    """Give the question to nobody any more, and count its answers for nothing."""
    gold.query.gold_answers.update(active=False)


@transaction.atomic
def restore_gold(*, gold: GoldAnswer) -> None:
    """Take the newest version of a retired key up again."""
    query = Query.objects.select_for_update(no_key=True).get(pk=gold.query_id)
    if not query.gold_answers.filter(active=True).exists():
        newest = query.gold_answers.order_by("-version").values("pk")[:1]
        query.gold_answers.filter(pk__in=newest).update(active=True)


def _check_key(ids: Sequence[int], tiers: Tiers | None, good: Mapping[int, bool]) -> None:
    named = [pk for tier in tiers or [] for pk in tier]
    if len(set(named)) != len(named):
        raise InvalidInput("the expected order names a response twice")
    if foreign := sorted({*named, *good} - set(ids)):
        raise InvalidInput(f"the key names response {foreign[0]}, which the question does not have")
    if len(named) < 2 and not good:
        raise InvalidInput(
            "the key says nothing: expected an order of two responses or more, or which responses "
            "are good enough"
        )
