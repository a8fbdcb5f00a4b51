"""`label-studio`: tasks with annotations, and the labelling configuration that they fit."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

from annotator.importers.base import OUTCOMES

from .argilla import slug
from .base import Context, Format, Question, Row, Rows, Said, depths, input_of, ranks, ratings
from .consensus import counted


def make(question: Question, context: Context) -> Rows:
    """One task a question; judges are predictions. `answer1`, `answer2`, … keep their places."""
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
    asides = [(said, 1.0) for said in question.answers if not said.judges]
    annotations, predictions = [], []
    for said, _ in [*counted(question, context), *asides]:
        result = _result(said, question, context)
        if said.kind == "human":
            annotations.append(_annotation(said, result))
        else:
            predictions.append({"model_version": said.annotator, "result": result})
    data: Row = {"id": question.id, "prompt": input_of(question.prompt, context.chat)}
    data |= {f"answer{n}": text.text for n, text in enumerate(question.responses, start=1)}
    if context.most > 2:
        data["answers"] = [
            {"id": f"answer{n}", "title": f"Answer {n}", "body": text.text}
            for n, text in enumerate(question.responses, start=1)
        ]
    yield {"data": data, "annotations": annotations, "predictions": predictions}, {}


def _annotation(said: Said, result: list[Row]) -> Row:
    """Who it was goes into `meta` of the results: Label Studio refuses people it does not know."""
    return {
        "unique_id": said.submission_key,
        "result": result,
        "was_cancelled": not said.judges,
        "ground_truth": False,
        "lead_time": None if said.active_ms is None else said.active_ms / 1000,
        "created_at": said.recorded_at,
    }


def _result(said: Said, question: Question, context: Context) -> list[Row]:
    ids, places = question.ids, depths(said)
    names = [f"answer{n}" for n in range(1, len(ids) + 1)]
    numbers = ranks(places, ids)
    found = [_one("outcome", "prompt", "choices", {"choices": [said.outcome]})]
    if len(ids) == 2 and said.outcome == "preference" and sorted(map(str, numbers)) == ["1", "2"]:
        side = "left" if numbers[0] == 1 else "right"
        found.append(_one("pairwise", "answer1,answer2", "pairwise", {"selected": side}))
    if len(ids) > 2 and places and said.outcome in ("preference", "tie"):
        buckets: dict[str, list[str]] = {}
        for name, rank in zip(names, numbers, strict=True):
            buckets.setdefault("_" if rank is None else f"rank{rank}", []).append(name)
        found.append(
            _one("ranking", "answers", "ranker", {"ranker": dict(sorted(buckets.items()))})
        )
    if said.strength:
        found.append(_one("strength", "prompt", "rating", {"rating": said.strength}))
    for aspect, marks in ratings(said, ids).items():
        for n, pk in enumerate(ids, start=1):
            if pk in marks:
                name = f"{slug(aspect)}-{n}"
                found.append(_one(name, f"answer{n}", "number", {"number": marks[pk]}))
    if said.rationale:
        found.append(_one("rationale", "prompt", "textarea", {"text": [said.rationale]}))
    edit = next((text for text in question.edits if text.pk in places), None)
    if edit is not None and context.options.edits == "in":
        of = f"answer{ids.index(edit.parent_id or 0) + 1}"
        found.append(_one(f"edit-{of}", of, "textarea", {"text": [edit.text]}))
    for number, one in enumerate(found):
        one["id"] = f"{said.submission_key[:8]}{number}"
        one["meta"] = {"annotator": said.annotator}
    return found


def _one(name: str, about: str, kind: str, value: Row) -> Row:
    return {"id": "", "from_name": name, "to_name": about, "type": kind, "value": value}


def configuration(context: Context, guidelines: str) -> dict[str, str]:
    """`config.xml`, to paste into a project's labelling setup."""
    del guidelines  # a project's instructions are not in its configuration
    numbers = range(1, context.most + 1)
    prompt = '<Text name="prompt" value="$prompt"/>'
    if context.chat:
        prompt = (
            '<Paragraphs name="prompt" value="$prompt" layout="dialogue" nameKey="role" '
            'textKey="content"/>'
        )
    lines = [prompt]
    lines += [f'<Text name="answer{n}" value="$answer{n}"/>' for n in numbers]
    if context.most == 2:
        lines.append('<Pairwise name="pairwise" toName="answer1,answer2"/>')
    elif context.most > 2:
        buckets = "".join(f'<Bucket name="rank{n}" title="Rank {n}"/>' for n in numbers)
        lines.append('<List name="answers" value="$answers" title="Answers"/>')
        lines.append(f'<Ranker name="ranking" toName="answers">{buckets}</Ranker>')
    choices = "".join(f'<Choice value="{outcome}"/>' for outcome in OUTCOMES)
    lines.append(f'<Choices name="outcome" toName="prompt">{choices}</Choices>')
    lines.append('<Rating name="strength" toName="prompt" maxRating="3"/>')
    for aspect in context.aspects:
        lines += [
            f'<Number name={quoteattr(f"{slug(aspect)}-{n}")} toName="answer{n}"/>' for n in numbers
        ]
    lines.append('<TextArea name="rationale" toName="prompt"/>')
    lines += [f'<TextArea name="edit-answer{n}" toName="answer{n}"/>' for n in numbers]
    body = "\n".join(f"  {line}" for line in lines)
    return {"config.xml": f"<View>\n{body}\n</View>\n"}


FORMAT = Format(
    name="label-studio",
    title="Label Studio",
    summary="Tasks with everybody's annotations, and config.xml that they fit.",
    make=make,
    columns=None,
    heeds=frozenset({"include_skips", "judges", "edits"}),
    companions=configuration,
    container="json",
    needs=frozenset({"aspects", "most"}),
)
