"""`argilla`: records of Argilla 2 with their responses, and the settings that they fit."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from annotator.importers.base import OUTCOMES

from .base import (
    NOTHING,
    Context,
    Format,
    Question,
    Row,
    Rows,
    Said,
    depths,
    input_of,
    ranks,
    ratings,
)
from .consensus import counted

MARKS = range(11)  # what a rating of Argilla can be
PEOPLE = uuid.uuid5(uuid.NAMESPACE_URL, "tiebreak:annotators")


def make(question: Question, context: Context) -> Rows:
    """One record a question; judges are suggestions."""
    if question.across:
        context.left_out["pairs across prompts, which this format cannot hold"] += 1
        return
    responses: dict[str, list[Row]] = {}
    suggestions: Row = {}
    asides = [(said, 1.0) for said in question.answers if not said.judges]
    for said, _ in [*counted(question, context), *asides]:
        values = _values(said, question, context)
        if said.kind != "human":
            for name, value in values.items():
                suggestions.setdefault(
                    name, {"value": value, "score": None, "agent": said.annotator}
                )
            continue
        status = "submitted" if said.judges else "discarded"
        who = str(uuid.uuid5(PEOPLE, said.annotator))
        for name, value in values.items():
            listed = responses.setdefault(name, [])
            listed.append({"value": value, "user_id": who, "status": status})
    fields: Row = {"prompt": input_of(question.prompt, context.chat)}
    fields |= {f"response-{n}": text.text for n, text in enumerate(question.responses, start=1)}
    yield (
        {
            "id": question.id,
            "fields": fields,
            "metadata": _metadata(question),
            "suggestions": suggestions,
            "responses": responses,
            "vectors": {},
        },
        {},
    )


def _metadata(question: Question) -> Row:
    """Of the record that it came from, and the digest of the prompt."""
    came = question.item.extra.get("meta") if question.item else None
    kept = {key: value for key, value in (came or NOTHING).items() if _is_metadata(key, value)}
    return kept | {"prompt_digest": question.prompt.digest}


def _is_metadata(key: str, value: Any) -> bool:
    """Texts and numbers; not what a record says of itself."""
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return plain and key not in ("status", "inserted_at", "updated_at")


def _values(said: Said, question: Question, context: Context) -> Row:
    """The value for each question of the settings that this answer has one for."""
    ids, places = question.ids, depths(said)
    found: Row = {"outcome": said.outcome}
    numbers = ranks(places, ids)
    if len(ids) > 1 and said.outcome in ("preference", "tie") and None not in numbers:
        found[f"ranking-{len(ids)}"] = [
            {"value": f"response-{n}", "rank": rank} for n, rank in enumerate(numbers, start=1)
        ]
    if said.strength:
        found["strength"] = said.strength
    for aspect, marks in ratings(said, ids).items():
        for n, pk in enumerate(ids, start=1):
            if marks.get(pk) in MARKS:
                found[f"{slug(aspect)}-{n}"] = int(marks[pk])
            elif pk in marks:
                context.left_out["marks that Argilla's ratings cannot hold"] += 1
    if said.rationale:
        found["rationale"] = said.rationale
    edit = next((text for text in question.edits if text.pk in places), None)
    if edit is not None and context.options.edits == "in":
        found["edit"] = edit.text
    return found


def slug(name: str) -> str:
    """A name as Argilla allows it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "aspect"


def settings(context: Context, guidelines: str) -> dict[str, str]:
    """`settings.json`, as `Settings.from_json` reads it."""
    numbers = range(1, context.most + 1)
    kind = {"type": "chat" if context.chat else "text", "use_markdown": True}
    fields = [{"name": "prompt", "title": "Prompt", "required": True, "settings": kind}]
    fields += [
        {
            "name": f"response-{n}",
            "title": f"Response {n}",
            "required": n == 1,
            "settings": {"type": "text", "use_markdown": True},
        }
        for n in numbers
    ]
    options = [{"value": name, "text": name, "description": None} for name in OUTCOMES]
    questions = [_question("outcome", True, {"type": "label_selection", "options": options})]
    for size in range(2, context.most + 1):
        ranked = [
            {"value": f"response-{n}", "text": f"Response {n}", "description": None}
            for n in range(1, size + 1)
        ]
        questions.append(
            _question(f"ranking-{size}", False, {"type": "ranking", "options": ranked})
        )
    levels = [{"value": value} for value in (1, 2, 3)]
    questions.append(_question("strength", False, {"type": "rating", "options": levels}))
    marks = [{"value": value} for value in MARKS]
    for aspect in context.aspects:
        questions += [
            _question(f"{slug(aspect)}-{n}", False, {"type": "rating", "options": marks})
            for n in numbers
        ]
    for name in ("rationale", "edit"):
        questions.append(_question(name, False, {"type": "text", "use_markdown": False}))
    said = {
        "guidelines": guidelines or None,
        "fields": fields,
        "questions": questions,
        "vectors": [],
        "metadata": [],
        "allow_extra_metadata": True,
        "distribution": {"strategy": "overlap", "min_submitted": 1},
        "mapping": None,
    }
    return {"settings.json": json.dumps(said, indent=2, ensure_ascii=False) + "\n"}


def _question(name: str, required: bool, kind: dict[str, Any]) -> Row:
    title = name.replace("-", " ").capitalize()
    return {"name": name, "title": title, "required": required, "settings": kind}


FORMAT = Format(
    name="argilla",
    title="Argilla",
    summary="Records of Argilla 2 with everybody's responses, and settings.json that they fit.",
    make=make,
    columns=None,
    heeds=frozenset({"include_skips", "judges", "edits"}),
    companions=settings,
    container="json",
    needs=frozenset({"aspects", "most"}),
)
