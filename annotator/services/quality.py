"""What checks of attention say: is an answer as expected, is a person steady. Pure; no database."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

Tiers = Sequence[Sequence[int]]

NEW: Final = 40  # a person's first questions, in which twice as much gold is mixed
MOST_GOLD_FOR_NEW: Final = 0.2
BLOCK: Final = 50  # every so many questions the draw begins anew; its first is never mixed in
APART: Final = 10  # a repeat comes so many questions after the first time, or later
GOOD_ENOUGH: Final = 0.7  # share of gold answers as expected
PRIOR: Final = (8, 2)  # people mean well: as if 8 of 10 had been as expected before
Z: Final = 1.959964  # 95 %


@dataclass(frozen=True)
class Expected:
    """What is expected of an answer.

    Attributes:
        tiers: A weak order over response ids, best first; None where no order is expected.
        good: Whether a response is good enough, by id; ids may be missing.
    """

    tiers: Tiers | None = None
    good: Mapping[int, bool] = field(default_factory=dict)


def agrees(expected: Expected, *, tiers: Tiers | None, acceptable: int | None) -> bool:
    """Whether an answer is as expected. Direction counts, strength does not.

    Order: no pair that the key puts apart may be the other way round, and its best must stand
    above its worst; of two responses that is the same winner. A key of one tier is a tie: all of
    it level. What a person left unranked stands below what they ranked.

    Good enough: each response of which the key says so must be on that side of the person's line.
    Where no line was asked for, the order decides alone; without an order, nothing was answered.

    Args:
        expected: The key.
        tiers: The answer's weak order over response ids, best first.
        acceptable: How many of its tiers are good enough; None where nothing was said.
    """
    if expected.tiers and (tiers is None or not _same_order(expected.tiers, tiers)):
        return False
    if not expected.good:
        return bool(expected.tiers)
    if acceptable is None or tiers is None:
        return bool(expected.tiers)
    above = {pk for tier in tiers[:acceptable] for pk in tier}
    return all((pk in above) == good for pk, good in expected.good.items())


def _same_order(key: Tiers, said: Tiers) -> bool:
    place = {pk: depth for depth, tier in enumerate(said) for pk in tier}
    last = len(said)  # below all that was ranked
    if not place:
        return False
    if len(key) == 1:
        return len({place.get(pk, last) for pk in key[0]}) == 1
    turned = any(
        place.get(better, last) > place.get(worse, last)
        for upper, lower in combinations(key, 2)
        for better in upper
        for worse in lower
    )
    apart = all(place.get(a, last) < place.get(b, last) for a in key[0] for b in key[-1])
    return apart and not turned


def same_again(
    first: tuple[Tiers | None, int | None], second: tuple[Tiers | None, int | None]
) -> bool | None:
    """Whether a person said the same twice; None where the first time gives nothing to compare.

    Args:
        first: Tiers and acceptable of the first answer.
        second: Of the repeat.
    """
    tiers, acceptable = first
    if not tiers or sum(len(tier) for tier in tiers) < 2:
        return None
    line = acceptable if acceptable is not None and second[1] is not None else None
    good = (
        {}
        if line is None
        else {pk: depth < line for depth, tier in enumerate(tiers) for pk in tier}
    )
    return agrees(Expected(tiers, good), tiers=second[0], acceptable=second[1])


# --- how often, and which -----------------------------------------------------------------


def shares(number: int, *, gold: float, repeat: float) -> tuple[float, float]:
    """Shares of gold and repeats around a person's question of this number, counted from 0."""
    if number < NEW:
        gold = max(gold, min(2 * gold, MOST_GOLD_FOR_NEW))
    return gold, repeat


def mixed_in(number: int, lot: Callable[[int], float], *, gold: float, repeat: float) -> str:
    """What stands in the place of a person's question of this number: gold, repeat, or nothing.

    Never two in a row, whatever the lots. A place is drawn with probability p = s / (1 - s), and
    one that follows a drawn place is given back: a share of p / (1 + p) = s is left.

    Args:
        number: How many questions this person was given before.
        lot: A number in [0, 1) for each question number, always the same.
        gold, repeat: The campaign's shares, together at most 1/2.
    """
    found = _drawn(number, lot, gold, repeat)
    run = 0
    while run <= BLOCK and _drawn(number - run, lot, gold, repeat):
        run += 1
    return found if run % 2 else ""


def _drawn(number: int, lot: Callable[[int], float], gold: float, repeat: float) -> str:
    of_gold, of_repeat = shares(number, gold=gold, repeat=repeat)
    share = min(of_gold + of_repeat, 0.5)
    if share <= 0 or number % BLOCK == 0:
        return ""
    place = lot(number) * (1 - share) / share  # below 1 with probability share / (1 - share)
    if place >= 1:
        return ""
    return "gold" if place * (of_gold + of_repeat) < of_gold else "repeat"


# --- what the counts say ------------------------------------------------------------------


def wilson(right: int, n: int) -> tuple[float, float] | None:
    """95 % interval of a share, by Wilson's score; None without any. 9 of 10: 0.596 to 0.982."""
    if n == 0:
        return None
    share, z2 = right / n, Z * Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def chance_below(right: int, n: int, *, limit: float = GOOD_ENOUGH) -> float:
    """P(accuracy < limit) after `right` of `n`, under a Beta(8, 2) prior.

    2 right of 5: 0.584. The distribution function of a Beta with whole parameters is a sum over
    a binomial: I_x(a, b) = P(at least a of a + b - 1 succeed with chance x).
    """
    a, b = PRIOR[0] + right, PRIOR[1] + n - right
    trials = a + b - 1
    return math.fsum(
        math.comb(trials, k) * limit**k * (1 - limit) ** (trials - k) for k in range(a, trials + 1)
    )


def advice(right: int, n: int) -> str:
    """A word for the researcher, never a penalty: `look` when accuracy is below 0.7 with more than
    90 % chance, `coach` with more than 60 %, else nothing."""
    chance = chance_below(right, n)
    return "look" if chance > 0.9 else "coach" if chance > 0.6 else ""


def slip_rate(different: int, n: int) -> float | None:
    """How often a person slips on two-way choices: D = 2e(1 - e), so e = (1 - sqrt(1 - 2D)) / 2.

    18 of 100 differ: 0.1. None without repeats; 1/2 where half or more differ.
    """
    if n == 0:
        return None
    return (1 - math.sqrt(max(0.0, 1 - 2 * different / n))) / 2
