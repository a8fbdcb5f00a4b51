"""Filling in a JSON Schema choice by choice: a reply that is valid whoever chooses.

Every place where a schema leaves a choice (a letter, a mark, yes or no) is put to a chooser,
with the reply as it is so far. Texts stay empty: nothing is written freely.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from learning.errors import ConfigError

Path: TypeAlias = tuple[str, ...]
CHOICE: Final = "choice"
_CONFIDENCE: Final = "confidence"


class Chooser(Protocol):
    """Whoever decides."""

    def weigh(self, path: Path, options: Sequence[Any], so_far: str) -> list[float]:
        """Probabilities of the options at this place, adding up to 1.

        Args:
            path: Keys that lead there, such as ``("ratings", "A", "overall")``.
            options: JSON values, two or more.
            so_far: The reply up to here; what is chosen will follow as JSON.
        """


@dataclass(frozen=True, slots=True)
class Filled:
    """A reply with what was known when it was made.

    Attributes:
        text: JSON.
        before: Its beginning, up to the word of the choice; empty where there is no choice.
        choice: Probability of each word of the choice.
    """

    text: str
    before: str
    choice: Mapping[str, float]


def fill(schema: Mapping[str, Any], chooser: Chooser, *, reason: str = "") -> Filled:
    """Fill in a schema as `learning.judges.templates.schema_of` makes them.

    Args:
        schema: Objects with fixed keys, choices, yes or no, groups of letters, texts.
        chooser: Decides; the first of equally likely options is taken.
        reason: The text to write where a text is wanted.

    Raises:
        ConfigError: the schema has something else in it.
    """
    filling = _Filling(chooser, reason)
    filling.value(schema, ())
    return Filled(filling.text, filling.before, filling.choice)


class _Filling:
    """The reply while it grows."""

    def __init__(self, chooser: Chooser, reason: str) -> None:
        self.chooser, self.reason = chooser, reason
        self.text, self.before = "", ""
        self.choice: dict[str, float] = {}
        self.best: Any = None

    def value(self, schema: Mapping[str, Any], path: Path) -> None:
        """Write a value for this schema."""
        kind = schema.get("type")
        if "enum" in schema:
            options = [one for one in schema["enum"] if path[-1:] != ("worst",) or one != self.best]
            self.pick(path, options)
        elif kind == "object":
            self.object(schema, path)
        elif kind == "boolean":
            self.pick(path, [True, False])
        elif kind == "array":
            self.groups(schema, path)
        elif kind == "string":
            self.text += json.dumps(self.reason, ensure_ascii=False)
        elif kind == "integer" and path == (_CONFIDENCE,):
            sure = max(self.choice.values(), default=0.5)
            self.text += str(round(100 * max(sure, 0.5)))
        else:
            raise ConfigError(f"{'.'.join(path) or 'the schema'}: cannot fill in {schema!r}")

    def object(self, schema: Mapping[str, Any], path: Path) -> None:
        """Write all keys in their order."""
        self.text += "{"
        for place, (key, inner) in enumerate(schema.get("properties", {}).items()):
            self.text += (", " if place else "") + json.dumps(key, ensure_ascii=False) + ": "
            self.value(inner, (*path, key))
        self.text += "}"

    def groups(self, schema: Mapping[str, Any], path: Path) -> None:
        """Write letters one after the other, each in a group of its own."""
        left = list(schema.get("items", {}).get("items", {}).get("enum", []))
        if not left:
            raise ConfigError(f"{'.'.join(path)}: only groups of letters can be filled in")
        self.text += "["
        count = len(left)
        for place in range(count):
            self.text += ", [" if place else "["
            left.remove(self.pick(path, left))
            self.text += "]"
        self.text += "]"

    def pick(self, path: Path, options: list[Any]) -> Any:
        """Write the likeliest option."""
        alone = len(options) == 1
        weights = [1.0] if alone else self.chooser.weigh(path, options, self.text)
        chosen = options[max(range(len(options)), key=weights.__getitem__)]
        if path == (CHOICE,):
            self.before = self.text + '"'
            self.choice = {str(o): w for o, w in zip(options, weights, strict=True)}
        if path == ("best",):
            self.best = chosen
        self.text += json.dumps(chosen, ensure_ascii=False)
        return chosen
