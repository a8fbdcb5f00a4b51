"""From one weak order to comparisons: the one likelihood's view of every form's answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final, NamedTuple

LINE: Final = -1  # stands for "just good enough" where a response id is expected

Tiers = Sequence[Sequence[int]]


class Compared(NamedTuple):
    """One comparison, in response ids.

    Attributes:
        left, right: Response ids, or `LINE`.
        outcome: 1 left is better, 0 a tie.
        weight: Of one ordinary judgement.
    """

    left: int
    right: int
    outcome: int
    weight: float


def derive(
    tiers: Tiers | None,
    *,
    acceptable: int | None = None,
    ordered: bool = True,
    uncompared: bool = False,
) -> list[Compared]:
    """Everything that one answer says about two responses, or a response and the line.

    Of `k` responses each comparison weighs `1 / (k - 1)`, so that one ranking does not outvote
    `k - 1` people: with all its pairs, a response has the weight of one judgement. The line is
    one more response to compare with, at the same weight; alone with it a response weighs 1.

    Args:
        tiers: Response ids, best first.
        acceptable: How many of the tiers are good enough; None says nothing of the line.
        ordered: Whether tiers say what is better; not where all were found wanting.
        uncompared: Whether responses of one tier were left uncompared rather than found level.
    """
    if not tiers:
        return []
    weight = 1.0 / max(sum(len(tier) for tier in tiers) - 1, 1)
    found = []
    if ordered:
        for upper, lower in combinations(tiers, 2):
            found += [Compared(a, b, 1, weight) for a in upper for b in lower]
        if not uncompared:
            for tier in tiers:
                found += [Compared(a, b, 0, weight) for a, b in combinations(tier, 2)]
    if acceptable is not None:
        found += [Compared(pk, LINE, 1, weight) for tier in tiers[:acceptable] for pk in tier]
        found += [Compared(LINE, pk, 1, weight) for tier in tiers[acceptable:] for pk in tier]
    return found
