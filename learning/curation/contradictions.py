"""Answers that contradict each other: about one pair, and around a circle of three.

People who are asked the same question disagree now and then; that alone is no fault of a pair. A
pair stands out when its answers split more evenly than those of the campaign's other pairs would
by chance.

Source:
    Kendall & Babington Smith (1940), Biometrika 31, for circular triads; Benjamini & Hochberg
    (1995) for the number of pairs that are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from learning.card._agreement import best_possible
from learning.curation._finding import (
    Finding,
    Floats,
    Ints,
    column,
    count,
    interval,
    told,
    worst,
)
from learning.errors import ShapeError
from learning.metrics import Estimate, bootstrap_interval

FALSE: Final = 0.1  # of the pairs called contradictory, at most this share by chance
SURE: Final = 0.95  # where everybody agrees: still, nobody is more reliable than this
NAME: Final = "contradictions"
_EDGES: Final = 100_000  # joined at a time
Bools = NDArray[np.bool_]


def contradictions(
    pairs: ArrayLike,
    votes: ArrayLike,
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
) -> Finding:
    """Find pairs that were answered in opposite ways beyond chance, and circles.

    Args:
        pairs: The two responses of each row, numbers that are unique over all prompts, shape
            ``(n, 2)``.
        votes: How many people were for the first and for the second, shape ``(n, 2)``.
        groups: What is redrawn together, such as the prompt, shape ``(n,)``.
        rng: For the interval.

    Returns:
        The rows whose answers split more evenly than chance allows, and those on a circle of
        majorities. Leaving out takes the former, and of the latter those without which no circle
        is left. The score of an example is the share of the minority.
    """
    sides, said = np.asarray(pairs, np.int64), np.asarray(votes, np.int64)
    if sides.ndim != 2 or sides.shape[1:] != (2,) or said.shape != sides.shape:
        raise ShapeError(f"pairs and votes must be (n, 2), got {sides.shape} and {said.shape}")
    member = column(np.asarray(groups), "groups", len(sides))
    place, tally, first = _together(sides, said)
    agreement, several = agreed(tally, member[first], rng)
    opposed = (tally.min(axis=1) > 0)[place]
    split = beyond_chance(tally, agreement.value)[place]
    circular = circles(sides[first], tally)
    on_circle = circular.on[place]
    rows = np.flatnonzero(split | on_circle)
    figures: dict[str, Any] = {
        "several": several,
        "opposed": int(opposed.sum()),
        "beyond_chance": int(split.sum()),
        "agreement": interval(agreement),
        "circles": circular.number,
        "triples": circular.triples,
        "on_circles": int(on_circle.sum()),
    }
    total = np.maximum(tally.sum(axis=1), 1)
    minority = (tally.min(axis=1) / total)[place]
    return Finding(
        name=NAME,
        rows=len(rows),
        of=len(sides),
        sentence=_sentence(figures, agreement),
        examples=worst(
            rows,
            minority[rows],
            ["on a circle" if on_circle[row] else "opposite answers" for row in rows.tolist()],
        ),
        drop=np.flatnonzero(split | circular.breaking[place]),
        figures=figures,
    )


def _together(pairs: Ints, votes: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows about the same two responses taken together: place of each row, votes for the lower
    and the higher number, and the first row of each."""
    turned = pairs[:, 0] > pairs[:, 1]
    ordered = np.where(turned[:, None], votes[:, ::-1], votes)
    _, first, place = np.unique(
        np.sort(pairs, axis=1), axis=0, return_index=True, return_inverse=True
    )
    place = place.reshape(-1)
    tally = np.zeros((len(first), 2), np.int64)
    np.add.at(tally, place, ordered)
    return place, tally, first


def agreed(tally: Ints, member: Ints, rng: np.random.Generator) -> tuple[Estimate, int]:
    """How often two answers to one pair agree, and on how many pairs; NaN without any.

    A pair with ``a`` answers for one side and ``b`` for the other counts
    ``(a(a-1) + b(b-1)) / (n(n-1))``, which is unbiased.
    """
    n = tally.sum(axis=1)
    several = n > 1
    if not several.any():
        return Estimate(float("nan")), 0
    found, n = tally[several], n[several]
    share = (found * (found - 1)).sum(axis=1) / (n * (n - 1))
    ends = bootstrap_interval(share, member[several], rng=rng)
    return Estimate(float(share.mean()), *ends), len(n)


def beyond_chance(tally: Ints, agreement: float) -> Any:
    """Pairs whose minority is larger than it would be if everybody were as reliable as people
    are here: one-sided, by the binomial distribution, with ``FALSE`` as false discovery rate.

    Args:
        tally: Votes for either side, shape ``(n, 2)``.
        agreement: How often two answers agree; NaN calls nothing contradictory.

    Returns:
        Shape ``(n,)``, bool.
    """
    size = tally.sum(axis=1)
    tested = np.flatnonzero(size > 1)
    found = np.zeros(len(tally), bool)
    if not len(tested) or not np.isfinite(agreement):
        return found
    slip = 1.0 - min(best_possible(agreement), SURE)
    n, few = size[tested], tally.min(axis=1)[tested]
    # Two-sided in the vote, so that a minority is at most half: P(min(k, n - k) >= few).
    chance = binom.cdf(n - few, n, slip) - binom.cdf(few - 1, n, slip)
    chance = np.clip(chance, 0.0, 1.0)
    ordered = np.sort(chance)
    passed = ordered <= FALSE * np.arange(1, len(ordered) + 1) / len(ordered)
    if passed.any():
        found[tested[chance <= ordered[np.flatnonzero(passed)[-1]]]] = True
    return found


@dataclass(frozen=True, slots=True)
class Circles:
    """Majorities that run in a circle, A over B over C over A.

    Attributes:
        on: Which pairs are on one, shape ``(p,)``.
        breaking: Pairs without which none is left, few of them, shape ``(p,)``.
        number: How many circles there are.
        triples: Of how many triples with three majorities. By chance a quarter would be circles.
    """

    on: Bools
    breaking: Bools
    number: int
    triples: int


def circles(pairs: Ints, tally: Ints) -> Circles:
    """Find circles, and what breaks them: again and again the pair that is on most of those that
    are left, among equals the one with the smallest majority.

    Args:
        pairs: Distinct pairs of responses, shape ``(p, 2)``.
        tally: Votes for the lower and the higher number of each, shape ``(p, 2)``.
    """
    on, breaking = np.zeros(len(pairs), bool), np.zeros(len(pairs), bool)
    edge = np.flatnonzero(tally[:, 0] != tally[:, 1]) if len(pairs) else np.empty(0, np.int64)
    if not len(edge):
        return Circles(on, breaking, 0, 0)
    sides = np.sort(pairs[edge], axis=1)
    sides[tally[edge, 0] < tally[edge, 1]] = sides[tally[edge, 0] < tally[edge, 1]][:, ::-1]
    names, at = np.unique(sides, return_inverse=True)
    winner, loser = at.reshape(-1, 2).T
    shape = (len(names), len(names))
    beats = csr_array((np.ones(len(edge), np.int64), (winner, loser)), shape=shape)
    either = beats + beats.T
    triples = int((either @ either).multiply(either).sum()) // 6
    found = _triads(winner, loser, len(names))
    on[edge[found.ravel()]] = True
    breaking[edge[_breaking(found, np.abs(tally[edge, 0] - tally[edge, 1]))]] = True
    return Circles(on, breaking, len(found), triples)


def _triads(winner: Ints, loser: Ints, names: int) -> Ints:
    """The three edges of every circle, shape ``(c, 3)``."""
    order = np.argsort(winner, kind="stable")
    start = np.searchsorted(winner[order], np.arange(names + 1))
    key = winner * names + loser
    by_key = np.argsort(key)
    found = [np.empty((0, 3), np.int64)]
    for first in range(0, len(winner), _EDGES):
        edges = np.arange(first, min(first + _EDGES, len(winner)))
        many = start[loser[edges] + 1] - start[loser[edges]]
        one = np.repeat(edges, many)
        offset = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
        two = order[start[loser[one]] + offset]
        back = loser[two] * names + winner[one]
        place = by_key[np.minimum(np.searchsorted(key[by_key], back), len(key) - 1)]
        # Every circle once: from its lowest response.
        kept = key[place] == back
        kept &= (winner[one] < loser[one]) & (winner[one] < loser[two])
        found.append(np.stack([one, two, place], axis=1)[kept])
    return np.concatenate(found)


def _breaking(triads: Ints, majority: Ints) -> list[int]:
    """Edges that leave no circle when they are taken out, by greedy choice."""
    of_edge: dict[int, list[int]] = {}
    for number, triad in enumerate(triads.tolist()):
        for edge in triad:
            of_edge.setdefault(edge, []).append(number)
    left = {edge: len(numbers) for edge, numbers in of_edge.items()}
    heap = [(-n, int(majority[edge]), edge) for edge, n in left.items()]
    heapify(heap)
    open_, chosen = np.ones(len(triads), bool), []
    while heap:
        minus, size, edge = heappop(heap)
        if left[edge] != -minus:  # it was on more circles when it was put in
            if left[edge]:
                heappush(heap, (-left[edge], size, edge))
            continue
        chosen.append(edge)
        for number in of_edge[edge]:
            if open_[number]:
                open_[number] = False
                for other in triads[number].tolist():
                    left[other] -= 1
    return chosen


def _sentence(figures: dict[str, Any], agreement: Estimate) -> str:
    said = "No pair was answered by several people."
    if figures["several"]:
        said = (
            f"Two answers about one pair agree in {told(agreement)} of "
            f"{count(figures['several'], 'pair')} with several. {count(figures['opposed'], 'row')} "
            f"{'has' if figures['opposed'] == 1 else 'have'} answers for both sides, "
            f"{figures['beyond_chance']:,} of them more evenly than chance allows."
        )
    if figures["triples"]:
        share = figures["circles"] / figures["triples"]
        run = "runs" if figures["circles"] == 1 else "run"
        said += (
            f" Of {count(figures['triples'], 'triple')} of responses {figures['circles']:,} {run} "
            f"in a circle ({100 * share:.1f} %; 25 % would be chance)."
        )
    return said


def reliability(agreement: float) -> Floats:
    """Probability that one answer is with the majority, at most ``SURE``; NaN where not known."""
    return np.asarray(np.minimum(best_possible(agreement), SURE))
