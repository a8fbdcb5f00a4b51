"""Annotations that came in a file, recorded as history: no slot, no round, arm `imported`."""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from annotator.forms import Answer, Edit
from annotator.models import Annotation, Annotator, Campaign, Item, Query, QueryResponse
from annotator.services.native import NativeRow
from annotator.services.stated import stated

NOBODY = "unknown"
STRONGEST = 3
KEY = "tiebreak_key"  # in `meta` of an exported annotation: names it among all campaigns


def record(*, campaign: Campaign, rows: list[NativeRow], strength_max: float | None) -> int:
    """Record the annotations of these rows; repeating it records nothing twice.

    Returns how many are new.
    """
    rows = [row for row in rows if row.annotations]
    if not rows:
        return 0
    items = {
        item.external_id: item
        for item in Item.objects.filter(
            campaign=campaign, external_id__in=[row.id for row in rows]
        ).prefetch_related("places")
    }
    queries = _queries(campaign, list(items.values()))
    people = _annotators(campaign, rows)
    found = [
        pair
        for row in rows
        for pair in _annotations(
            campaign, row, items[row.id], queries[items[row.id].pk], people, strength_max
        )
    ]
    wanted = {annotation.submission_key: annotation for annotation, _ in found}
    stored = Annotation.objects.filter(submission_key__in=wanted)
    known = set(stored.values_list("submission_key", flat=True)) | _our_own(campaign, wanted)
    new = [annotation for key, annotation in wanted.items() if key not in known]
    _store_edits(new, {said.submission_key: edit for said, edit in found if edit is not None})
    Annotation.objects.bulk_create(new)
    return len(new)


def _store_edits(new: list[Annotation], edits: dict[uuid.UUID, Edit]) -> None:
    """Make responses of the edits, and put their ids into the weak orders."""
    from annotator.services.annotations import with_edit  # which needs the imports, and they this

    for annotation in new:
        edit = edits.get(annotation.submission_key)
        if edit is not None and annotation.tiers is not None:
            tiers = tuple(tuple(tier) for tier in annotation.tiers)
            outcome = Annotation.Outcome(annotation.outcome)
            annotation.tiers = with_edit(Answer(outcome, tiers, edit=edit))


def _our_own(campaign: Campaign, wanted: dict[uuid.UUID, Annotation]) -> set[uuid.UUID]:
    """Which of these were exported from this very campaign: they are here already."""
    keys = {
        key: _as_uuid((annotation.extra.get("meta") or {}).get(KEY))
        for key, annotation in wanted.items()
    }
    here = Annotation.objects.filter(
        campaign=campaign, submission_key__in=[key for key in keys.values() if key]
    )
    stored = set(here.values_list("submission_key", flat=True))
    return {key for key, exported in keys.items() if exported in stored}


def _as_uuid(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        return None


def _queries(campaign: Campaign, items: list[Item]) -> dict[int, int]:
    """One imported query an item: the question that those people were put."""
    found = Query.objects.filter(item__in=items, arm=Query.Arm.IMPORTED, round=None)
    ids = {query.item_id: query.pk for query in found}
    missing = [item for item in items if item.pk not in ids]
    made = Query.objects.bulk_create(
        Query(
            campaign=campaign,
            item=item,
            prompt_id=item.prompt_id,
            form={"pairwise": "compare", "listwise": "rank"}.get(item.task, item.task),
            arm=Query.Arm.IMPORTED,
        )
        for item in missing
    )
    QueryResponse.objects.bulk_create(
        QueryResponse(query=query, response_id=response_id)
        for query, item in zip(made, missing, strict=True)
        for response_id in {place.response_id for place in item.places.all()}
    )
    return {key: pk for key, pk in ids.items() if key is not None} | {
        item.pk: query.pk for query, item in zip(made, missing, strict=True)
    }


def _annotators(campaign: Campaign, rows: list[NativeRow]) -> dict[tuple[str, str], int]:
    wanted = {_who(annotation) for row in rows for annotation in row.annotations}
    Annotator.objects.bulk_create(
        [
            Annotator(campaign=campaign, kind=kind, pseudonym=name, imported=True)
            for kind, name in sorted(wanted)
        ],
        ignore_conflicts=True,
    )
    names = {name for _, name in wanted}
    stored = Annotator.objects.filter(campaign=campaign, imported=True, pseudonym__in=names)
    return {(kind, name): pk for kind, name, pk in stored.values_list("kind", "pseudonym", "pk")}


def _who(annotation: dict[str, Any]) -> tuple[str, str]:
    return annotation.get("kind") or "human", annotation.get("annotator") or NOBODY


def _annotations(
    campaign: Campaign,
    row: NativeRow,
    item: Item,
    query_id: int,
    people: dict[tuple[str, str], int],
    strength_max: float | None,
) -> Iterator[tuple[Annotation, Edit | None]]:
    places = {place.position: place.response_id for place in item.places.all()}
    texts = [response["text"] for response in row.responses]
    seen: Counter[str] = Counter()
    for said in row.annotations:
        canonical = json.dumps(said, sort_keys=True, ensure_ascii=False)
        # Equal votes of nameless people are told apart by how often they came before.
        name = f"{campaign.pk}\0{row.id}\0{canonical}\0{seen[canonical]}"
        seen[canonical] += 1
        found = stated(said, places, texts)
        annotation = Annotation(
            campaign=campaign,
            query_id=query_id,
            annotator_id=people[_who(said)],
            via=Annotation.Via.IMPORT,
            submission_key=uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16]),
            outcome=found.outcome,
            tiers=found.tiers,
            acceptable=found.acceptable,
            details={"uncompared": True} if found.uncompared else {},
            strength=strength_of(said, strength_max, found.tiers),
            rationale=said.get("rationale") or "",
            extra=said,
            active_ms=_milliseconds(said.get("time_s")),
        )
        yield annotation, found.edit


def strength_of(
    said: Mapping[str, Any], strongest: float | None, tiers: list[list[int]] | None
) -> int | None:
    """The source's number on our scale of 1 to 3, by thirds of its own scale.

    An answer may say itself which number means "much better"; one that left from here is on our
    scale already.
    """
    given: float | None = said.get("strength")
    own: float | None = said.get("strength_max")
    if not own and KEY in (said.get("meta") or {}):
        own = STRONGEST
    strongest = own or strongest
    if not given or not strongest or tiers is None or len(tiers) == 1:
        return None
    return max(1, min(STRONGEST, math.ceil(STRONGEST * abs(given) / strongest)))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, min(2_147_483_647, round(1000 * seconds)))
