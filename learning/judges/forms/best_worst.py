"""`best_worst`: the best and the worst of three to six responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from learning.judges.errors import Malformed
from learning.judges.forms.base import LETTERS, Form, Given, Order, Said, Tiers


@dataclass(frozen=True, slots=True)
class Extremes(Said):
    """What was said about a set.

    Attributes:
        best, worst: Numbers of responses.
        count: How many there were.
    """

    best: int
    worst: int
    count: int

    @property
    def tiers(self) -> Tiers:
        """Best, the rest together, worst."""
        middle = tuple(n for n in range(self.count) if n not in (self.best, self.worst))
        return ((self.best,), middle, (self.worst,))

    @property
    def uncompared(self) -> bool:
        """Nobody was asked about the order of the middle."""
        return True

    def fields(self, order: Order) -> dict[str, str]:
        """Two letters."""
        return {
            "best": LETTERS[order.index(self.best)],
            "worst": LETTERS[order.index(self.worst)],
        }

    def details(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        return {"best": self.best, "worst": self.worst}

    def averaged(self, other: Self) -> Self | None:
        """Each extreme that both name; one that only they differ on cannot be told.

        None where the orders name different responses, since the form has no ties: which of
        the two is better was not asked.
        """
        same = (self.best, self.worst) == (other.best, other.worst)
        return self if same else None


@dataclass(frozen=True, slots=True)
class BestWorst(Form):
    """Two choices that say most about a set."""

    name: ClassVar[str] = "best_worst"
    least: ClassVar[int] = 3
    most: ClassVar[int] = 6

    def keys(self, letters: str) -> Mapping[str, str]:
        """Two letters."""
        choice = " | ".join(f'"{letter}"' for letter in letters)
        return {"best": choice, "worst": choice}

    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same as JSON Schema."""
        choice = {"type": "string", "enum": list(letters)}
        return {"best": choice, "worst": choice}

    def read(self, given: Given) -> Extremes:
        """Two letters that differ."""
        expected = f"one of {', '.join(given.letters)}"
        best, worst = (
            given.response(field, given.get(field, expected)) for field in ("best", "worst")
        )
        if best == worst:
            raise Malformed("worst", "another response than the best", given.values["worst"])
        return Extremes(best, worst, len(given.order))
