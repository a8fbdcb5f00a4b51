"""`edit-pairs`: an edit, its original, and which characters differ."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from .base import VOTING, Columns, Context, Format, Question, Row, Rows, Text, input_of, output_of
from .consensus import counted, verdicts

WORDS = re.compile(r"\s+|\w+|[^\w\s]")
MOST = 4000  # words; above, frequent words do not anchor the comparison, which keeps it fast
Span = list[int]


def differences(original: str, edited: str) -> tuple[list[Span], list[Span], float]:
    """Spans of characters only in the original, spans only in the edit, and how far apart they are.

    Words, runs of spaces and single signs are compared. The distance is the share of characters
    that differ, 0 to 1.
    """
    old, new = WORDS.findall(original), WORDS.findall(edited)
    matcher = SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > MOST)
    starts = [_starts(words) for words in (old, new)]
    gone: list[Span] = []
    made: list[Span] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind in ("replace", "delete"):
            gone.append([starts[0][a], starts[0][b]])
        if kind in ("replace", "insert"):
            made.append([starts[1][c], starts[1][d]])
    changed = sum(end - start for start, end in (*gone, *made))
    return gone, made, changed / max(len(original) + len(edited), 1)


def _starts(words: list[str]) -> list[int]:
    found = [0]
    for word in words:
        found.append(found[-1] + len(word))
    return found


def make(question: Question, context: Context) -> Rows:
    """`chosen` is the edit; spans say what only it has, and what only the original had."""
    originals = {text.pk: text for text in question.responses}
    edits = {text.pk for text in question.edits}
    if question.across or not edits:
        return
    reasons = _reasons(question, context)
    weighs = context.weight(question)
    for verdict in verdicts(question, context):
        edit, original = verdict.better, originals.get(verdict.worse.pk)
        if edit.pk not in edits or original is None or edit.parent_id != original.pk or verdict.tie:
            continue
        yield (
            _row(question, edit, original, reasons, verdict.weight * weighs, context),
            {
                "model": original.model or None,
                "votes": verdict.votes,
            },
        )


def _reasons(question: Question, context: Context) -> dict[int, list[str]]:
    """Why something was edited, by the edit."""
    edits = {text.pk for text in question.edits}
    found: dict[int, list[str]] = {}
    for said, _ in counted(question, context):
        given = said.details.get("edit") or said.extra.get("edit") or {}
        for tier in said.tiers or ():
            for pk in tier:
                if pk in edits:
                    known = found.setdefault(pk, [])
                    known += [one for one in given.get("reasons") or [] if one not in known]
    return found


def _row(
    question: Question,
    edit: Text,
    original: Text,
    reasons: dict[int, list[str]],
    weight: float,
    context: Context,
) -> Row:
    gone, made, distance = differences(original.text, edit.text)
    return {
        "prompt": input_of(question.prompt, context.chat),
        "chosen": output_of(edit.text, context.chat),
        "rejected": output_of(original.text, context.chat),
        "chosen_spans": made,
        "rejected_spans": gone,
        "distance": round(distance, 6),
        "weight": round(weight * min(1.0, 4.0 * distance), 6),
        "reasons": reasons.get(edit.pk, []),
        "group_id": question.id,
    }


def _columns(context: Context) -> Columns:
    return {
        **dict.fromkeys(("prompt", "chosen", "rejected"), context.turns),
        "chosen_spans": [["integer"]],
        "rejected_spans": [["integer"]],
        "distance": "number",
        "weight": "number",
        "reasons": ["string"],
        "group_id": "string",
    }


FORMAT = Format(
    name="edit-pairs",
    title="Edit pairs",
    summary="An edit, its original, and the spans of characters that only one of them has: a mask "
    "for losses on what was changed.",
    make=make,
    columns=_columns,
    heeds=VOTING - {"ties", "neither", "edits"} | {"weights"},
)
