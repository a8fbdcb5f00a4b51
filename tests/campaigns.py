"""Making campaigns in tests: small, real rows, through the services that users reach."""

from __future__ import annotations

import io
import json
from itertools import combinations
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from annotator.models import Campaign, ItemResponse, Query, Round
from annotator.services.campaigns import add_member, create_campaign, mark_guidelines_read
from annotator.services.campaigns import ensure_annotator as ensure
from annotator.services.imports import ImportOptions, ImportReport, import_items
from annotator.services.rounds import PlannedQuery, publish_round

Row = dict[str, Any]


def item(number: int, **changes: Any) -> Row:
    """One valid native row."""
    row: Row = {
        "id": f"toy:{number}",
        "source": "toy",
        "split": "train",
        "group": f"group {number}",
        "task": "pairwise",
        "prompt": f"Question {number}: why is the sky blue?",
        "responses": [
            {"text": f"Because of *scattering* ({number}).", "model": "model-one"},
            {"text": f"I do not know ({number}).", "model": "model-two"},
        ],
        "annotations": [],
    }
    return row | changes


def lines(rows: list[Row]) -> io.BytesIO:
    """Rows as a native file."""
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in rows).encode())


def load(campaign: Campaign, rows: list[Row], **options: Any) -> ImportReport:
    """Import rows."""
    return import_items(campaign=campaign, stream=lines(rows), options=ImportOptions(**options))


def known(number: int, purpose: str = "gold", **key: Any) -> Row:
    """A row whose answer is known: the first response is better, unless told otherwise."""
    key = key or {"choice": 0}
    row = item(number, prompt=f"Known {number}: why is grass green?")
    texts = [f"Chlorophyll ({number}).", f"Paint ({number})."]
    row["responses"] = [{"text": text} for text in texts]
    return row | {"id": f"{purpose}:{number}", "meta": {"gold": {"purpose": purpose, **key}}}


def make_campaign(
    slug: str = "sky",
    *,
    prompts: int = 6,
    people: tuple[User, ...] = (),
    rows: list[Row] | None = None,
    **fields: Any,
) -> Campaign:
    """A running campaign with a pool, without holdout unless asked for, and with annotators."""
    defaults: dict[str, Any] = {"holdout_prompts": 0.0, "holdout_share": 0.0, "queue_low": 0}
    campaign = create_campaign(slug=slug, name=slug.capitalize(), **(defaults | fields))
    load(campaign, rows or [item(number) for number in range(prompts)])
    Campaign.objects.filter(pk=campaign.pk).update(state=Campaign.State.RUNNING)
    campaign.refresh_from_db()
    for person in people:
        join(campaign, person)
    return campaign


def join(campaign: Campaign, person: User) -> None:
    """Make a person an annotator who has read the guidelines."""
    add_member(campaign=campaign, user=person)
    annotator = ensure(campaign=campaign, user=person)
    mark_guidelines_read(annotator=annotator, version=10_000)


def ask(campaign: Campaign, *, most: int = 1000, arm: str = "random") -> list[Query]:
    """Publish the pool's pairs as one finished round, as a worker would."""
    last = Round.objects.filter(campaign=campaign).count()
    made = Round.objects.create(campaign=campaign, number=last + 1, trigger="test")
    with transaction.atomic():  # a worker publishes inside its job's fence
        publish_round(
            made=made,
            planned=_plan(campaign, arm)[:most],
            versions=[],
            annotations_seen=0,
            report={"pool_left": 0},
        )
    return list(Query.objects.filter(round=made).order_by("pk"))


def _sets(campaign: Campaign, responses: list[int]) -> list[tuple[int, ...]]:
    """Pairs for a comparison; for other forms what was imported together."""
    if campaign.form == Campaign.Form.COMPARE:
        return list(combinations(responses, 2))
    return [tuple(responses)]


def _plan(campaign: Campaign, arm: str) -> list[PlannedQuery]:
    by_item: dict[tuple[int, int], list[int]] = {}
    places = ItemResponse.objects.filter(item__campaign=campaign).order_by("item_id", "position")
    # What has a known answer is taken, as it is for a worker.
    for place in places.exclude(item__queries__gold_answers__active=True).select_related("item"):
        key = (place.item_id, place.item.prompt_id)
        by_item.setdefault(key, []).append(place.response_id)
    return [
        PlannedQuery(
            item_id=item_id,
            prompt_id=prompt_id,
            response_ids=pair,
            arm=arm,
            acquisition="random",
            score=None,
            propensity=0.5,
        )
        for (item_id, prompt_id), responses in by_item.items()
        for pair in _sets(campaign, responses)
    ]
