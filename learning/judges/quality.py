"""How well a judge's probabilities agree with people: figures, and a reliability diagram."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

from learning import _checks, metrics
from learning.errors import NotEnoughData, ShapeError
from learning.metrics import Estimate

Doubles = NDArray[np.float64]
BINS: Final = 10
_SMALLEST: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a reliability diagram: verdicts of about the same confidence.

    Attributes:
        low, high: Its ends, left-closed.
        n: Verdicts in it.
        confidence: Their mean probability of what was chosen.
        agreement: Share that people share, with its Wilson interval.
    """

    low: float
    high: float
    n: int
    confidence: float
    agreement: Estimate


@dataclass(frozen=True, slots=True)
class Quality:
    """How probabilities fare against people.

    Attributes:
        n: Questions.
        agreement: Share on which people are on the judge's side, with its Wilson interval;
            half a question where either is undecided.
        decided: The same among questions on which both are decided.
        n_decided: How many these are.
        ece: Expected calibration error over ten bins of confidence.
        brier: Mean squared error of the probability.
        log_loss: Mean cross entropy, in nats.
        diagram: Bins that have verdicts in them.
    """

    n: int
    agreement: Estimate
    decided: Estimate
    n_decided: int
    ece: float
    brier: float
    log_loss: float
    diagram: tuple[Bin, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def quality(p: ArrayLike, y: ArrayLike, *, bins: int = BINS) -> Quality:
    """Measure probabilities against what people said.

    Args:
        p: P(the first response is preferred), shape ``(n,)``, in [0, 1].
        y: Share of people who prefer the first, ties as one half, shape ``(n,)``, in [0, 1].
        bins: Equal bins over [0, 1]; confidence only reaches the upper half of them.

    Raises:
        NotEnoughData: there is no question.
        ShapeError: lengths differ, or something is not in [0, 1].
    """
    p, y = probabilities(p, "p"), probabilities(y, "y")
    if len(p) != len(y):
        raise ShapeError(f"{len(p)} probabilities for {len(y)} answers")
    if not len(p):
        raise NotEnoughData("there is no question to measure a judge on")
    confidence, correct = np.maximum(p, 1 - p), agreements(p, y)
    inside = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    surprise = -(xlogy(y, inside) + xlogy(1 - y, 1 - inside))
    both = correct[correct != 0.5]
    return Quality(
        n=len(p),
        agreement=share(float(correct.sum()), len(p)),
        decided=share(float(both.sum()), len(both)),
        n_decided=len(both),
        ece=metrics.ece(confidence, correct, bins=bins),
        brier=float(np.square(y - p).mean()),
        log_loss=float(surprise.mean()),
        diagram=tuple(_diagram(confidence, correct, bins)),
    )


def agreements(p: Doubles, y: Doubles) -> Doubles:
    """Return 1 where most people are on the judge's side, 0 where not, 1/2 where either is not
    decided; shape ``(n,)``.
    """
    sides = np.sign(p - 0.5) * np.sign(y - 0.5)
    return np.asarray((sides + 1) / 2, dtype=np.float64)


def share(successes: float, n: int, *, z: float = 1.959964) -> Estimate:
    """Return a share with its Wilson interval; all NaN where there is nothing to count.

    Args:
        successes: How many of ``n``; halves may be among them.
        n: Trials.
        z: Quantile of the normal: 95 %.

    Source:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """
    if not n:
        return Estimate(float("nan"))
    rate, spread = successes / n, z * z / n
    middle = (rate + spread / 2) / (1 + spread)
    half = z * math.sqrt(rate * (1 - rate) / n + spread / (4 * n)) / (1 + spread)
    return Estimate(rate, max(0.0, middle - half), min(1.0, middle + half))


def probabilities(values: ArrayLike, name: str) -> Doubles:
    """Return values as a vector in [0, 1].

    Raises:
        ShapeError: they are something else.
    """
    made = _checks.vector(values, name, np.float64)
    if not ((made >= 0) & (made <= 1)).all():  # NaN is neither
        raise ShapeError(f"{name} must lie in [0, 1]")
    return made


def _diagram(confidence: Doubles, correct: Doubles, bins: int) -> list[Bin]:
    # As in metrics.ece: 0.6 * 10 is 6.000000000000001 or less.
    place = np.minimum(np.floor(np.round(confidence * bins, 9)).astype(int), bins - 1)
    made = []
    for number in np.unique(place):
        rows = place == number
        n = int(rows.sum())
        mean = float(confidence[rows].mean())
        agreed = share(float(correct[rows].sum()), n)
        made.append(Bin(number / bins, (number + 1) / bins, n, mean, agreed))
    return made
