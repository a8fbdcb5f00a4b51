"""`sft`: what a model should say: edits, and responses that won against all others."""

from __future__ import annotations

from .base import VOTING, Columns, Context, Format, Question, Rows, Text, input_of, output_of
from .consensus import goods, verdicts


def make(question: Question, context: Context) -> Rows:
    """`prompt`, `completion`, and whether it is an `edit` or the `best` response."""
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
    weighs = context.weight(question)
    for text, kind in _chosen(question, context):
        row = {
            "prompt": input_of(question.prompt, context.chat),
            "completion": output_of(text.text, context.chat),
            "kind": kind,
        }
        if context.options.weights != "none":
            row["weight"] = round(weighs, 6)
        yield row, {"model": text.model or None, "edited": text.parent_id is not None}


def _chosen(question: Question, context: Context) -> list[tuple[Text, str]]:
    """The edits that stand above their originals; else the one response that nothing beats.

    What people find not good enough is left out, whatever it won against.
    """
    won: dict[int, set[int]] = {}
    for verdict in verdicts(question, context):
        if not verdict.tie:
            won.setdefault(verdict.better.pk, set()).add(verdict.worse.pk)
    marks = {good.response.pk: good.good for good in goods(question, context)}
    edits = [
        text
        for text in question.edits
        if text.parent_id in won.get(text.pk, ()) and marks.get(text.pk, True)
    ]
    if edits:
        return [(text, "edit") for text in edits]
    others = len(question.responses) - 1
    for text in question.responses:
        beaten = won.get(text.pk, set()) & set(question.ids)
        best = len(beaten) == others if others else marks.get(text.pk, False)
        if best and marks.get(text.pk, True):
            return [(text, "best")]
    context.left_out["questions without a best response"] += 1
    return []


def _columns(context: Context) -> Columns:
    found: Columns = {"prompt": context.turns, "completion": context.turns, "kind": "string"}
    return found | ({"weight": "number"} if context.options.weights != "none" else {})


FORMAT = Format(
    name="sft",
    title="SFT",
    summary="prompt, completion: edits, and where there are none the response that won against "
    "all others. For TRL's SFT trainer.",
    make=make,
    columns=_columns,
    heeds=VOTING - {"ties"} | {"weights"},
)
