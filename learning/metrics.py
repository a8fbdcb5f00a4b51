"""How good a head is on comparisons it has not seen.

Nothing depends on the sides responses were shown on. Intervals resample whole prompts,
because judgements on one prompt resemble each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.data import Belief, Comparisons
from learning.errors import NotEnoughData, ShapeError

_SMALLEST: Final = 1e-9  # a probability of 0 would make one surprise infinite
_CELLS: Final = 4_000_000  # of resampling counts at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; the ends are NaN where there is none."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one head on one set of comparisons.

    Attributes:
        accuracy: Share of decisive comparisons whose winner has the higher reward.
        log_loss: Of the winner among decisive ones, in nats.
        brier: Mean squared error of the winner's probability, in [0, 1].
        ece: Expected calibration error, 15 bins; without interval.
        log_loss_ties: Of the outcome among win, tie and loss, over all, in nats.
        n: Comparisons.
        n_decisive: Comparisons that are not ties.
    """

    accuracy: Estimate
    log_loss: Estimate
    brier: Estimate
    ece: Estimate
    log_loss_ties: Estimate
    n: int
    n_decisive: int


def evaluate(
    posterior: Belief,
    features: NDArray[np.floating[Any]],
    comparisons: Comparisons,
    clusters: ArrayLike,
    rng: np.random.Generator,
) -> Evaluation:
    """Evaluate a head.

    Args:
        posterior: The fitted head.
        features: One row a response, shape ``(m, d)``.
        comparisons: Held-out judgements; each counts once, weights are not used.
        clusters: Prompt of each comparison, shape ``(n,)``; any labels.
        rng: For the bootstrap.

    Raises:
        NotEnoughData: no decisive comparison.
        ShapeError: arrays of different lengths or widths.
    """
    clusters = np.asarray(clusters)
    if clusters.shape != (len(comparisons),):
        raise ShapeError(f"clusters must be ({len(comparisons)},), got {clusters.shape}")
    decisive = comparisons.decisive
    if not decisive.any():
        raise NotEnoughData("there is no decisive comparison to evaluate on")
    mu, s2 = posterior.margin(features, comparisons.pairs)
    win, tie, loss = posterior.probabilities(mu, s2)
    three = np.choose(comparisons.outcome + 1, [loss, tie, win])
    winner = posterior.preference(mu * comparisons.outcome, s2)[decisive]

    def estimate(values: NDArray[np.float64], groups: NDArray[Any]) -> Estimate:
        return Estimate(float(values.mean()), *bootstrap_interval(values, groups, rng=rng))

    groups = clusters[decisive]
    return Evaluation(
        accuracy=estimate(_hits(winner), groups),
        log_loss=estimate(_surprise(winner), groups),
        brier=estimate(np.square(1.0 - winner), groups),
        ece=Estimate(ece(np.maximum(winner, 1 - winner), _hits(winner))),
        log_loss_ties=estimate(_surprise(three), clusters),
        n=len(comparisons),
        n_decisive=int(decisive.sum()),
    )


def accuracy(p: NDArray[np.float64], outcome: NDArray[Any]) -> float:
    """Return the share of decisive outcomes on the likelier side; a coin flip counts half.

    ``p`` is P(left is better), ``outcome`` is 1, 0 or -1, both ``(n,)``; ties are left out.
    """
    return float(_hits(_of_winner(p, outcome)).mean())


def log_loss(p: NDArray[np.float64], outcome: NDArray[Any]) -> float:
    """Return the mean surprise at decisive outcomes, in nats; arguments as in ``accuracy``."""
    return float(_surprise(_of_winner(p, outcome)).mean())


def brier(p: NDArray[np.float64], outcome: NDArray[Any]) -> float:
    """Return the mean squared error at decisive outcomes; arguments as in ``accuracy``."""
    return float(np.square(1.0 - _of_winner(p, outcome)).mean())


def log_loss_ties(
    win: NDArray[np.float64],
    tie: NDArray[np.float64],
    loss: NDArray[np.float64],
    outcome: NDArray[Any],
) -> float:
    """Return the mean surprise at win, tie or loss, in nats; all arguments ``(n,)``."""
    return float(_surprise(np.choose(np.asarray(outcome) + 1, [loss, tie, win])).mean())


def ece(confidence: NDArray[np.float64], correct: NDArray[np.float64], *, bins: int = 15) -> float:
    """Return the expected calibration error, in [0, 1].

    Args:
        confidence: Probability given to the predicted side, shape ``(n,)``, in [0, 1].
        correct: 1 where the prediction was right, shape ``(n,)``.
        bins: Equal bins over [0, 1], each with its left end.

    Source:
        Guo et al. (2017), arXiv:1706.04599, eq. 3.
    """
    # 0.6 / 0.1 is 5.999...: without the rounding it would fall into the bin below.
    place = np.minimum(np.floor(np.round(confidence * bins, 9)).astype(np.int64), bins - 1)
    gap = np.bincount(place, weights=correct - confidence, minlength=bins)
    return float(np.abs(gap).sum() / len(confidence))


def bootstrap_interval(
    values: NDArray[np.float64],
    clusters: NDArray[Any],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    draws: int = 2000,
) -> tuple[float, float]:
    """Return the percentile interval of the mean of ``values`` when clusters are redrawn.

    Args:
        values: Shape ``(n,)``.
        clusters: Labels, shape ``(n,)``; values of one cluster are drawn together.
        rng: Draws the clusters.
        level: Coverage aimed at.
        draws: Bootstrap replicates.

    Returns:
        ``(low, high)``; two NaN with fewer than two clusters, which say nothing of spread.
    """
    _, member = np.unique(clusters, return_inverse=True)
    size = np.bincount(member).astype(np.float64)
    total = np.bincount(member, weights=values)
    k = len(size)
    if k < 2:
        return float("nan"), float("nan")
    means = np.empty(draws)
    step = max(1, _CELLS // k)
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        times = rng.multinomial(k, np.full(k, 1.0 / k), size=rows)  # (rows, clusters)
        means[start : start + rows] = (times @ total) / (times @ size)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _of_winner(p: NDArray[np.float64], outcome: NDArray[Any]) -> NDArray[np.float64]:
    outcome = np.asarray(outcome)
    decisive = outcome != 0
    if not decisive.any():
        raise NotEnoughData("there is no decisive comparison to evaluate on")
    return np.asarray(np.where(outcome > 0, p, 1.0 - p)[decisive], dtype=np.float64)


def _hits(winner: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(winner == 0.5, 0.5, winner > 0.5), dtype=np.float64)


def _surprise(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(-np.log(np.clip(probability, _SMALLEST, 1.0)))
