"""Marks on scales: `helpsteer` (a row for each response) and `ultrafeedback` (one a question)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from annotator.importers.ultrafeedback import BOTH, JUDGES, PEOPLE

from .base import Columns, Context, Format, Question, Row, Rows, Said, Text, input_of, ratings
from .consensus import counted

OVERALL = "overall"
HEEDS = frozenset({"consensus", "minimum_answers", "judges", "judge_weight"})
Marks = dict[str, list[tuple[Said, float, float]]]  # by aspect: answer, weight, mark


def given(question: Question, context: Context) -> dict[int, Marks]:
    """Who marked which response how, by response id."""
    found: dict[int, Marks] = {pk: defaultdict(list) for pk in question.ids}
    for said, weight in counted(question, context):
        for aspect, marks in ratings(said, question.ids).items():
            for pk, mark in marks.items():
                found[pk][aspect].append((said, weight, mark))
    return found


def mean(marks: list[tuple[Said, float, float]]) -> float:
    """The weighted mean; rounded to a whole mark where all marks are whole, as HelpSteer does."""
    total = sum(weight for _, weight, _ in marks)
    found = sum(weight * mark for _, weight, mark in marks) / total
    if all(isinstance(mark, int) for _, _, mark in marks):
        return int(found + 0.5)
    return round(found, 6)


def helpsteer(question: Question, context: Context) -> Rows:
    """`prompt`, `response` and a column for every aspect."""
    by_response = given(question, context)
    for text in question.responses:
        marks = by_response[text.pk]
        answers = {said.pk: said for listed in marks.values() for said, _, _ in listed}
        if not answers or len(answers) < context.options.minimum_answers:
            context.left_out["responses without marks, or with too few"] += 1
        elif context.options.consensus == "all":
            for pk, said in answers.items():
                own = {a: [one for one in listed if one[0].pk == pk] for a, listed in marks.items()}
                yield _row(question, text, own, context), _about(text, 1) | {"annotation": said.pk}
        else:
            yield _row(question, text, marks, context), _about(text, len(answers))


def _row(question: Question, text: Text, marks: Marks, context: Context) -> Row:
    row: Row = {
        "prompt": input_of(question.prompt_of(text), context.chat),
        "response": text.text,
    }
    for aspect in context.aspects:
        row[aspect] = mean(marks[aspect]) if marks.get(aspect) else None
    return row


def _about(text: Text, answers: int) -> Row:
    return {"model": text.model or None, "answers": answers}


def _helpsteer_columns(context: Context) -> Columns:
    marks = dict.fromkeys(context.aspects, "number")
    return {"prompt": context.turns, "response": "string"} | marks


def ultrafeedback(question: Question, context: Context) -> Rows:
    """`source`, `instruction`, `models`, `completions` with their marks by aspect."""
    by_response = given(question, context)
    answers = {s.pk for marks in by_response.values() for m in marks.values() for s, _, _ in m}
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
    elif not answers or len(answers) < context.options.minimum_answers:
        context.left_out["questions without marks, or with too few"] += 1
    else:
        yield (
            {
                "source": question.item.source if question.item else "",
                "instruction": input_of(question.prompt, context.chat),
                "models": [text.model for text in question.responses],
                "completions": [
                    _completion(text, by_response[text.pk], context) for text in question.responses
                ],
                "correct_answers": ["None"],
                "incorrect_answers": ["None"],
                "marked_by": _kinds(by_response),
            },
            {"answers": len(answers)},
        )


def _kinds(by_response: dict[int, Marks]) -> str:
    """Who gave the marks: in data sets of this format a model does."""
    given = (said for marks in by_response.values() for m in marks.values() for said, _, _ in m)
    kinds = {PEOPLE if said.kind == "human" else JUDGES for said in given}
    return BOTH if len(kinds) > 1 else kinds.pop()


def _completion(text: Text, marks: Marks, context: Context) -> Row:
    reasons = {s.pk: s.rationale for listed in marks.values() for s, _, _ in listed if s.rationale}
    overall = marks.get(OVERALL)
    every = [mark for aspect, listed in marks.items() if aspect != OVERALL for mark in listed]
    return {
        "model": text.model,
        "response": text.text,
        "critique": "\n\n".join(reasons.values()),
        "overall_score": float(mean(overall)) if overall else _plain_mean(every),
        "annotations": {
            aspect: {"Rating": _rating(marks.get(aspect)), "Rationale": ""}
            for aspect in context.aspects
            if aspect != OVERALL
        },
    }


def _rating(marks: list[tuple[Said, float, float]] | None) -> str:
    return f"{mean(marks):g}" if marks else "N/A"


def _plain_mean(marks: list[tuple[Said, float, float]]) -> float | None:
    total = sum(weight for _, weight, _ in marks)
    return round(sum(w * mark for _, w, mark in marks) / total, 6) if total else None


def _ultrafeedback_columns(context: Context) -> Columns:
    mark = {"Rating": "string", "Rationale": "string"}
    aspects: dict[str, Any] = {name: mark for name in context.aspects if name != OVERALL}
    completion: dict[str, Any] = {
        "model": "string",
        "response": "string",
        "critique": "string",
        "overall_score": "number",
        "annotations": aspects,
    }
    return {
        "source": "string",
        "instruction": context.turns,
        "models": ["string"],
        "completions": [completion],
        "correct_answers": ["string"],
        "incorrect_answers": ["string"],
        "marked_by": "string",
    }


HELPSTEER = Format(
    name="helpsteer",
    title="HelpSteer-style ratings",
    summary="prompt, response and a column for each aspect that was rated: the mean of all marks, "
    "or a row for each answer.",
    make=helpsteer,
    columns=_helpsteer_columns,
    heeds=HEEDS,
    needs=frozenset({"aspects"}),
)
ULTRAFEEDBACK = Format(
    name="ultrafeedback",
    title="UltraFeedback-style",
    summary="One row a question: instruction, models, completions with marks by aspect and an "
    "overall score.",
    make=ultrafeedback,
    columns=_ultrafeedback_columns,
    heeds=HEEDS - {"consensus"},
    needs=frozenset({"aspects"}),
)
