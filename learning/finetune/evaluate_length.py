"""How much of a reward is length: slopes, and accuracy at equal length.

Source:
    Dubois et al. (2024), arXiv:2404.04475, AlpacaEval-LC: a judge's preference is a model's
    quality plus a term in the standardised difference of lengths, and the controlled figure is
    what is left with that term at zero. Here the reward model is the judge, whose log odds are
    known, so that the term is found by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t as student

from learning.errors import ShapeError
from learning.metrics import Estimate, bootstrap_interval

_STEPS: Final = 50
_RIDGE: Final = 1e-6  # separable answers would send a slope to infinity
_NONE: Final = Estimate(float("nan"))

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Length:
    """What length has to do with rewards and answers; all about decisive answers.

    A unit of length is one standard deviation (root mean square) of the differences of
    ``log(1 + characters)`` between the two responses of a pair.

    Attributes:
        accuracy: Share of winners with the higher reward *at equal length*: the part of the
            margin that goes along with length is taken away.
        longer_won: Accuracy where the longer response won.
        shorter_won: Accuracy where the shorter one won. A model of length alone has 1 and 0.
        slope: Logits of margin per unit of length.
        people: Logits of people's own preference per unit of length.
        bias: Logits per unit of length that answers take away again, given the margin: above 0
            the model values length more than people do, below 0 less.
        unit: That standard deviation, in log characters.
    """

    accuracy: Estimate
    longer_won: Estimate
    shorter_won: Estimate
    slope: Estimate
    people: Estimate
    bias: Estimate
    unit: float


def length_of(
    margin: Floats,
    length: Floats,
    outcome: NDArray[Any],
    groups: NDArray[Any],
    *,
    rng: np.random.Generator,
) -> Length:
    """Measure it.

    Args:
        margin: Reward left minus right in calibrated logits, shape ``(n,)``.
        length: ``log(1 + characters)`` left minus right, shape ``(n,)``.
        outcome: 1, 0 or -1; ties are left out.
        groups: What an interval redraws, shape ``(n,)``.
        rng: Of the bootstrap.

    Raises:
        ShapeError: lengths that differ, or values that are not finite.
    """
    decisive = np.asarray(outcome) != 0
    if not margin.shape == length.shape == decisive.shape == groups.shape:
        raise ShapeError("margin, length, outcome and groups must have one shape (n,)")
    if not (np.isfinite(margin).all() and np.isfinite(length).all()):
        raise ShapeError("margins and lengths must be finite")
    margin, won, groups = margin[decisive], outcome[decisive] > 0, groups[decisive]
    unit = float(np.sqrt(np.square(length[decisive]).mean())) if len(margin) else 0.0
    d = length[decisive] / unit if unit > 0 else np.zeros(len(margin))
    if not len(margin):
        return Length(_NONE, _NONE, _NONE, _NONE, _NONE, _NONE, 0.0)
    towards = np.where(won, 1.0, -1.0)
    slope = least_squares(margin, d, groups)
    rest = (margin - slope.value * d) * towards if unit > 0 else margin * towards
    raw, longer = margin * towards, d * towards > 0
    shorter = d * towards < 0
    # The sides carry no label: turning every pair to the winner changes no slope.
    alone = logistic(d[:, None], won, groups)
    both = logistic(np.stack([margin, d], axis=1), won, groups)
    return Length(
        accuracy=_share(rest, groups, rng),
        longer_won=_share(raw[longer], groups[longer], rng),
        shorter_won=_share(raw[shorter], groups[shorter], rng),
        slope=slope,
        people=alone[0],
        bias=_negative(both[1]),
        unit=unit,
    )


def least_squares(y: Floats, x: Floats, groups: NDArray[Any]) -> Estimate:
    """Return the slope of ``y`` on ``x`` through zero, with a cluster-robust 95 % interval."""
    bend = float(x @ x)
    if bend <= 0:
        return _NONE
    slope = float(x @ y) / bend
    spread = _clustered(((y - slope * x) * x)[:, None], groups)
    return _interval(slope, float(spread[0, 0]) / bend**2, groups)


def logistic(X: Floats, won: NDArray[np.bool_], groups: NDArray[Any]) -> list[Estimate]:
    """Return the coefficients of ``P(left wins) = sigmoid(X b)``, no intercept, by Newton.

    Args:
        X: Shape ``(n, k)``.
        won: Whether the left side won, shape ``(n,)``.
        groups: Answers of one group resemble each other, shape ``(n,)``.

    Returns:
        ``k`` estimates with cluster-robust (sandwich) intervals: Liang and Zeger (1986). No
        estimate where a column is constant or answers are too few.
    """
    n, k = X.shape
    scale = np.sqrt(np.square(X).mean(axis=0)) if n else np.zeros(k)
    if n <= k or (scale <= 0).any():
        return [_NONE] * k
    Z, y, b = X / scale, won.astype(np.float64), np.zeros(k)
    for _ in range(_STEPS):
        p = expit(Z @ b)
        bend = (Z * (p * (1 - p))[:, None]).T @ Z + _RIDGE * n * np.eye(k)
        step = np.linalg.solve(bend, Z.T @ (y - p) - _RIDGE * n * b)
        b = b + step / max(1.0, float(np.abs(step).max()) / 2.0)
        if np.abs(step).max() < 1e-10:
            break
    p = expit(Z @ b)
    inverse = np.linalg.inv((Z * (p * (1 - p))[:, None]).T @ Z + _RIDGE * n * np.eye(k))
    cover = inverse @ _clustered(Z * (y - p)[:, None], groups) @ inverse
    return [
        _interval(float(b[j] / scale[j]), float(cover[j, j] / scale[j] ** 2), groups)
        for j in range(k)
    ]


def _clustered(score: Floats, groups: NDArray[Any]) -> Floats:
    """Sum over groups of outer products of summed scores ``(n, k)``, for few groups enlarged."""
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    total = np.stack([np.bincount(member, weights=column) for column in score.T], axis=1)
    return np.asarray(total.T @ total * (count / max(count - 1, 1)))


def _interval(value: float, variance: float, groups: NDArray[Any]) -> Estimate:
    count = len(np.unique(groups))
    if count < 2:
        return Estimate(value)
    half = float(student.ppf(0.975, count - 1) * np.sqrt(variance))
    return Estimate(value, value - half, value + half)


def _share(towards: Floats, groups: NDArray[Any], rng: np.random.Generator) -> Estimate:
    """The share above 0, with a coin flip at 0."""
    if not len(towards):
        return _NONE
    hits = np.where(towards == 0, 0.5, towards > 0)
    return Estimate(float(hits.mean()), *bootstrap_interval(hits, groups, rng=rng))


def _negative(found: Estimate) -> Estimate:
    return Estimate(-found.value, -found.high, -found.low)
