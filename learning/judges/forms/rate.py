"""`rate`: each response on labelled scales, one for each aspect, and thumbs up or down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from learning.errors import ConfigError
from learning.judges.errors import Malformed
from learning.judges.forms.base import (
    Form,
    Given,
    Order,
    Said,
    Tiers,
    closed,
    flag,
    shown,
    tiers_by,
    whole,
    words_of,
    written,
)

OVERALL: Final = "overall"
_LABELS: Final = ("very poor", "poor", "fair", "good", "excellent")
Marks = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Ratings(Said):
    """What was said about each response.

    Attributes:
        marks: By aspect, a mark for each response number.
        thumbs: By response number, where they were asked for.
    """

    marks: Marks
    thumbs: tuple[bool, ...] = ()

    @property
    def tiers(self) -> Tiers:
        """By "overall", or else the first aspect; thumbs come first where there are some."""
        lead = dict(self.marks).get(OVERALL, self.marks[0][1])
        if not self.thumbs:
            return tiers_by(dict(enumerate(lead)))
        return tiers_by(dict(enumerate(zip(self.thumbs, lead, strict=True))))

    @property
    def acceptable(self) -> int | None:
        """Tiers with a thumb up."""
        return sum(self.thumbs[tier[0]] for tier in self.tiers) if self.thumbs else None

    def fields(self, order: Order) -> dict[str, str]:
        """A mark for each letter and aspect, and the thumbs."""
        made = {
            f"rate-{letter}-{place}": str(marks[number])
            for place, (_, marks) in enumerate(self.marks)
            for letter, number in shown(order)
        }
        if self.thumbs:
            for letter, number in shown(order):
                made[f"thumb-{letter}"] = "up" if self.thumbs[number] else "down"
        return made

    def details(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        made: dict[str, Any] = {"ratings": {name: list(marks) for name, marks in self.marks}}
        return made | ({"thumbs": list(self.thumbs)} if self.thumbs else {})

    def averaged(self, other: Self) -> Self | None:
        """Mean marks, halves rounded up: the scale has whole marks. A thumb is up in both."""
        theirs = dict(other.marks)
        marks = tuple(
            (
                name,
                tuple(
                    math.floor((a + b) / 2 + 0.5) for a, b in zip(ours, theirs[name], strict=True)
                ),
            )
            for name, ours in self.marks
        )
        both = tuple(a and b for a, b in zip(self.thumbs, other.thumbs, strict=True))
        return type(self)(marks, both)


@dataclass(frozen=True, slots=True)
class Rate(Form):
    """Marks.

    Attributes:
        aspects: What is rated.
        low: The lowest mark, 0 or 1.
        labels: A word for every mark, the lowest first.
        thumbs: Whether each response gets a thumb up or down, too.
    """

    name: ClassVar[str] = "rate"
    least: ClassVar[int] = 1
    most: ClassVar[int] = 10

    aspects: tuple[str, ...] = (OVERALL,)
    low: int = 0
    labels: tuple[str, ...] = _LABELS
    thumbs: bool = False

    def __post_init__(self) -> None:
        for field in ("aspects", "labels"):
            object.__setattr__(self, field, words_of(self.name, field, getattr(self, field)))
        if not self.aspects or len(self.labels) < 2 or self.low not in (0, 1):
            raise ConfigError("rate needs an aspect, two marks, and 0 or 1 as the lowest of them")

    @property
    def marks(self) -> range:
        """The scale."""
        return range(self.low, self.low + len(self.labels))

    def wording(self, letters: str) -> Mapping[str, str]:
        """The scale in words, and the aspects."""
        del letters
        scale = ", ".join(f"{n} = {w}" for n, w in zip(self.marks, self.labels, strict=True))
        return {"scale": scale, "aspects": ", ".join(self.aspects)}

    def keys(self, letters: str) -> Mapping[str, str]:
        """Marks by letter and aspect; thumbs by letter."""
        mark = f"a whole number from {self.marks[0]} to {self.marks[-1]}"
        each = written(dict.fromkeys(self.aspects, mark))
        made = {"ratings": written(dict.fromkeys(letters, each))}
        if self.thumbs:
            made["thumbs"] = written(dict.fromkeys(letters, '"up" | "down"'))
        return made

    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same as JSON Schema."""
        marks = {"type": "integer", "enum": list(self.marks)}
        made: dict[str, Any] = {
            "ratings": closed(dict.fromkeys(letters, closed(dict.fromkeys(self.aspects, marks))))
        }
        if self.thumbs:
            thumb = {"type": "string", "enum": ["up", "down"]}
            made["thumbs"] = closed(dict.fromkeys(letters, thumb))
        return made

    def read(self, given: Given) -> Ratings:
        """Marks and thumbs for every response; with one aspect a bare mark will do."""
        said = given.by_letter("ratings", "an object with the marks of each letter")
        count = len(given.order)
        by_aspect = tuple(
            (aspect, tuple(self._mark(said[n], aspect, given, n) for n in range(count)))
            for aspect in self.aspects
        )
        if not self.thumbs:
            return Ratings(by_aspect)
        thumbs = given.by_letter("thumbs", 'an object with "up" or "down" for each letter')
        return Ratings(by_aspect, tuple(flag("thumbs", thumbs[n]) for n in range(count)))

    def _mark(self, said: Any, aspect: str, given: Given, number: int) -> int:
        field = f"ratings.{given.letters[given.order.index(number)]}.{aspect}"
        if not isinstance(said, dict):
            value = said if len(self.aspects) == 1 else None
        else:
            value = {str(k).strip().lower(): v for k, v in said.items()}.get(aspect.strip().lower())
        if value is None:
            raise Malformed(field, "a mark", "nothing" if isinstance(said, dict) else said)
        if isinstance(value, str) and (word := value.strip().lower()) in self._by_word():
            return self._by_word()[word]
        return whole(field, value, self.marks[0], self.marks[-1])

    def _by_word(self) -> dict[str, int]:
        return {w.lower(): n for n, w in zip(self.marks, self.labels, strict=True)}
