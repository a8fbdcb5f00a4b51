"""The likelihood of one judged pair as a function of its margin.

Two factors, both log-concave in the margin ``d`` (reward left minus reward right):

* the outcome, after Davidson (1970): with ``Z = exp(d/2) + exp(-d/2) + 2 nu`` the
  probabilities are ``exp(d/2)/Z`` for left, ``2 nu/Z`` for a tie, ``exp(-d/2)/Z`` for right.
  Given that somebody won this is Bradley-Terry;
* for a decisive judgement whose strength is known, a cumulative logit on the margin ``w``
  towards the winner: ``P(strength >= k) = sigmoid(a w - b_k)``, ``k = 2, 3``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from learning.data import Comparisons


@dataclass(frozen=True, slots=True)
class AnswerModel:
    """How margins become answers: ``nu``, ``a`` and the cuts ``b_2 < b_3``."""

    tie: float
    slope: float = 1.0
    cuts: tuple[float, float] = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """Log-likelihood of each judgement and its first and negated second margin derivative."""

    value: NDArray[np.float64]
    slope: NDArray[np.float64]
    curvature: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StrengthTerms:
    """The strength factor; slopes and curvatures by ``a w - b_2`` and by ``a w - b_3``."""

    value: NDArray[np.float64]
    slope2: NDArray[np.float64]
    slope3: NDArray[np.float64]
    curvature2: NDArray[np.float64]
    curvature3: NDArray[np.float64]


def terms(margin: NDArray[np.float64], data: Comparisons, model: AnswerModel) -> Terms:
    """Evaluate every judgement at its margin ``(n,)``, in nats, *without* the weights."""
    value, slope, curvature = _outcome_terms(margin, data, model.tie)
    graded = np.flatnonzero(data.strength)
    if len(graded):
        sign, a = data.outcome[graded].astype(np.float64), model.slope
        extra = strength_terms(sign * margin[graded], data.strength[graded], model)
        value[graded] += extra.value
        slope[graded] += sign * a * (extra.slope2 + extra.slope3)
        curvature[graded] += a**2 * (extra.curvature2 + extra.curvature3)
    return Terms(value, slope, curvature)


def _outcome_terms(
    margin: NDArray[np.float64], data: Comparisons, tie: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Davidson's log-probability, its slope, and minus its curvature.

    Everything is scaled by ``exp(-|d|/2)`` so that margins of hundreds neither overflow nor
    lose the small term.
    """
    outcome = data.outcome.astype(np.float64)
    small = np.exp(-np.abs(margin) / 2)
    total = 1.0 + small**2 + 2.0 * tie * small
    value = outcome * margin / 2 - np.abs(margin) / 2 - np.log(total)
    if tie > 0:  # otherwise there are no ties in the data
        value[~data.decisive] += np.log(2.0 * tie)
    slope = outcome / 2 - np.sign(margin) * (1.0 - small**2) / (2.0 * total)
    curvature = (small**2 + tie * small * (1.0 + small**2) / 2) / total**2
    return value, slope, curvature


def strength_terms(
    towards: NDArray[np.float64], strength: NDArray[np.int8], model: AnswerModel
) -> StrengthTerms:
    """Evaluate the strength factor at margins towards the winner; the arrays broadcast.

    ``sigmoid(u) - sigmoid(v)`` is written as ``sigmoid(u) sigmoid(-v) (1 - exp(v - u))``,
    which cannot cancel.
    """
    low, high = model.cuts
    reach2, reach3 = model.slope * towards - low, model.slope * towards - high
    # Strength 1 says "2 was not reached", 3 says "3 was", 2 says one of each.
    says2 = np.where(strength == 1, -1.0, np.where(strength == 2, 1.0, 0.0))
    says3 = np.where(strength == 3, 1.0, np.where(strength == 2, -1.0, 0.0))
    both = np.where(strength == 2, np.log(-np.expm1(low - high)), 0.0)
    p2, p3 = expit(reach2), expit(reach3)
    return StrengthTerms(
        value=np.abs(says2) * log_expit(says2 * reach2)
        + np.abs(says3) * log_expit(says3 * reach3)
        + both,
        slope2=says2 * expit(-says2 * reach2),
        slope3=says3 * expit(-says3 * reach3),
        curvature2=np.abs(says2) * p2 * (1 - p2),
        curvature3=np.abs(says3) * p3 * (1 - p3),
    )
