"""`trl-unpaired`: each response by itself, good or not, for KTO and BCO."""

from __future__ import annotations

from .base import VOTING, Columns, Context, Format, Question, Rows, input_of, output_of
from .consensus import goods


def make(question: Question, context: Context) -> Rows:
    """`prompt`, `completion`, `label`."""
    weighs = context.weight(question)
    for good in goods(question, context):
        prompt = question.prompt_of(good.response)
        row = {
            "prompt": input_of(prompt, context.chat),
            "completion": output_of(good.response.text, context.chat),
            "label": good.good,
        }
        if context.options.weights != "none":
            row["weight"] = round(good.weight * weighs, 6)
        about = {
            "model": good.response.model or None,
            "votes": good.votes,
            "agreement": round(good.agreement, 6),
        }
        yield row, about | ({"annotation": good.said.pk} if good.said else {})


def _columns(context: Context) -> Columns:
    found: Columns = {"prompt": context.turns, "completion": context.turns, "label": "boolean"}
    return found | ({"weight": "number"} if context.options.weights != "none" else {})


FORMAT = Format(
    name="trl-unpaired",
    title="TRL unpaired (KTO)",
    summary="prompt, completion, label: for TRL's KTO and BCO trainers. A line of good enough "
    "decides; without one the best is true and the worst is false.",
    make=make,
    columns=_columns,
    heeds=VOTING | {"weights"},
)
