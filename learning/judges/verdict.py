"""What a judge decided: one weak order from all forms, and one decision from both orders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from learning.judges.errors import Malformed
from learning.judges.forms import Order, Said, Tiers
from learning.judges.forms.base import SURE

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """The canonical answer of a judge, in the caller's numbers.

    Attributes:
        said: What was said, by form, in the order in which the forms are asked.
        tiers: The weak order, best first. As on a person's page the first form decides it.
        acceptable: How many tiers are good enough; None where that was not said.
        strength: 1 to 3, or None.
        p: Probability that response 0 is preferred to response 1; None unless there are two.
            Not calibrated.
        confidence: Probability of what was chosen, from one half up; None as ``p``.
        rationale: The reason that was given.
        uncompared: Responses share a tier because nobody compared them, not because of a tie.
    """

    said: Mapping[str, Said]
    tiers: Tiers
    acceptable: int | None = None
    strength: int | None = None
    p: float | None = None
    confidence: float | None = None
    rationale: str = ""
    uncompared: bool = False

    @property
    def outcome(self) -> str:
        """As annotations name it: ``preference``, ``tie``, ``neither`` or ``other``."""
        if self.acceptable == 0 and self.uncompared and len(self.tiers) == 1:
            return "neither"
        if len(self.tiers) > 1:
            return "preference"
        several = sum(len(tier) for tier in self.tiers) > 1
        return "tie" if several and not self.uncompared else "other"

    def fields(self, order: Order) -> dict[str, str]:
        """What a person's page would have sent for this answer, responses in this order."""
        made: dict[str, str] = {}
        for part in self.said.values():
            made |= part.fields(order)
        return made | ({"rationale": self.rationale} if self.rationale else {})

    def details(self) -> dict[str, Any]:
        """What was said by form, as plain JSON."""
        return {name: part.details() for name, part in self.said.items()}


def verdict(said: Mapping[str, Said], rationale: str = "") -> Verdict:
    """Put together what was said in answer to each form.

    Raises:
        Malformed: a response is called good enough that was put below one that is not.
    """
    parts = list(said.values())
    first = parts[0]
    tiers, acceptable = first.tiers, first.acceptable
    for part in parts[1:]:
        if part.good is not None:
            acceptable = _line(tiers, part.good)
        elif acceptable is None and part.tiers == tiers:
            acceptable = part.acceptable
    uncompared = first.uncompared or any(p.uncompared for p in parts if p.good is None)
    p = _probability(first) if sum(len(tier) for tier in tiers) == 2 else None
    strength = next((part.strength for part in parts if part.strength is not None), None)
    confidence = None if p is None else max(p, 1 - p)
    return Verdict(dict(said), tiers, acceptable, strength, p, confidence, rationale, uncompared)


def _probability(part: Said) -> float:
    """Of a form that knows none: as sure as a bare verdict is."""
    if part.probability is not None:
        return part.probability
    if len(part.tiers) == 1:
        return _HALF
    return SURE if 0 in part.tiers[0] else 1 - SURE


def _line(tiers: Tiers, good: Iterable[int]) -> int:
    """How many tiers are good enough, when the line must run between tiers."""
    enough, above = set(good), 0
    for place, tier in enumerate(tiers, start=1):
        if enough.issuperset(tier) and above == place - 1:
            above = place
        elif enough.intersection(tier):
            expected = "no response that is good enough level with or below one that is not"
            raise Malformed("good", expected, sorted(enough))
    return above


@dataclass(frozen=True, slots=True)
class Agreed:
    """What both display orders say together.

    Attributes:
        verdict: Their mean; None where they contradict each other and the form cannot say so.
        p: As `Verdict.p`, the mean of both orders; there even where there is no verdict.
        disagreement: Share of pairs ordered in both whose order differs, in [0, 1].
        inconsistent: They disagree in sign. With two responses: one prefers each. With more:
            at least half of the pairs are turned round, as in orders drawn by lot. Where only
            "good enough" was asked: at least half of the responses changed sides.
    """

    verdict: Verdict | None
    p: float | None
    disagreement: float
    inconsistent: bool


def averaged(one: Verdict, other: Verdict) -> Agreed:
    """Average two verdicts on one question, given in both display orders.

    Both are in the caller's numbers already, so that the mean of their probabilities is
    ``(p_AB + 1 - p_BA) / 2`` with each ``p`` being that of the response shown first. The order
    of the arguments does not matter, apart from the rationale: the first one's is kept.
    """
    turned = disagreement(one.said, other.said)
    p = None if one.p is None or other.p is None else (one.p + other.p) / 2
    inconsistent = turned >= _HALF
    joined: dict[str, Said] = {}
    for name, said in one.said.items():
        both = said.averaged(other.said[name])
        if both is None:
            return Agreed(None, p, turned, inconsistent=True)
        joined[name] = both
    try:
        made = verdict(joined, one.rationale or other.rationale)
    except Malformed:  # the means no longer fit together
        return Agreed(None, p, turned, inconsistent=True)
    return Agreed(made, made.p, turned, inconsistent)


def disagreement(one: Mapping[str, Said], other: Mapping[str, Said]) -> float:
    """Return the share of pairs that both order and that they order differently.

    Where no form orders, the share of responses on different sides of "good enough".
    """
    for name, said in one.items():
        if said.good is None:
            return _turned(said.tiers, other[name].tiers)
    said, their = next(iter(one.values())), next(iter(other.values()))
    count = sum(len(tier) for tier in said.tiers)
    return len((said.good or frozenset()) ^ (their.good or frozenset())) / count


def _turned(one: Tiers, other: Tiers) -> float:
    first, second = _places(one), _places(other)
    signs = [
        (first[a] - first[b]) * (second[a] - second[b])
        for a, b in combinations(sorted(first.keys() & second.keys()), 2)
    ]
    decided = [sign for sign in signs if sign]
    return sum(sign < 0 for sign in decided) / len(decided) if decided else 0.0


def _places(tiers: Sequence[Sequence[int]]) -> dict[int, int]:
    return {number: place for place, tier in enumerate(tiers) for number in tier}
