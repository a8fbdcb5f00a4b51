"""`ranking`: completions with their ranks, one row an answer, or one for all answers."""

from __future__ import annotations

from .base import VOTING, Columns, Context, Format, Question, Rows, input_of, output_of
from .consensus import rankings


def make(question: Question, context: Context) -> Rows:
    """`prompt`, `completions`, `ranks` (1 is best, equal is level), `group_id`, `weight`."""
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
    weighs = context.weight(question)
    for ranked in rankings(question, context):
        row = {
            "prompt": input_of(question.prompt, context.chat),
            "completions": [output_of(text.text, context.chat) for text in ranked.responses],
            "ranks": ranked.ranks,
            "annotator_id": ranked.said.annotator if ranked.said else None,
            "group_id": question.id,
            "weight": round(ranked.weight * weighs, 6),
        }
        about = {
            "completion_models": [text.model or None for text in ranked.responses],
            "agreement": round(ranked.agreement, 6),
        }
        yield row, about | ({"annotation": ranked.said.pk} if ranked.said else {})


def _columns(context: Context) -> Columns:
    return {
        "prompt": context.turns,
        "completions": [context.turns],
        "ranks": ["integer"],
        "annotator_id": "string",
        "group_id": "string",
        "weight": "number",
    }


FORMAT = Format(
    name="ranking",
    title="Rankings",
    summary="prompt, completions, ranks: one row an answer, or one for all answers; rows about the "
    "same responses share group_id.",
    make=make,
    columns=_columns,
    heeds=VOTING - {"ties"} | {"weights"},
    consensus="all",
)
