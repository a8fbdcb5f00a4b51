"""`accept`: is each response good enough?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from learning.judges.forms.base import Form, Given, Order, Said, Tiers, closed, flag, shown, written


@dataclass(frozen=True, slots=True)
class Acceptance(Said):
    """What was said about each response: ``enough[number]``."""

    enough: tuple[bool, ...]

    @property
    def good(self) -> frozenset[int]:
        """Those that are good enough."""
        return frozenset(n for n, good in enumerate(self.enough) if good)

    @property
    def tiers(self) -> Tiers:
        """Two tiers with the line between them, or one."""
        above = tuple(n for n, good in enumerate(self.enough) if good)
        below = tuple(n for n, good in enumerate(self.enough) if not good)
        return tuple(tier for tier in (above, below) if tier)

    @property
    def acceptable(self) -> int | None:
        """The upper tier, if there is one."""
        return 1 if self.good else 0

    @property
    def uncompared(self) -> bool:
        """On one side of the line nothing was compared."""
        return len(self.enough) > 1

    def fields(self, order: Order) -> dict[str, str]:
        """Yes or no for each letter."""
        return {f"good-{letter}": "yes" if self.enough[n] else "no" for letter, n in shown(order)}

    def details(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        return {"good": list(self.enough)}

    def averaged(self, other: Self) -> Self | None:
        """Good enough is what both orders say is."""
        return type(self)(tuple(a and b for a, b in zip(self.enough, other.enough, strict=True)))


@dataclass(frozen=True, slots=True)
class Accept(Form):
    """The line of good enough."""

    name: ClassVar[str] = "accept"
    least: ClassVar[int] = 1
    most: ClassVar[int] = 10

    def keys(self, letters: str) -> Mapping[str, str]:
        """True or false by letter."""
        return {"good": written(dict.fromkeys(letters, "true | false"))}

    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same as JSON Schema."""
        yes_no = {"type": "boolean"}
        return {"good": closed(dict.fromkeys(letters, yes_no))}

    def read(self, given: Given) -> Acceptance:
        """Yes or no for every response."""
        said = given.by_letter("good", "an object with true or false for each letter")
        return Acceptance(tuple(flag("good", said[n]) for n in range(len(given.order))))
