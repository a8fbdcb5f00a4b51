"""Which column of somebody's own table holds what, and what a choice written there means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotator.importers.base import MOST_RESPONSES, Misfit
from annotator.importers.fields import kind_of

LETTERS = "abcdefghij"
SUFFIX = r"[ _.-]?(\d{1,2}|[a-j])"
WORDS = "response|answer|completion|output|generation|candidate|reply|summary|text|translation"
RESPONSE = re.compile(rf"(?:{WORDS}){SUFFIX}")
MODEL = re.compile(rf"model{SUFFIX}|(?:{WORDS}){SUFFIX}[ _.-]model")
ALIASES: Mapping[str, Sequence[str]] = {
    "id": ("id", "item_id", "example_id", "uid"),
    "prompt": ("prompt", "instruction", "question", "query", "input", "conversation", "messages"),
    "system": ("system", "system_prompt"),
    "context": ("context", "document", "passage"),
    "source": ("source", "dataset"),
    "group": ("group", "prompt_id"),
    "split": ("split",),
    "choice": ("choice", "preference", "preferred", "winner", "chosen", "better", "best", "vote"),
    "strength": ("strength", "preference_strength", "confidence_level"),
    "annotator": ("annotator", "annotator_id", "worker", "worker_id", "user", "user_id", "rater"),
    "rationale": ("rationale", "reason", "comment", "explanation"),
}
FIELDS = (*ALIASES, "response_1 …", "model_1 …")
NUMBERED = re.compile(r"(response|model)_(\d{1,2})")


@dataclass(frozen=True)
class Columns:
    """Names of columns by what they hold; responses and their models in order."""

    named: Mapping[str, str]
    responses: Sequence[str]
    models: Sequence[str | None]

    @property
    def used(self) -> set[str]:
        """All of them."""
        return {*self.named.values(), *self.responses, *filter(None, self.models)}


def check_columns(given: Mapping[str, str]) -> None:
    """Refuse a mapping to what no row has.

    Raises:
        Misfit: naming the field.
    """
    for name in given:
        if name not in ALIASES and not NUMBERED.fullmatch(name):
            said = f"is no field of an item; expected one of {', '.join(FIELDS)}"
            raise Misfit(name, said)


def columns_of(keys: Iterable[str], given: Mapping[str, str]) -> Columns:
    """What a person says, and a guess by name for the rest; each column is used once."""
    free = [key for key in keys if key not in given.values()]
    by_name = {key.strip().lower().replace(" ", "_"): key for key in reversed(free)}
    named = {
        field: next((by_name[alias] for alias in aliases if alias in by_name), "")
        for field, aliases in ALIASES.items()
    }
    named = {field: key for field, key in named.items() if key}
    responses, models = _numbered(given, "response"), _numbered(given, "model")
    if not responses:
        responses = _matching(RESPONSE, [key for key in free if key not in named.values()])
    if not models:
        models = _matching(MODEL, free)
    named |= {field: key for field, key in given.items() if field in ALIASES}
    places = sorted(responses)[:MOST_RESPONSES]
    return Columns(named, [responses[n] for n in places], [models.get(n) for n in places])


def _numbered(given: Mapping[str, str], kind: str) -> dict[int, str]:
    found = {NUMBERED.fullmatch(name): key for name, key in given.items()}
    return {int(match[2]): key for match, key in found.items() if match and match[1] == kind}


def _matching(pattern: re.Pattern[str], keys: Iterable[str]) -> dict[int, str]:
    found = {}
    for key in keys:
        match = pattern.fullmatch(key.strip().lower())
        if match:
            suffix = next(group for group in match.groups() if group)
            found[int(suffix) if suffix.isdigit() else LETTERS.index(suffix) + 1] = key
    return found


TIES = {"tie", "ties", "equal", "same", "draw", "both", "no_preference", "equally_good"}
NEITHER = {"neither", "both_bad", "bothbad", "tie_(bothbad)", "none", "all_bad"}
BOTH_GOOD = {"both_good", "bothgood", "all_good"}
FIRST, SECOND = {"left", "first"}, {"right", "second"}


def choice_of(value: Any, columns: Columns, models: Sequence[Any], at: str) -> dict[str, Any]:
    """A choice as an annotation says it: by column, model, letter, number, side, or as a tie.

    Raises:
        Misfit: it names no response.
    """
    said = "_".join(str(value).strip().lower().split())
    count = len(columns.responses)
    if said in TIES:
        return {"choice": "tie"}
    if said in NEITHER:
        return {"choice": None, "ratings": {"acceptable": [0] * count}}
    if said in BOTH_GOOD:
        return {"choice": "tie", "ratings": {"acceptable": [1] * count}}
    place = _place(said, columns, models)
    if place is None or isinstance(value, bool | dict | list):
        known = f"{', '.join(columns.responses)}, a letter, a number from 1, or tie"
        raise Misfit(at, f"expected one of {known}; got {kind_of(value)}")
    return {"choice": place}


def _place(said: str, columns: Columns, models: Sequence[Any]) -> int | None:
    names = ["_".join(column.strip().lower().split()) for column in columns.responses]
    suffixes = [re.split(r"[ _.-]|(?<=[a-z])(?=\d)", name)[-1] for name in names]
    letters = list(LETTERS[: len(names)])
    sides = ["left", "right"] if len(names) == 2 else []
    order = ["first", "second"] if len(names) == 2 else []
    numbers = [str(n) for n in range(1, len(names) + 1)]
    called = [str(model).strip().lower() for model in models]
    columns_called = [f"model_{suffix}" for suffix in suffixes]
    for known in (names, called, suffixes, columns_called, letters, numbers, sides, order):
        if known.count(said) == 1:
            return known.index(said)
    return None
