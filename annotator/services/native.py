"""The native schema: one row, checked field by field. Pure; touches no database.

A row that is wrong gives one `RowProblem` per wrong field: line, field, what came, what was
expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from annotator.errors import RowProblem
from annotator.importers.base import MOST_RESPONSES, ROLES, digest
from annotator.importers.fields import kind_of
from annotator.services import language

TASKS = {"pairwise": 2, "listwise": 3, "rating": 1, "edit": 1}  # least responses
LONGEST_NAME = 200
LARGEST = 1e9  # of a strength or a time
KNOWN = {"id", "source", "subset", "split", "group", "task", "prompt", "context", "responses"}
KNOWN |= {"annotations", "meta"}
PURPOSES = ("gold", "practice", "qualification")
GOLD = {"purpose", "ranking", "choice", "acceptable", "explanation"}

Prompt = str | list[dict[str, str]]


@dataclass(frozen=True)
class NativeRow:
    """One valid row."""

    line: int
    raw: str
    id: str
    task: str
    prompt: Prompt
    responses: list[dict[str, Any]]
    source: str = ""
    group: str = ""
    context: str = ""
    annotations: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)
    gold: dict[str, Any] | None = None

    @cached_property
    def prompt_digest(self) -> str:
        """What the prompt is, wherever it comes from."""
        return digest([self.prompt, self.context])

    @property
    def figures(self) -> dict[str, Any] | None:
        """What a language model says of it."""
        return language.figures_in(self.extra)

    @cached_property
    def digest(self) -> str:
        """What the item is: everything but who judged it and what a language model says of it."""
        return self._digest(language.without_figures(self.extra))

    def is_known_as(self, before: str) -> bool:
        """Whether an item with this digest is the same one."""
        if before == self.digest:
            return True
        bare = language.without_figures(self.extra)  # figures alone in `meta`: it may have been {}
        alone = self.figures is not None and "meta" not in bare
        return alone and before == self._digest({**bare, "meta": {}})

    def _digest(self, extra: dict[str, Any]) -> str:
        whole = [self.task, self.prompt, self.context, self.responses]
        return digest([*whole, self.source, self.group, extra])


class _Checker:
    """Collects what is wrong in one row, each complaint naming its field."""

    def __init__(self, line: int, longest: int) -> None:
        self.line, self.longest, self.item_id = line, longest, ""
        self.problems: list[RowProblem] = []

    def wrong(self, name: str, message: str) -> None:
        self.problems.append(RowProblem(self.line, name, message, self.item_id))

    def text(self, value: Any, name: str, *, empty_ok: bool = False) -> str:
        """A string that PostgreSQL can store, within the limit."""
        if not isinstance(value, str):
            self.wrong(name, f"expected text, got {kind_of(value)}")
            return ""
        if not empty_ok and not value.strip():
            self.wrong(name, "expected some text, got none")
        elif len(value) > self.longest:
            self.wrong(name, f"has {len(value):,} characters; the limit is {self.longest:,}")
        return value

    def optional(self, row: dict[str, Any], name: str) -> str:
        value = row.get(name)
        return "" if value is None else self.text(value, name, empty_ok=True)


def parse_row(
    line: int, row: dict[str, Any], raw: str, *, longest: int, fewest: int
) -> tuple[NativeRow | None, list[RowProblem]]:
    """Check one row that can be stored; `fewest` responses are what the campaign can ask about."""
    check = _Checker(line, longest)
    parsed = _parse(row, raw, check, fewest)
    return (None if check.problems else parsed), check.problems


def _parse(row: dict[str, Any], raw: str, check: _Checker, fewest: int) -> NativeRow:
    check.item_id = row["id"][:80] if isinstance(row.get("id"), str) else ""
    item_id = check.text(row.get("id"), "id") if "id" in row else _missing(check, "id")
    if len(item_id) > 300:
        check.wrong("id", f"has {len(item_id)} characters; the limit is 300")
    task = _task(row, check)
    prompt = _prompt(row, check)
    responses = _responses(row, check, task, fewest)
    if row.get("split") not in (None, "train", "test"):
        check.wrong("split", f"expected 'train' or 'test', got {row['split']!r:.40}")
    if not isinstance(row.get("meta", {}), dict):
        check.wrong("meta", f"expected an object, got {kind_of(row['meta'])}")
    for name, said in language.misfits(row.get("meta"), len(responses)):
        check.wrong(name, said)
    extra = {k: row[k] for k in ("subset", "split", "meta") if row.get(k) is not None}
    extra |= {k: v for k, v in row.items() if k not in KNOWN}
    return NativeRow(
        line=check.line,
        raw=raw,
        id=item_id,
        task=task,
        prompt=prompt,
        responses=responses,
        source=check.optional(row, "source")[:200],
        group=check.optional(row, "group")[:300],
        context=check.optional(row, "context"),
        annotations=_annotations(row, check, len(responses)),
        extra=extra,
        gold=_gold(row, check, responses),
    )


def _missing(check: _Checker, name: str, expected: str = "some text") -> str:
    check.wrong(name, f"is missing; expected {expected}")
    return ""


def _task(row: dict[str, Any], check: _Checker) -> str:
    given = row.get("responses")
    guess = "listwise" if isinstance(given, list) and len(given) > 2 else "pairwise"
    task = row.get("task", guess)
    if not isinstance(task, str) or task not in TASKS:
        check.wrong("task", f"expected one of {', '.join(TASKS)}; got {task!r:.40}")
        return guess
    return str(task)


def _prompt(row: dict[str, Any], check: _Checker) -> Prompt:
    value = row.get("prompt")
    if isinstance(value, str):
        return check.text(value, "prompt")
    if not isinstance(value, list):
        if "prompt" not in row:
            return _missing(check, "prompt", "text, or a list of {role, content}")
        check.wrong("prompt", f"expected text or a list of {{role, content}}, got {kind_of(value)}")
        return ""
    if not value:
        check.wrong("prompt", "expected at least one chat turn, got an empty list")
    turns = []
    for index, turn in enumerate(value):
        name = f"prompt[{index}]"
        if not isinstance(turn, dict) or set(turn) - {"role", "content"}:
            check.wrong(name, "expected an object of role and content")
            continue
        if turn.get("role") not in ROLES:
            check.wrong(
                f"{name}.role", f"expected one of {', '.join(ROLES)}, got {turn.get('role')!r:.40}"
            )
        check.text(turn.get("content"), f"{name}.content", empty_ok=True)
        turns.append(turn)
    return turns


def _responses(
    row: dict[str, Any], check: _Checker, task: str, fewest: int
) -> list[dict[str, Any]]:
    value = row.get("responses")
    if not isinstance(value, list):
        if "responses" not in row:
            _missing(check, "responses", "a list of {text, model?}")
        else:
            check.wrong("responses", f"expected a list of {{text, model?}}, got {kind_of(value)}")
        return []
    least = max(TASKS[task], fewest)
    if not least <= len(value) <= MOST_RESPONSES:
        why = f"for task {task!r}" if least == TASKS[task] else "for this campaign's form"
        check.wrong(
            "responses",
            f"expected {least} to {MOST_RESPONSES} responses {why}, got {len(value)}",
        )
    for index, response in enumerate(value):
        name = f"responses[{index}]"
        if not isinstance(response, dict):
            check.wrong(name, f"expected an object {{text, model?}}, got {kind_of(response)}")
        elif "text" not in response:
            _missing(check, f"{name}.text")
        else:
            check.text(response["text"], f"{name}.text", empty_ok=True)
            model = response.get("model")
            if model is not None and len(check.text(model, f"{name}.model", empty_ok=True)) > 200:
                check.wrong(f"{name}.model", f"has {len(model)} characters; the limit is 200")
    return value


def _annotations(row: dict[str, Any], check: _Checker, responses: int) -> list[dict[str, Any]]:
    value = row.get("annotations")
    if value is None:
        return []
    if not isinstance(value, list):
        check.wrong("annotations", f"expected a list of objects, got {kind_of(value)}")
        return []
    for index, annotation in enumerate(value):
        name = f"annotations[{index}]"
        if not isinstance(annotation, dict):
            check.wrong(name, f"expected an object, got {kind_of(annotation)}")
            continue
        for key, (allowed, expected) in _rules(responses).items():
            if not allowed(annotation.get(key)):
                check.wrong(f"{name}.{key}", f"expected {expected}, got {annotation[key]!r:.40}")
    return value


def _gold(
    row: dict[str, Any], check: _Checker, responses: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """`meta.gold`: the answer that is expected, and what for.

    A number or a text under that name is a data set's own word, such as the label of its authors.
    """
    meta = row.get("meta")
    value = meta.get("gold") if isinstance(meta, dict) else None
    if value is None or isinstance(value, str | int | float):
        return None
    if not isinstance(value, dict):
        check.wrong("meta.gold", f"expected an object, got {kind_of(value)}")
        return None
    for name in sorted(set(value) - GOLD):
        check.wrong(f"meta.gold.{name}", f"is not known; expected {', '.join(sorted(GOLD))}")
    if value.get("purpose") not in PURPOSES:
        said = f"expected one of {', '.join(PURPOSES)}; got {value.get('purpose')!r:.40}"
        check.wrong("meta.gold.purpose", said)
    if value.get("explanation") is not None:
        check.text(value["explanation"], "meta.gold.explanation", empty_ok=True)
    _gold_key(value, check, len(responses))
    if len({json.dumps(one, sort_keys=True) for one in responses}) < len(responses):
        check.wrong("responses", "expected responses that differ, where an answer is expected")
    return value


def _gold_key(value: dict[str, Any], check: _Checker, responses: int) -> None:
    rules = _rules(responses)
    for name in ("ranking", "choice"):
        allowed, expected = rules[name]
        if not allowed(value.get(name)):
            check.wrong(f"meta.gold.{name}", f"expected {expected}, got {value[name]!r:.40}")
            return
    ranks = [rank for rank in value.get("ranking") or [] if rank is not None]
    good = value.get("acceptable")
    marks = good if isinstance(good, list) else [] if good is None else [good]
    if (good is not None and len(marks) != responses) or any(
        mark not in (0, 1, None) for mark in marks
    ):
        said = f"expected a list of {responses} marks, each 1, 0 or null, got {good!r:.40}"
        check.wrong("meta.gold.acceptable", said)
    elif value.get("choice") is not None and ranks:
        check.wrong("meta.gold", "expected ranking or choice, got both")
    elif value.get("choice") is None and len(ranks) < 2 and not any(m is not None for m in marks):
        check.wrong(
            "meta.gold", "expected an answer: choice, ranking of two or more, or acceptable"
        )


def _rules(responses: int) -> dict[str, tuple[Callable[[Any], bool], str]]:
    """Each field of an annotation: what is allowed, and how to say it."""

    def number(value: Any) -> bool:
        real = isinstance(value, int | float) and not isinstance(value, bool)
        return value is None or (real and abs(value) <= LARGEST)

    def index(value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        return value is None or value == "tie" or (whole and 0 <= value < responses)

    def ranks(value: Any) -> bool:
        return value is None or (
            isinstance(value, list)
            and len(value) == responses
            and all(rank is None or (isinstance(rank, int) and rank >= 1) for rank in value)
        )

    return {
        "annotator": (
            lambda v: v is None or (isinstance(v, str) and len(v) <= LONGEST_NAME),
            f"text of at most {LONGEST_NAME} characters, or null",
        ),
        "kind": (lambda v: v in (None, "human", "llm"), "'human' or 'llm'"),
        "choice": (index, f"0 to {responses - 1}, 'tie' or null"),
        "strength": (number, "a number"),
        "strength_max": (lambda v: v is None or (number(v) and v > 0), "a number above 0"),
        "ranking": (ranks, f"a list of {responses} ranks, 1 is best"),
        "ratings": (lambda v: v is None or isinstance(v, dict), "an object"),
        "rationale": (lambda v: v is None or isinstance(v, str), "text"),
        "edit": (lambda v: v is None or isinstance(v, dict), "an object"),
        "time_s": (number, "a number of seconds"),
        "meta": (lambda v: v is None or isinstance(v, dict), "an object"),
    }
