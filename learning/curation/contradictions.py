"""Answers that contradict each other: about one pair, and around a circle of three.

People who are asked the same question disagree now and then; that alone is no fault of a pair. A
pair stands out when its answers split more evenly than those of the campaign's other pairs would
by chance.

Source:
    Kendall & Babington Smith (1940), Biometrika 31, for circular triads; Benjamini & Hochberg
    (1995) for the number of pairs that are looked at.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
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
        majorities, which leaving out takes. The score of an example is the share of the minority,
        and 1 for rows on a circle.
    """
    sides, said = np.asarray(pairs, np.int64), np.asarray(votes, np.int64)
    if sides.ndim != 2 or sides.shape[1:] != (2,) or said.shape != sides.shape:
        raise ShapeError(f"pairs and votes must be (n, 2), got {sides.shape} and {said.shape}")
    member = column(np.asarray(groups), "groups", len(sides))
    place, tally, first = _together(sides, said)
    agreement, several = agreed(tally, member[first], rng)
    opposed = (tally.min(axis=1) > 0)[place]
    split = beyond_chance(tally, agreement.value)[place]
    circular, triads, complete = circles(sides[first], tally)
    on_circle = circular[place]
    rows = np.flatnonzero(split | on_circle)
    figures: dict[str, Any] = {
        "several": several,
        "opposed": int(opposed.sum()),
        "beyond_chance": int(split.sum()),
        "agreement": interval(agreement),
        "circles": triads,
        "triples": complete,
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
            np.where(on_circle, 1.0, minority)[rows],
            ["on a circle" if on_circle[row] else "opposite answers" for row in rows.tolist()],
        ),
        drop=rows,
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


def circles(pairs: Ints, tally: Ints) -> tuple[Any, int, int]:
    """Majorities that run in a circle.

    Args:
        pairs: Distinct pairs of responses, shape ``(p, 2)``.
        tally: Votes for the lower and the higher number of each, shape ``(p, 2)``.

    Returns:
        Which pairs are on a circle, shape ``(p,)``; how many triples A > B > C > A there are; and
        of how many triples with three majorities. Drawn by chance, a quarter would be circles.
    """
    low, high = np.sort(pairs, axis=1).T if len(pairs) else (np.empty(0, np.int64),) * 2
    decided = tally[:, 0] != tally[:, 1]
    forward = tally[:, 0] > tally[:, 1]
    names, at = np.unique(np.stack([low, high]), return_inverse=True)
    a, b = at.reshape(2, -1)
    winner, loser = np.where(forward, a, b)[decided], np.where(forward, b, a)[decided]
    shape = (len(names), len(names))
    if not len(winner):
        return np.zeros(len(pairs), bool), 0, 0
    beats = csr_array((np.ones(len(winner), np.int64), (winner, loser)), shape=shape)
    either = beats + beats.T
    triads = int((beats @ beats).multiply(beats.T).sum()) // 3
    complete = int((either @ either).multiply(either).sum()) // 6
    _, strong = connected_components(beats, directed=True, connection="strong")
    return decided & (strong[a] == strong[b]), triads, complete


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
        said += (
            f" Of {count(figures['triples'], 'triple')} of responses {figures['circles']:,} run in "
            f"a circle ({100 * share:.1f} %; 25 % would be chance)."
        )
    return said


def reliability(agreement: float) -> Floats:
    """Probability that one answer is with the majority, at most ``SURE``; NaN where not known."""
    return np.asarray(np.minimum(best_possible(agreement), SURE))
