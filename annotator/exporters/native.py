"""`native`: one row a question in our own schema, as `import_items` reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from .base import NOTHING, Context, Format, Question, Row, Rows, Said, Text

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
    row["responses"] = [_response(text) for text in question.repeated or question.responses]
    named, index = context.options.annotators == "numbers", Places(question)
    row["annotations"] = [
        annotation(said, question, index, named=named) for said in question.answers
    ]
    yield row | extra, {}


def _response(response: Text) -> Row:
    model = {"model": response.model} if response.model else {}
    return {"text": response.text, **model, **response.extra}


class Places(dict[int, int]):
    """Where each response stands in the row, by its id; first, where it is there twice."""

    def __init__(self, question: Question) -> None:
        self.order = [text.pk for text in question.repeated or question.responses]
        super().__init__((pk, self.order.index(pk)) for pk in self.order)

    @cached_property
    def named(self) -> list[str]:
        """The ids in the row's order, as texts."""
        return [str(pk) for pk in self.order]

    @cached_property
    def names(self) -> dict[str, str]:
        """The same as texts."""
        return {str(pk): str(n) for pk, n in self.items()}


def annotation(said: Said, question: Question, index: Places, *, named: bool = False) -> Row:
    """One answer in the native schema; imported ones as they came, under a number if wanted."""
    if said.via == "import":
        came = dict(said.extra)
        if named and came.get("annotator") is not None:
            came["annotator"] = said.annotator
        return came
    tiers, details = said.tiers or [], said.details
    # An edit is in the weak order and not among the responses that were asked about.
    order = [known for tier in tiers if (known := [pk for pk in tier if pk in index])]
    row: Row = {
        "annotator": said.annotator,
        "kind": said.kind,
        "choice": choice(order, index, said.outcome),
    }
    if said.strength is not None:
        row["strength"] = said.strength
    if len(index.order) > 2 and len(order) > 1:  # 1 is best, null unranked
        rank = {pk: n for n, tier in enumerate(order, start=1) for pk in tier}
        row["ranking"] = [rank.get(pk) for pk in index.order]
    if ratings := _ratings(said, tiers, index):
        row["ratings"] = ratings
    if said.rationale:
        row["rationale"] = said.rationale
    if question.edits and (edit := _edit(said, tiers, question, index)):
        row["edit"] = edit
    if said.active_ms is not None:
        row["time_s"] = said.active_ms / 1000
    meta: Row = {"outcome": said.outcome, KEY: said.submission_key}
    if details:
        meta["details"] = by_index(details, index)
    row["meta"] = meta
    return row


def choice(
    order: Sequence[Sequence[int]], index: Mapping[int, int], outcome: str
) -> int | str | None:
    """The index of the one response above all others, or "tie"."""
    if outcome == "tie":
        return "tie"
    if outcome != "preference" or len(order) < 2:
        return None
    best = order[0]
    return index[best[0]] if len(best) == 1 else None


def _ratings(said: Said, tiers: Sequence[Sequence[int]], index: Places) -> Row:
    """Marks by aspect, and who is above the line of good enough."""
    found: Row = {}
    if "rate" in said.details:
        given = said.details["rate"].get("ratings", NOTHING)
        for aspect in sorted(given):
            marks = given[aspect]
            found[aspect] = [marks.get(name) for name in index.named]
    line = said.acceptable
    if line is not None:
        depth = {pk: n for n, tier in enumerate(tiers) for pk in tier}
        found["acceptable"] = [int(depth[pk] < line) if pk in depth else None for pk in index.order]
    return found


def _edit(
    said: Said, tiers: Sequence[Sequence[int]], question: Question, index: Places
) -> Row | None:
    """The rewrite that the weak order has beside the responses that were asked about."""
    placed = {pk for tier in tiers for pk in tier}
    made = next((text for text in question.edits if text.pk in placed), None)
    if made is None:
        return None
    reasons = said.details.get("edit", {}).get("reasons") or []
    return {"response": index[made.parent_id or 0], "text": made.text, "reasons": reasons}


def by_index(details: Mapping[str, Any], index: Places) -> Row:
    """Details with responses as they are numbered in the row: ids do not leave the system."""
    told = dict(details)
    for name, part in details.items():
        if isinstance(part, dict) and not TELL.keys().isdisjoint(part):
            told[name] = {
                key: TELL[key](value, index) if key in TELL else value
                for key, value in part.items()
            }
    return told


def _one(value: Any, index: Places) -> Any:
    return index.get(value, value)


def _aspects(value: Any, index: Places) -> Row:
    return {aspect: index.get(who, who) for aspect, who in value.items()}


def _marks(value: Any, index: Places) -> Row:
    return {name: _by_name(given, index) for name, given in value.items()}


def _by_name(value: Any, index: Places) -> Row:
    names = index.names
    return {names[pk]: given for pk, given in value.items()}


def _highlights(value: Any, index: Places) -> list[Row]:
    return [{**mark, "response": index[mark["response"]]} for mark in value]


def _listed(value: Any, index: Places) -> list[int]:
    return [index[pk] for pk in value]


TELL: dict[str, Callable[[Any, Places], Any]] = {  # parts of details that name responses
    "aspects": _aspects,
    "ratings": _marks,
    "thumbs": _by_name,
    "highlights": _highlights,
    "unranked": _listed,
    "of": _one,
    "unchanged": _one,
}
FORMAT = Format(
    name="native",
    title="Tiebreak's own",
    summary="Everything: one row a question, with every answer as it was given. Can be imported "
    "again.",
    make=make,
    columns=None,
    heeds=frozenset({"include_skips"}),
)
