"""Annotated files: native JSON Lines, plain or gzipped, with what people said about each item."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO, TypeAlias

from learning.errors import BadFile
from learning.replay.entropies import Told, told
from learning.text import Prompt

Answer: TypeAlias = tuple[int, int, int, float]  # left, right (positions), outcome, weight

_GZIP: Final = b"\x1f\x8b"
_OVERALL: Final = "overall"
_LOWER_IS_BETTER: Final = ("penalty", "error")


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a file.

    Attributes:
        prompt: A text or chat turns.
        context: Source text that belongs to the prompt, or nothing.
        group: What the file says belongs together; nothing where it says nothing.
        responses: Their texts, in the file's order.
        answers: What people said, a pair of positions at a time.
        judged: What judges said: the name of one, and what it said of two positions.
        subset: The part of its source that the file says it belongs to, or nothing.
        entropy: A language model's predictive entropy of the prompt, and whose it is.
    """

    prompt: Prompt
    context: str
    group: str
    responses: tuple[str, ...]
    answers: tuple[Answer, ...]
    judged: tuple[tuple[str, Answer], ...] = ()
    subset: str = ""
    entropy: Told | None = None


def read_items(path: Path) -> Iterator[Item]:
    """Yield the items of a file, in order.

    Raises:
        BadFile: the file cannot be opened or a line is not an item; file, line and field named.
    """
    for _, item in read_rows(path):
        yield item


def read_rows(path: Path) -> Iterator[tuple[dict[str, Any], Item]]:
    """Yield every line of a file as it stands, and the item that it is.

    Raises:
        BadFile: as :func:`read_items`.
    """
    try:
        with _opened(path) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    where = f"{path}, line {number}"
                    row = _row(line, where)
                    yield row, _item(row, where)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise BadFile(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def answers_of(said: Mapping[str, Any], responses: int) -> Iterator[Answer]:
    """Yield the comparisons that one annotation states: left, right, outcome, weight.

    A ranking orders every two responses it ranks; a choice puts one above all others and says
    nothing about these; a tie is one between two. Where there is neither, ratings order every
    two responses that they rate, by the criterion ``overall`` if it is there and otherwise by
    the first; less is better where its name speaks of a penalty or errors. Of ``k`` ordered
    responses each comparison weighs ``1 / (k - 1)``, so that one ranking does not outvote
    ``k - 1`` people.
    """
    choice = said.get("choice")
    ranks = said.get("ranking") or []
    if any(rank is not None for rank in ranks):
        yield from _ordered([None if rank is None else -rank for rank in ranks])
    elif choice == "tie":
        if responses == 2:
            yield 0, 1, 0, 1.0
    elif choice is not None:
        for other in range(responses):
            if other < choice:
                yield other, choice, -1, 1.0 / (responses - 1)
            elif other > choice:
                yield choice, other, 1, 1.0 / (responses - 1)
    else:
        yield from _ordered(_rated(said.get("ratings") or {}))


def _rated(ratings: Mapping[str, Sequence[float | None]]) -> list[float | None]:
    """The ratings of the criterion that counts, larger is better."""
    if not ratings:
        return []
    name = _OVERALL if _OVERALL in ratings else next(iter(ratings))
    sign = -1.0 if any(word in name.lower() for word in _LOWER_IS_BETTER) else 1.0
    return [None if value is None else sign * value for value in ratings[name]]


def _ordered(values: Sequence[float | None]) -> Iterator[Answer]:
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    for (left, a), (right, b) in combinations(known, 2):
        yield left, right, (a > b) - (a < b), 1.0 / (len(known) - 1)


def _opened(path: Path) -> TextIO:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    return gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8")


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadFile(f"{where}: expected a JSON object; {error}") from error
    if not isinstance(row, dict):
        raise BadFile(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def _item(row: Mapping[str, Any], where: str) -> Item:
    responses = _responses(row, where)
    said = list(_said(row, len(responses), where))
    return Item(
        prompt=_prompt(row, where),
        context=_text(row, "context", where),
        group=_text(row, "group", where),
        responses=responses,
        answers=tuple(answer for judge, answer in said if judge is None),
        judged=tuple((judge, answer) for judge, answer in said if judge is not None),
        subset=_text(row, "subset", where),
        entropy=told(row, where),
    )


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise BadFile(f"{where}, {name}: expected text, got {type(value).__name__}")
    return value or ""


def _prompt(row: Mapping[str, Any], where: str) -> Prompt:
    value = row.get("prompt")
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(turn, dict)
        and isinstance(turn.get("role"), str)
        and isinstance(turn.get("content"), str)
        for turn in value
    ):
        return value
    raise BadFile(f"{where}, prompt: expected text or a list of {{role, content}}")


def _responses(row: Mapping[str, Any], where: str) -> tuple[str, ...]:
    given = row.get("responses")
    if not isinstance(given, list) or not all(
        isinstance(one, dict) and isinstance(one.get("text"), str) for one in given
    ):
        raise BadFile(f"{where}, responses: expected a list of {{text}}")
    return tuple(one["text"] for one in given)


def _said(
    row: Mapping[str, Any], responses: int, where: str
) -> Iterator[tuple[str | None, Answer]]:
    """All comparisons: those of judges under their names, those of people under none."""
    given = row.get("annotations") or []
    if not isinstance(given, list):
        raise BadFile(f"{where}, annotations: expected a list")
    for index, said in enumerate(given):
        place = f"{where}, annotations[{index}]"
        if not isinstance(said, dict):
            raise BadFile(f"{place}: expected an object")
        kind = said.get("kind")
        if kind in (None, "human", "llm"):
            _check(said, responses, place)
            judge = str(said.get("annotator") or "judge") if kind == "llm" else None
            for answer in answers_of(said, responses):
                yield judge, answer


def _check(said: Mapping[str, Any], responses: int, where: str) -> None:
    choice = said.get("choice")
    whole = isinstance(choice, int) and not isinstance(choice, bool)
    if choice not in (None, "tie") and not (whole and 0 <= choice < responses):
        raise BadFile(f"{where}.choice: expected 0 to {responses - 1}, 'tie' or null")
    ratings = said.get("ratings") or {}
    if not isinstance(ratings, dict):
        raise BadFile(f"{where}.ratings: expected an object")
    lists = {"ranking": said.get("ranking") or [], **ratings}
    for name, values in lists.items():
        if values and not (
            isinstance(values, list) and len(values) == responses and all(map(_number, values))
        ):
            raise BadFile(f"{where}.{name}: expected {responses} numbers or nulls")


def _number(value: Any) -> bool:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    return value is None or (real and math.isfinite(value))
