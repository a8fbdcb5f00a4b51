"""Marks on scales: `helpsteer` (a row for each response) and `ultrafeedback` (one a question)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from annotator.importers.ultrafeedback import FINE, KEPT, PEOPLE

from .base import (
    NOTHING,
    Columns,
    Context,
    Format,
    Question,
    Row,
    Rows,
    Said,
    Text,
    input_of,
    ratings,
)
from .consensus import counted

OVERALL = "overall"
TYPED = ("truthfulness", "helpfulness")  # of these UltraFeedback says also
TYPE, WHY = "Type", "Rationale For Rating"
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
        came = _came(question, answers)
        yield (
            {
                "source": question.item.source if question.item else "",
                "instruction": input_of(question.prompt, context.chat),
                "models": [text.model for text in question.responses],
                "completions": [
                    _completion(text, by_response[text.pk], context, came.get(n, NOTHING))
                    for n, text in enumerate(question.responses)
                ],
                "correct_answers": ["None"],
                "incorrect_answers": ["None"],
                "marked_by": _who(by_response),
            },
            {"answers": len(answers)},
        )


def _who(by_response: dict[int, Marks]) -> str:
    """Who gave the marks, for in data sets of this format a model did: people, or its name."""
    given = [said for marks in by_response.values() for m in marks.values() for said, _, _ in m]
    judges = sorted({said.annotator for said in given if said.kind != "human"})
    people = [PEOPLE] if any(said.kind == "human" for said in given) else []
    return ", ".join([*people, *judges])


def _came(question: Question, answers: set[int]) -> dict[int, Row]:
    """What an import kept of each completion, where its answer is the only one."""
    (said, *others) = [said for said in question.answers if said.pk in answers]
    meta = said.extra.get("meta")
    kept = meta.get("completions") if isinstance(meta, dict) else None
    if others or not isinstance(kept, list) or len(kept) != len(question.responses):
        return {}
    return {n: one for n, one in enumerate(kept) if isinstance(one, dict)}


def _completion(text: Text, marks: Marks, context: Context, came: Row) -> Row:
    """One completion; what only UltraFeedback says of it is there where it came from there."""
    reasons = {s.pk: s.rationale for listed in marks.values() for s, _, _ in listed if s.rationale}
    overall = marks.get(OVERALL)
    every = [mark for aspect, listed in marks.items() if aspect != OVERALL for mark in listed]
    own = came.get("annotations") or NOTHING
    return {
        "model": text.model,
        "response": text.text,
        **{name: _words(text.extra, name) or None for name in KEPT},
        "critique": _words(came, "critique") or ("" if came else "\n\n".join(reasons.values())),
        "overall_score": float(mean(overall)) if overall else _plain_mean(every),
        FINE: float(came[FINE]) if isinstance(came.get(FINE), int | float) else None,
        "annotations": {
            aspect: _mark(aspect, _rating(marks.get(aspect)), own.get(aspect) or NOTHING)
            for aspect in context.aspects
            if aspect != OVERALL
        },
    }


def _mark(aspect: str, rating: str, came: Row) -> Row:
    found: Row = {"Rating": rating, "Rationale": _words(came, "Rationale")}
    if aspect in TYPED:
        kinds = came.get(TYPE)
        found[TYPE] = [str(kind) for kind in kinds] if isinstance(kinds, list) else None
        found[WHY] = _words(came, WHY) or None
    return found


def _words(given: Row, name: str) -> str:
    found = given.get(name)
    return found if isinstance(found, str) else ""


def _rating(marks: list[tuple[Said, float, float]] | None) -> str:
    return f"{mean(marks):g}" if marks else "N/A"


def _plain_mean(marks: list[tuple[Said, float, float]]) -> float | None:
    total = sum(weight for _, weight, _ in marks)
    return round(sum(w * mark for _, w, mark in marks) / total, 6) if total else None


def _ultrafeedback_columns(context: Context) -> Columns:
    mark: Row = {"Rating": "string", "Rationale": "string"}
    typed = mark | {TYPE: ["string"], WHY: "string"}
    aspects = {name: typed if name in TYPED else mark for name in context.aspects}
    aspects.pop(OVERALL, None)
    completion: dict[str, Any] = {
        "model": "string",
        "response": "string",
        **dict.fromkeys(KEPT, "string"),
        "critique": "string",
        "overall_score": "number",
        FINE: "number",
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
