"""Files in which people and judges answered the same questions: one table for each judge."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from learning.errors import BadFile
from learning.text import Prompt


@dataclass(slots=True)
class Labelled:
    """What one judge and people said about the same pairs of responses.

    Attributes:
        judge: The judge's name in the file.
        prompts: Of each question.
        responses: The two texts.
        authors: Names of the models that wrote them; empty where unknown.
        groups: What must not be torn apart: the file's group, or else the prompt.
        tags: The item's subset, where it has one.
        said: 1 where the judge preferred the first response, 0 the second, 1/2 a tie.
        people: Mean of the same over people.
        alike: P(two people picked by lot say the same) of each question that two answered.
    """

    judge: str
    prompts: list[Prompt] = field(default_factory=list)
    responses: list[tuple[str, str]] = field(default_factory=list)
    authors: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    said: list[float] = field(default_factory=list)
    people: list[float] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)


def read(path: Path) -> list[Labelled]:
    """Read a native file; items with two responses, a person's choice and a judge's count.

    Raises:
        BadFile: it cannot be read, or nobody and no judge answered the same question.
    """
    found: dict[str, Labelled] = {}
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    _take(_row(line, f"{path}, line {number}"), f"{path}, line {number}", found)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    if not found:
        raise BadFile(f"{path}: no pair was judged by people and by an annotation of kind llm")
    return [found[name] for name in sorted(found)]


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8")


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{where}: expected a JSON object; {error}") from error
    if not isinstance(row, dict):
        raise BadFile(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def _take(row: Mapping[str, Any], where: str, found: dict[str, Labelled]) -> None:
    responses, said = row.get("responses"), row.get("annotations") or []
    if not isinstance(responses, list) or not isinstance(said, list):
        raise BadFile(f"{where}: responses and annotations must be lists")
    if not all(isinstance(one, dict) for one in [*responses, *said]):
        raise BadFile(f"{where}: responses and annotations must be lists of objects")
    if len(responses) != 2:
        return
    people = list(_sides(said, "human", where))
    judges = list(_sides(said, "llm", where))
    if not people or not judges:
        return
    prompt, texts = row.get("prompt"), tuple(one.get("text") for one in responses)
    if not isinstance(prompt, str | list) or not all(isinstance(text, str) for text in texts):
        raise BadFile(f"{where}: expected a prompt, and a text in each response")
    group, subset = row.get("group"), row.get("subset")
    authors = tuple(str(one.get("model") or "") for one in responses)
    sides = [side for _, side in people]
    for name, side in judges:
        table = found.setdefault(name, Labelled(name))
        table.prompts.append(prompt)
        table.responses.append((str(texts[0]), str(texts[1])))
        table.authors.append((authors[0], authors[1]))
        table.groups.append(str(group) if group else json.dumps(prompt))
        table.tags.append([subset] if isinstance(subset, str) and subset else [])
        table.said.append(side)
        table.people.append(sum(sides) / len(sides))
        if len(sides) > 1:
            table.alike.append(_alike(sides))


def _sides(said: Sequence[Mapping[str, Any]], kind: str, where: str) -> Iterator[tuple[str, float]]:
    """Who chose which of the two, as 1, 0 or 1/2."""
    for place, one in enumerate(said):
        if (one.get("kind") or "human") != kind:
            continue
        choice = one.get("choice")
        if choice is None:
            continue
        known = choice == "tie" or (type(choice) is int and choice in (0, 1))
        if not known:
            raise BadFile(f"{where}, annotations[{place}].choice: expected 0, 1, 'tie' or null")
        name = one.get("annotator")
        side = 0.5 if choice == "tie" else 1.0 - choice
        yield (name if isinstance(name, str) and name else "unnamed"), side


def _alike(sides: Sequence[float]) -> float:
    """Share of pairs of people who said the same."""
    n = len(sides)
    same = sum(sides.count(side) * (sides.count(side) - 1) for side in set(sides))
    return same / (n * (n - 1))
