"""What leaves the system: rows of each format, with the provenance of every row beside it.

Defaults: standing answers of people (not skipped, flagged, taken back, or beyond the overlap);
holdout prompts stay here unless asked for, and so do checks of people: practice, tests, gold and
repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from annotator.errors import InvalidInput
from annotator.models import Annotation, Campaign, Item, Prompt, Query, Response
from annotator.services.history import KEY
from annotator.services.pictures import Known

Row = dict[str, Any]
CHUNK = 200
KNOWN = (Query.Arm.GOLD, Query.Arm.PRACTICE, Query.Arm.QUALIFICATION)


@dataclass(frozen=True)
class ExportOptions:
    """What to include; the defaults are safe for training.

    Attributes:
        include_holdout: Prompts that are reserved for testing.
        include_gold: Questions whose answer was known: gold, practice and tests.
        include_repeats: Second answers of a person to the same question.
    """

    include_holdout: bool = False
    include_gold: bool = False
    include_repeats: bool = False

    def as_json(self) -> dict[str, bool]:
        """For the manifest."""
        return asdict(self)


@dataclass(frozen=True)
class Question:
    """All standing answers about one set of responses of one prompt."""

    id: str
    prompt: Prompt
    item: Item | None
    responses: list[Response]
    annotations: list[Annotation]
    queries: list[Query]

    @property
    def edits(self) -> list[Response]:
        """What people made of these responses by rewriting them."""
        return [edit for response in self.responses for edit in response.edits.all()]


def rows(
    *, campaign: Campaign, format_name: str, options: ExportOptions = ExportOptions()
) -> Iterator[tuple[Row, Row]]:
    """Yield (row, provenance) in a stable order; memory of one item at a time.

    Raises:
        InvalidInput: the format is not known.
    """
    if format_name not in FORMATS:
        known = ", ".join(FORMATS)
        raise InvalidInput(f"format {format_name!r} is not known; expected one of {known}")
    make = FORMATS[format_name]
    pictures = Known(campaign)
    for question in questions(campaign=campaign, options=options):
        shown = pictures.shown(question.prompt, [*question.responses, *question.edits])
        for row, about in make(question):
            yield row, _provenance(question) | shown | about


def questions(*, campaign: Campaign, options: ExportOptions) -> Iterator[Question]:
    """Queries with standing answers, those about the same responses taken together."""
    asked = _asked(campaign, options)
    items = (
        Item.objects.filter(campaign=campaign)
        .filter(Exists(asked.filter(item_id=OuterRef("pk"))))
        .select_related("prompt")
        .prefetch_related("places__response__edits", Prefetch("queries", asked, to_attr="asked"))
        .order_by("pk")
    )
    for item in items.iterator(chunk_size=CHUNK):
        yield from _of_item(item)
    for query in asked.filter(item=None).select_related("prompt").iterator(chunk_size=CHUNK):
        responses = sorted((m.response for m in query.members.all()), key=lambda r: r.pk)
        name = "-".join(r.digest[:8] for r in responses)
        yield Question(
            f"{query.prompt.digest[:16]}:{name}",
            query.prompt,
            None,
            responses,
            list(query.annotations.all()),
            [query],
        )


def _asked(campaign: Campaign, options: ExportOptions) -> QuerySet[Query]:
    standing = Annotation.objects.filter(campaign=campaign).standing()
    asked = Query.objects.filter(campaign=campaign).filter(
        Exists(standing.filter(query_id=OuterRef("pk")))
    )
    if not options.include_holdout:
        asked = asked.filter(prompt__is_holdout=False)
    if not options.include_gold:
        asked = asked.exclude(arm__in=KNOWN)
    if not options.include_repeats:
        asked = asked.exclude(arm=Query.Arm.REPEAT)
    people = standing.select_related("annotator").order_by("pk")
    return (
        asked.select_related("round", "model_version__round")
        .prefetch_related("members__response__edits", Prefetch("annotations", people))
        .order_by("pk")
    )


def _of_item(item: Item) -> Iterator[Question]:
    """The item's queries by the set of responses; a part of the item gets a suffix."""
    places = {place.response_id: place for place in item.places.all()}
    by_set: dict[tuple[int, ...], list[Query]] = {}
    for query in item.asked:  # type: ignore[attr-defined]
        shown = sorted(
            (m.response_id for m in query.members.all()), key=lambda r: places[r].position
        )
        by_set.setdefault(tuple(shown), []).append(query)
    for shown_ids, queries in sorted(by_set.items(), key=lambda pair: pair[1][0].pk):
        whole = len(shown_ids) == len(places)
        suffix = "" if whole else "#" + "-".join(str(places[r].position) for r in shown_ids)
        yield Question(
            item.external_id + suffix,
            item.prompt,
            item,
            [places[r].response for r in shown_ids],
            [a for query in queries for a in query.annotations.all()],
            queries,
        )


def _provenance(question: Question) -> Row:
    return {
        "id": question.id,
        "prompt_digest": question.prompt.digest,
        "holdout": question.prompt.is_holdout,
        "models": [response.model or None for response in question.responses],
        "queries": [
            {
                "query": query.pk,
                "round": query.round.number if query.round else None,
                "arm": query.arm,
                "acquisition": query.acquisition or None,
                "score": query.score,
                "propensity": query.propensity,
                "model_version": query.model_version.round.number if query.model_version else None,
            }
            for query in question.queries
        ],
        "annotations": [
            {
                "annotation": a.pk,
                "query": a.query_id,
                "annotator": a.annotator.pseudonym,
                "kind": a.annotator.kind,
                "outcome": a.outcome,
                "strength": a.strength,
                "display_order": a.display_order,
                "guidelines_version": a.guidelines_version,
                "late": a.late,
                "recorded_at": a.recorded_at.isoformat(),
            }
            for a in question.annotations
        ],
    }


# --- native ----------------------------------------------------------------------------


def native(question: Question) -> Iterator[tuple[Row, Row]]:
    """One row a question in the native schema, as `import_items` reads it."""
    item, prompt = question.item, question.prompt
    extra = dict(item.extra) if item else {}
    row: Row = {"id": question.id}
    if item is None or item.source:
        row["source"] = item.source if item else "tiebreak"
    row |= {key: extra.pop(key) for key in ("subset", "split") if key in extra}
    if item is None or item.group:  # what was not said comes back unsaid
        row["group"] = item.group if item else prompt.digest
    whole = item is not None and "#" not in question.id[len(item.external_id) :]
    row["task"] = item.task if item and whole else "pairwise"
    row["prompt"] = prompt.content
    if prompt.context:
        row["context"] = prompt.context
    row["responses"] = [_native_response(response) for response in question.responses]
    row["annotations"] = [_native_annotation(a, question) for a in question.annotations]
    yield row | extra, {}


def _native_response(response: Response) -> Row:
    model = {"model": response.model} if response.model else {}
    return {"text": response.text, **model, **response.extra}


def _native_annotation(annotation: Annotation, question: Question) -> Row:
    if annotation.via == Annotation.Via.IMPORT:
        return dict(annotation.extra)
    ids = [response.pk for response in question.responses]
    # An edit is in the weak order and not among the responses that were asked about.
    places = {pk: n for n, tier in enumerate(annotation.tiers or []) for pk in tier}
    known = {pk: place for pk, place in places.items() if pk in ids}
    row: Row = {
        "annotator": annotation.annotator.pseudonym,
        "kind": annotation.annotator.kind,
        "choice": _choice(known, ids, annotation.outcome),
        "strength": annotation.strength,
        "ranking": _ranking(known, ids) if len(ids) > 2 else None,
        "ratings": _ratings(annotation, known, ids) or None,
        "rationale": annotation.rationale or None,
        "edit": _edit(annotation, places, question),
        "time_s": None if annotation.active_ms is None else annotation.active_ms / 1000,
    }
    row = {key: value for key, value in row.items() if value is not None or key == "choice"}
    meta = {"outcome": annotation.outcome, KEY: str(annotation.submission_key)}
    if annotation.details:
        meta["details"] = by_index(annotation.details, ids)
    return row | {"meta": meta}


def _choice(places: dict[int, int], ids: list[int], outcome: str) -> int | str | None:
    """The index of the one response above all others, or "tie"."""
    if outcome == Annotation.Outcome.TIE:
        return "tie"
    if outcome != Annotation.Outcome.PREFERENCE or len(places) < 2:
        return None
    best = min(places.values())
    winners = [pk for pk, place in places.items() if place == best]
    return ids.index(winners[0]) if len(winners) == 1 else None


def _ranking(places: dict[int, int], ids: list[int]) -> list[int | None] | None:
    """Ranks of the responses, 1 is best and null unranked; None where nothing was ranked."""
    ranks = {place: n for n, place in enumerate(sorted(set(places.values())), start=1)}
    if len(ranks) < 2:
        return None
    return [ranks[places[pk]] if pk in places else None for pk in ids]


def _ratings(annotation: Annotation, places: dict[int, int], ids: list[int]) -> Row:
    """Marks by aspect, and who is above the line of good enough."""
    given = annotation.details.get("rate", {}).get("ratings", {})
    found: Row = {
        aspect: [marks.get(str(pk)) for pk in ids] for aspect, marks in sorted(given.items())
    }
    line = annotation.acceptable
    if line is not None:
        found["acceptable"] = [int(places[pk] < line) if pk in places else None for pk in ids]
    return found


def _edit(annotation: Annotation, places: dict[int, int], question: Question) -> Row | None:
    """The rewrite that the weak order has beside the responses that were asked about."""
    made = next((r for r in question.edits if r.pk in places), None)
    if made is None:
        return None
    ids = [response.pk for response in question.responses]
    reasons = annotation.details.get("edit", {}).get("reasons") or []
    return {"response": ids.index(made.parent_id or 0), "text": made.text, "reasons": reasons}


def by_index(details: Any, ids: list[int]) -> Any:
    """Details with responses as they are numbered in the row: ids do not leave the system."""
    index = {pk: n for n, pk in enumerate(ids)}
    told: Row = {}
    for name, part in details.items():
        if not isinstance(part, dict):
            told[name] = part
            continue
        told[name] = {key: _told(key, value, index) for key, value in part.items()}
    return told


def _told(key: str, value: Any, index: dict[int, int]) -> Any:
    if key == "aspects":
        return {aspect: index.get(who, who) for aspect, who in value.items()}
    if key == "ratings":
        return {a: {index[int(pk)]: m for pk, m in marks.items()} for a, marks in value.items()}
    if key == "thumbs":
        return {index[int(pk)]: thumb for pk, thumb in value.items()}
    if key == "highlights":
        return [{**mark, "response": index[mark["response"]]} for mark in value]
    if key == "unranked":
        return [index[pk] for pk in value]
    return index.get(value, value) if key in ("of", "unchanged") else value


# --- preference pairs ------------------------------------------------------------------


def trl_preference(question: Question) -> Iterator[tuple[Row, Row]]:
    """`prompt`, `chosen`, `rejected` where more than half of the people agree.

    Ties and "neither" are votes for neither side: where they prevent a majority, no row is made.
    An edit is chosen over its original.
    """
    people = [a for a in question.annotations if a.annotator.kind == "human"]
    originals = {response.pk: response for response in question.responses}
    edited = [(edit, originals[edit.parent_id or 0]) for edit in question.edits]
    for left, right in [*combinations(question.responses, 2), *edited]:
        votes = [_vote(a, left.pk, right.pk) for a in people]
        if left.parent_id in originals:  # an edit: only those who made it were asked about it
            votes = [vote for vote in votes if vote is not None]
        ahead, behind = votes.count(1), votes.count(-1)
        if 2 * max(ahead, behind) <= len(votes):
            continue
        chosen, rejected = (left, right) if ahead > behind else (right, left)
        about = {
            "chosen_model": chosen.model or None,
            "rejected_model": rejected.model or None,
            "votes": {"for": max(ahead, behind), "against": min(ahead, behind)},
            "level": votes.count(0),
            "neither_or_unknown": votes.count(None),
        }
        yield _preference_row(question.prompt, chosen.text, rejected.text), about


def _vote(annotation: Annotation, left: int, right: int) -> int | None:
    """+1 when `left` stands in a better tier, -1 when in a worse one, 0 level, None unknown."""
    if annotation.outcome == Annotation.Outcome.NEITHER:
        return None
    tier = {pk: depth for depth, tiers in enumerate(annotation.tiers or []) for pk in tiers}
    if left not in tier or right not in tier:
        return None
    if tier[left] == tier[right] and annotation.details.get("uncompared"):
        return None
    return (tier[left] < tier[right]) - (tier[left] > tier[right])


def _preference_row(prompt: Prompt, chosen: str, rejected: str) -> Row:
    """Conversational when the prompt is a chat, plain text otherwise; the context goes first."""
    if isinstance(prompt.content, str):
        text = f"{prompt.context}\n\n{prompt.content}" if prompt.context else prompt.content
        return {"prompt": text, "chosen": chosen, "rejected": rejected}
    turns = list(prompt.content)
    if prompt.context:  # one system turn: many chat templates refuse a second
        has_system = bool(turns) and turns[0]["role"] == "system"
        own = f"{turns[0]['content']}\n\n" if has_system else ""
        system = {"role": "system", "content": own + prompt.context}
        turns = [system, *turns[has_system:]]
    return {
        "prompt": turns,
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


FORMATS: dict[str, Callable[[Question], Iterator[tuple[Row, Row]]]] = {
    "native": native,
    "trl-preference": trl_preference,
}
