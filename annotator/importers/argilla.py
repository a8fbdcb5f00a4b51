"""Argilla 2: records with fields, responses by question and person, and suggestions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from annotator.importers.base import (
    OUTCOMES,
    STRONGEST,
    Importer,
    Made,
    Misfit,
    Raw,
    Reading,
    finished,
    one_by_one,
)
from annotator.importers.chats import as_prompt, as_response, chat
from annotator.importers.columns import Columns, choice_of, columns_of
from annotator.importers.fields import expected, get, listed, mapped, missing, number, rest

REASON = re.compile(r"reason|rationale|why|comment|explanation|justif|feedback")
NUMBERED = re.compile(r"(.+?)[-_ .](\d{1,2})")
Answers = dict[str, dict[str, Any]]  # person to question to value
FLAT = (".responses", ".responses.users", ".responses.status", ".suggestion")
SUGGESTED = (".suggestion", ".suggestion.score", ".suggestion.agent")


def _recognises(row: Raw) -> bool:
    nested = isinstance(row.get("fields"), dict) and bool(
        {"responses", "suggestions", "status", "metadata"} & set(row)
    )
    return nested or any(key.endswith((".responses", ".suggestion")) for key in row)


def _nested(row: Raw) -> Raw:
    """The flat columns of an exported data set as a record has them."""
    if isinstance(row.get("fields"), dict):
        return row
    questions = {key.rsplit(end, 1)[0] for key in row for end in FLAT if key.endswith(end)}
    record: dict[str, Any] = {"fields": {}, "metadata": {}, "responses": {}, "suggestions": {}}
    for name in questions:
        values = row.get(f"{name}.responses") or []
        users = row.get(f"{name}.responses.users") or [None] * len(values)
        states = row.get(f"{name}.responses.status") or ["submitted"] * len(values)
        record["responses"][name] = [
            {"value": value, "user_id": user, "status": state}
            for value, user, state in zip(values, users, states, strict=False)
        ]
        if row.get(f"{name}.suggestion") is not None:
            record["suggestions"][name] = {
                "value": row[f"{name}.suggestion"],
                "score": row.get(f"{name}.suggestion.score"),
                "agent": row.get(f"{name}.suggestion.agent"),
            }
    for key, value in row.items():
        if key in ("id", "status", "_server_id", "vectors"):
            record[key] = value
        elif key.startswith("metadata."):
            record["metadata"][key.partition(".")[2]] = value
        elif not any(key == name or key.startswith(f"{name}.") for name in questions):
            record["fields"][key] = value
    return record


def _convert(given: Raw, how: Reading) -> Made:
    row = _nested(given)
    flat = row is not given
    fields = mapped(row.get("fields"), "fields")
    columns = columns_of(fields, how.columns)
    if "prompt" not in columns.named:
        raise missing("fields.prompt", "a field of that name, or prompt=FIELD")
    if len(columns.responses) < 2:
        raise missing("fields.response_1", "two fields with responses, or response_1=FIELD")
    prompt = _content(fields, columns.named["prompt"])
    people = _people(row.get("responses") or {})
    said = [
        {"annotator": person or None, "kind": "human", **_annotation(values, columns)}
        for person, values in people.items()
    ]
    for agent, values in _agents(row.get("suggestions") or {}).items():
        said.append({"annotator": agent or None, "kind": "llm", **_annotation(values, columns)})
    metadata = mapped(row.get("metadata") or {}, "metadata")
    native = {
        "id": "" if row.get("id") is None else str(row["id"]),
        "prompt": prompt if isinstance(prompt, str) else as_prompt(prompt),
        "responses": [_response(fields, name) for name in columns.responses],
        "annotations": said,
        "meta": metadata
        | rest(row, "id", "fields", "responses", "suggestions", "metadata", "_server_id")
        | rest({"fields": rest(fields, columns.named["prompt"], *columns.responses) or None}),
    }
    at = "" if flat else "fields."
    names = {"id": "id", "prompt": at + columns.named["prompt"]}
    for n, name in enumerate(columns.responses):
        names |= {f"responses[{n}].text": at + name, f"responses[{n}]": at + name}
    return finished(native, "argilla", names)


def _content(fields: Raw, name: str) -> Any:
    value = get(fields, name, "text or messages", "fields.")
    if isinstance(value, list):
        return chat(value, f"fields.{name}")
    if not isinstance(value, str):
        raise expected(f"fields.{name}", "text or messages", value)
    return value


def _response(fields: Raw, name: str) -> dict[str, Any]:
    value = _content(fields, name)
    return {"text": value} if isinstance(value, str) else as_response(value)


def _people(responses: Any) -> Answers:
    """Submitted answers by person; discarded ones and drafts are none."""
    found: Answers = {}
    if isinstance(responses, list):  # as version 1 had them: by person, then by question
        for n, one in enumerate(responses):
            if mapped(one, f"responses[{n}]").get("status", "submitted") == "submitted":
                values = mapped(one.get("values") or {}, f"responses[{n}].values")
                found[str(one.get("user_id") or f"unknown {n + 1}")] = {
                    name: mapped(v, f"responses[{n}].values.{name}").get("value")
                    for name, v in values.items()
                }
        return found
    for name, answers in mapped(responses, "responses").items():
        for n, one in enumerate(listed(answers, f"responses.{name}")):
            if mapped(one, f"responses.{name}[{n}]").get("status", "submitted") == "submitted":
                person = str(one.get("user_id") or f"unknown {n + 1}")
                found.setdefault(person, {})[name] = one.get("value")
    return found


def _agents(suggestions: Any) -> Answers:
    found: Answers = {}
    if isinstance(suggestions, list):
        whole = [mapped(one, f"suggestions[{n}]") for n, one in enumerate(suggestions)]
        suggestions = {str(one.get("question_name")): one for one in whole}
    for name, one in mapped(suggestions, "suggestions").items():
        agent = str(mapped(one, f"suggestions.{name}").get("agent") or "")
        found.setdefault(agent, {})[name] = one.get("value")
    return found


def _annotation(values: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """What one person said in answer to all questions: order, choice, ratings, reason."""
    found: dict[str, Any] = {"choice": None}
    ratings: dict[str, list[Any]] = {}
    more: dict[str, Any] = {}
    for name, value in values.items():
        at = f"responses.{name}"
        if _is_ranking(value):
            found["ranking"] = _ranking(value, columns, at)
        elif name == "strength" and isinstance(value, int | float):
            found["strength"] = value
        elif isinstance(value, int | float) and not isinstance(value, bool):
            aspect, place = _rated(name, columns)
            if place is None:
                more[name] = value
            else:
                ratings.setdefault(aspect, [None] * len(columns.responses))[place] = value
        elif isinstance(value, str) and (choice := _choice(value, columns)):
            found |= choice
        elif isinstance(value, str) and value.strip() and REASON.search(name.lower()):
            found["rationale"] = value
        elif value not in (None, ""):
            more[name] = value
    if ratings:
        found["ratings"] = {**found.get("ratings", {}), **ratings}
    if "strength" in found and values.get("outcome") in OUTCOMES:
        found["strength_max"] = STRONGEST
    return found | ({"meta": more} if more else {})


def _is_ranking(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and "rank" in one for one in value)
    )


def _ranking(value: Sequence[Raw], columns: Columns, at: str) -> list[int | None]:
    places: list[int | None] = [None] * len(columns.responses)
    for n, one in enumerate(value):
        choice = _choice(str(one.get("value")), columns).get("choice")
        if not isinstance(choice, int):
            known = ", ".join(columns.responses)
            raise Misfit(f"{at}[{n}].value", f"expected one of {known}; got {one.get('value')!r}")
        if one["rank"] is not None:
            places[choice] = int(number(one["rank"], f"{at}[{n}].rank", 1, 1000))
    return places


def _choice(value: str, columns: Columns) -> dict[str, Any]:
    try:
        return choice_of(value, columns, [], "")
    except Misfit:
        return {}


def _rated(question: str, columns: Columns) -> tuple[str, int | None]:
    """The aspect, and the response that a rating question is about, by their names."""
    for place, name in enumerate(columns.responses):
        if question.endswith(name):
            return question[: -len(name)].strip("-_ .") or "rating", place
    match = NUMBERED.fullmatch(question)
    if match and 1 <= int(match[2]) <= len(columns.responses):
        return match[1], int(match[2]) - 1
    return question, None


IMPORTER = Importer(
    name="argilla",
    title="Argilla records",
    about="id, fields, responses, suggestions, metadata; nested, or the flat columns of an "
    "exported data set. The fields with prompt and responses are guessed by name, or named "
    "(prompt=instruction). Each person is one annotation: a ranking question is the order, a "
    "label that names a field, a letter or tie is the choice, a rating whose question ends with "
    "a field's name or number belongs to that response, a question strength is the strength (1 to "
    "3 where a question outcome says preference, as in our exports), a "
    "text whose question asks for reasons or comments is the reason; other questions stand in the "
    "annotation's meta. Suggestions are answers of a model. Drafts and discarded answers "
    "are left out.",
    recognises=_recognises,
    convert=one_by_one(_convert),
)
