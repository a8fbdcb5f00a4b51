"""`rank`: three to ten responses in tiers, best first. A judge places every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from learning.judges.errors import Malformed
from learning.judges.forms.base import Form, Given, Order, Said, Tiers, flag, shown, tiers_by


@dataclass(frozen=True, slots=True)
class Ranking(Said):
    """What was said about a set.

    Attributes:
        order: The tiers.
        all_wrong: None of them is good enough.
        ties: Whether responses could share a place.
    """

    order: Tiers
    all_wrong: bool = False
    ties: bool = True

    @property
    def tiers(self) -> Tiers:
        """As they were given."""
        return self.order

    @property
    def acceptable(self) -> int | None:
        """Said only where none is."""
        return 0 if self.all_wrong else None

    def fields(self, order: Order) -> dict[str, str]:
        """A place for each letter."""
        places = self._places()
        made = {f"rank-{letter}": str(places[number]) for letter, number in shown(order)}
        return made | ({"all_wrong": "on"} if self.all_wrong else {})

    def details(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        return {"tiers": [list(tier) for tier in self.order], "all_wrong": self.all_wrong}

    def averaged(self, other: Self) -> Self | None:
        """By mean place. Where ties are not allowed, equal means keep the caller's numbering.

        A place shared by several counts as the mean of the places they take up, so that ties
        in one order do not move the responses below them.
        """
        one, two = self._mean_places(), other._mean_places()
        mean = {n: -(one[n] + two[n]) for n in one}
        tiers = tiers_by(mean)
        if not self.ties:
            tiers = tuple((n,) for tier in tiers for n in tier)
        return type(self)(tiers, self.all_wrong and other.all_wrong, self.ties)

    def _places(self) -> dict[int, int]:
        return {n: place for place, tier in enumerate(self.order, start=1) for n in tier}

    def _mean_places(self) -> dict[int, float]:
        made: dict[int, float] = {}
        for tier in self.order:
            made |= dict.fromkeys(tier, len(made) + (len(tier) + 1) / 2)
        return made


@dataclass(frozen=True, slots=True)
class Rank(Form):
    """A ranking.

    Attributes:
        ties: Whether responses may share a place.
        unranked: Whether people may leave responses out; a judge never does.
        all_wrong: Whether "none of them is good enough" can be said.
    """

    name: ClassVar[str] = "rank"
    least: ClassVar[int] = 3
    most: ClassVar[int] = 10

    ties: bool = True
    unranked: bool = True
    all_wrong: bool = True

    def wording(self, letters: str) -> Mapping[str, str]:
        """Whether places may be shared."""
        del letters
        shared = "Put responses that are equally good in one group."
        return {"ties": shared if self.ties else "Give each response a place of its own: no ties."}

    def keys(self, letters: str) -> Mapping[str, str]:
        """The ranking, and whether all are wrong."""
        some = ", ".join(f'["{letter}"]' for letter in letters[:2])
        made = {
            "ranking": f"a list of groups of letters, best first, each of {', '.join(letters)} "
            f"once, like [{some}, ...]"
        }
        return made | (
            {"all_wrong": "true if none is good enough, else false"} if self.all_wrong else {}
        )

    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same as JSON Schema; that each letter comes once is checked afterwards."""
        group = {"type": "array", "items": {"type": "string", "enum": list(letters)}}
        made: dict[str, Any] = {"ranking": {"type": "array", "items": group}}
        return made | ({"all_wrong": {"type": "boolean"}} if self.all_wrong else {})

    def read(self, given: Given) -> Ranking:
        """Groups of letters, or single letters; ``"B > A = C"`` as one text, too."""
        expected = f"groups of letters, best first, each of {', '.join(given.letters)} once"
        said = given.get("ranking", expected)
        if isinstance(said, str):
            said = [tier.split("=") for tier in said.replace(",", ">").split(">")]
        if not isinstance(said, list):
            raise Malformed("ranking", expected, said)
        groups = [one if isinstance(one, list) else [one] for one in said]
        tiers = tuple(
            tuple(sorted(given.response("ranking", letter) for letter in group))
            for group in groups
            if group
        )
        placed = [number for tier in tiers for number in tier]
        if sorted(placed) != sorted(given.order):
            raise Malformed("ranking", expected, given.values["ranking"])
        if not self.ties and len(tiers) < len(placed):
            raise Malformed("ranking", "a place of its own for each letter", said)
        wrong = self.all_wrong and flag("all_wrong", given.values.get("all_wrong", False))
        return Ranking(tiers, wrong, self.ties)
