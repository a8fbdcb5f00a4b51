"""Somebody's own table: a row an item or an answer, with columns of any name."""

from __future__ import annotations

from typing import Any

from annotator.importers.base import Importer, Made, Raw, Reading, finished, one_by_one
from annotator.importers.chats import as_prompt, chat
from annotator.importers.columns import Columns, choice_of, columns_of
from annotator.importers.fields import expected, missing, number, optional_text, rest, text

KEPT = ("context", "source", "group", "split")


def recognises(row: Raw) -> bool:
    """A prompt and two responses, by the names of the columns."""
    found = columns_of(row, {})
    return "prompt" in found.named and len(found.responses) > 1


def _convert(row: Raw, how: Reading) -> Made:
    columns = columns_of(row, how.columns)
    for field, column in how.columns.items():
        if column not in row:
            raise missing(column, f"the column that holds {field}")
    if "prompt" not in columns.named:
        raise missing("prompt", "a column of that name, or prompt=COLUMN")
    if len(columns.responses) < 2:
        raise missing("response_1", "columns response_1, response_2, …, or response_1=COLUMN")
    named = columns.named
    models = [optional_text(row, name) if name else "" for name in columns.models]
    texts = [_text(row, name) for name in columns.responses]
    native: dict[str, Any] = {
        "id": _name(row, named.get("id")),
        "prompt": _prompt(row, named),
        "responses": [{"text": t, "model": m} for t, m in zip(texts, models, strict=True)],
        "annotations": _answers(row, columns, models, how),
        "meta": rest(row, *columns.used),
    }
    native |= {field: optional_text(row, named[field]) for field in KEPT if field in named}
    names = {**named, "annotations[0].choice": named.get("choice", "choice")}
    for n, column in enumerate(columns.responses):
        names |= {f"responses[{n}].text": column, f"responses[{n}]": column}
        names |= {f"responses[{n}].model": columns.models[n] or column}
    return finished(native, "table", names)


def _text(row: Raw, name: str) -> str:
    return "" if row.get(name) is None else text(row, name)


def _name(row: Raw, column: str | None) -> str:
    value = row.get(column) if column else None
    if isinstance(value, dict | list | bool):
        raise expected(str(column), "text or a number", value)
    return "" if value is None else str(value)


def _prompt(row: Raw, named: Any) -> Any:
    name = named["prompt"]
    value = row.get(name)
    turns = as_prompt(chat(value, name)) if isinstance(value, list) else None
    system = optional_text(row, named["system"]) if "system" in named else ""
    if not system:
        return text(row, name) if turns is None else turns
    asked = turns or [{"role": "user", "content": text(row, name)}]
    return [{"role": "system", "content": system}, *asked]


def _answers(row: Raw, columns: Columns, models: list[str], how: Reading) -> list[Raw]:
    """The answer in the row, if it has one; no order can be read from an empty cell."""
    name = columns.named.get("choice")
    if name is None or row.get(name) is None or not str(row[name]).strip():
        return []
    said = {**how.who, **choice_of(row[name], columns, models, name)}
    named = columns.named
    if "annotator" in named and _name(row, named["annotator"]):
        said["annotator"] = _name(row, named["annotator"])
    if "strength" in named and row.get(named["strength"]) not in (None, ""):
        said["strength"] = abs(number(row[named["strength"]], named["strength"], -1e9, 1e9))
    if "rationale" in named and optional_text(row, named["rationale"]):
        said["rationale"] = row[named["rationale"]]
    return [said]


IMPORTER = Importer(
    name="table",
    title="A table with columns of your own",
    about="A prompt and two to ten responses in columns of any name: response_1, answer_a, … are "
    "guessed, others are named (prompt=Question). Also model_1 …, system, context, choice, "
    "strength, annotator, rationale, id, group, source, split. A choice is a column, a model, a "
    "letter, a number from 1, left or right, tie, both good, or neither. Rows without id and with "
    "the same texts are one item, answered by several. Further columns stand in meta.",
    recognises=recognises,
    convert=one_by_one(_convert),
)
