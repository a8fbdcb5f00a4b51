"""`native`: one row a question in our own schema, as `import_items` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .base import Context, Format, Question, Row, Rows, Said, Text, depths, ranks

KEY = "tiebreak_key"  # in `meta`: names the answer among all campaigns


def make(question: Question, context: Context) -> Rows:
    """The question with all its answers, whoever gave them."""
    item, prompt = question.item, question.prompt
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
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
    row["responses"] = [_response(response) for response in question.responses]
    named = context.options.annotators == "numbers"
    row["annotations"] = [annotation(said, question, named=named) for said in question.answers]
    yield row | extra, {}


def _response(response: Text) -> Row:
    model = {"model": response.model} if response.model else {}
    return {"text": response.text, **model, **response.extra}


def annotation(said: Said, question: Question, *, named: bool = False) -> Row:
    """One answer in the native schema; imported ones as they came, under a number if wanted."""
    if said.via == "import":
        came = dict(said.extra)
        if named and came.get("annotator") is not None:
            came["annotator"] = said.annotator
        return came
    ids = question.ids
    # An edit is in the weak order and not among the responses that were asked about.
    places = depths(said)
    known = {pk: place for pk, place in places.items() if pk in ids}
    row: Row = {
        "annotator": said.annotator,
        "kind": said.kind,
        "choice": choice(known, ids, said.outcome),
        "strength": said.strength,
        "ranking": _ranking(known, ids) if len(ids) > 2 else None,
        "ratings": _ratings(said, known, ids) or None,
        "rationale": said.rationale or None,
        "edit": _edit(said, places, question),
        "time_s": None if said.active_ms is None else said.active_ms / 1000,
    }
    row = {key: value for key, value in row.items() if value is not None or key == "choice"}
    meta = {"outcome": said.outcome, KEY: said.submission_key}
    if said.details:
        meta["details"] = by_index(said.details, ids)
    return row | {"meta": meta}


def choice(places: Mapping[int, int], ids: Sequence[int], outcome: str) -> int | str | None:
    """The index of the one response above all others, or "tie"."""
    if outcome == "tie":
        return "tie"
    if outcome != "preference" or len(places) < 2:
        return None
    best = min(places.values())
    winners = [pk for pk, place in places.items() if place == best]
    return ids.index(winners[0]) if len(winners) == 1 else None


def _ranking(places: Mapping[int, int], ids: Sequence[int]) -> list[int | None] | None:
    """Ranks of the responses, 1 is best and null unranked; None where nothing was ranked."""
    return ranks(places, ids) if len(set(places.values())) > 1 else None


def _ratings(said: Said, places: Mapping[int, int], ids: Sequence[int]) -> Row:
    """Marks by aspect, and who is above the line of good enough."""
    given = said.details.get("rate", {}).get("ratings", {})
    found: Row = {
        aspect: [given_marks.get(str(pk)) for pk in ids]
        for aspect, given_marks in sorted(given.items())
    }
    line = said.acceptable
    if line is not None:
        found["acceptable"] = [int(places[pk] < line) if pk in places else None for pk in ids]
    return found


def _edit(said: Said, places: Mapping[int, int], question: Question) -> Row | None:
    """The rewrite that the weak order has beside the responses that were asked about."""
    made = next((text for text in question.edits if text.pk in places), None)
    if made is None:
        return None
    reasons = said.details.get("edit", {}).get("reasons") or []
    index = question.ids.index(made.parent_id or 0)
    return {"response": index, "text": made.text, "reasons": reasons}


def by_index(details: Any, ids: Sequence[int]) -> Any:
    """Details with responses as they are numbered in the row: ids do not leave the system."""
    index = {pk: n for n, pk in enumerate(ids)}
    told: Row = {}
    for name, part in details.items():
        if not isinstance(part, dict):
            told[name] = part
            continue
        told[name] = {key: _told(key, value, index) for key, value in part.items()}
    return told


def _told(key: str, value: Any, index: Mapping[int, int]) -> Any:
    if key == "aspects":
        return {aspect: index.get(who, who) for aspect, who in value.items()}
    if key == "ratings":
        return {a: {index[int(pk)]: m for pk, m in given.items()} for a, given in value.items()}
    if key == "thumbs":
        return {index[int(pk)]: thumb for pk, thumb in value.items()}
    if key == "highlights":
        return [{**mark, "response": index[mark["response"]]} for mark in value]
    if key == "unranked":
        return [index[pk] for pk in value]
    return index.get(value, value) if key in ("of", "unchanged") else value


FORMAT = Format(
    name="native",
    title="Tiebreak's own",
    summary="Everything: one row a question, with every answer as it was given. Can be imported "
    "again.",
    make=make,
    columns=None,
    heeds=frozenset({"include_skips"}),
)
