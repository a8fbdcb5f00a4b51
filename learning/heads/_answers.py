"""Estimating how margins become answers: tie-proneness and the strength scale.

The parameters maximise the log-likelihood *averaged over the posterior of the margins* (an
EM step), not the likelihood at the posterior mean. With more weights than judgements the
fitted margins separate the answers almost perfectly; taken at face value they would say
that strength follows the margin without noise, and slope and prior would run away together.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar

from learning.data import Comparisons
from learning.heads._likelihood import AnswerModel, strength_terms

# Weak priors, worth a handful of judgements; they decide only while there is no evidence.
_IMAGINED_TIES, _IMAGINED_WINS = 0.5, 4.5  # at equal rewards
_STRENGTH_MEAN = np.array([0.0, 0.5, 0.5])  # log a, b_2, log(b_3 - b_2)
_STRENGTH_SD = np.array([0.25, 2.0, 1.0])
_STRENGTH_BOUNDS = [(-5.0, 3.0), (-20.0, 20.0), (-5.0, 4.0)]
_LOG_TIE_BOUNDS = -12.0, 6.0
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(7)
_NODE_WEIGHTS = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


def fit_answer_model(
    mu: NDArray[np.float64],
    s2: NDArray[np.float64],
    data: Comparisons,
    start: AnswerModel,
    *,
    fixed_tie: float | None = None,
) -> AnswerModel:
    """Return the most probable ``nu``, ``a``, ``b`` for margins ``N(mu, s2)``, shape ``(n,)``.

    Without ties, strengths or judgements the answer is close to the priors.
    """
    margin = mu[:, None] + np.sqrt(s2)[:, None] * _NODES  # (n, nodes)
    share = data.weight[:, None] * _NODE_WEIGHTS
    tie = _fit_tie(margin, share, data) if fixed_tie is None else fixed_tie
    return _fit_strength(margin, share, data, replace(start, tie=tie))


def _fit_tie(margin: NDArray[np.float64], share: NDArray[np.float64], data: Comparisons) -> float:
    ties = float(data.weight[~data.decisive].sum()) + _IMAGINED_TIES
    half = np.abs(margin) / 2
    spread = half + np.log1p(np.exp(-2 * half))  # log(exp(d/2) + exp(-d/2))
    decisive_odds = np.exp(np.minimum(spread, 700.0)) / 2  # against nu

    def loss(log_tie: float) -> float:
        tie = np.exp(log_tie)
        normaliser = (share * np.log1p(tie / decisive_odds)).sum()
        imagined = (_IMAGINED_TIES + _IMAGINED_WINS) * np.log1p(tie)
        return float(normaliser + imagined - ties * log_tie)

    found = minimize_scalar(loss, bounds=_LOG_TIE_BOUNDS, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def _fit_strength(
    margin: NDArray[np.float64],
    share: NDArray[np.float64],
    data: Comparisons,
    start: AnswerModel,
) -> AnswerModel:
    graded = np.flatnonzero(data.strength)
    if not len(graded):
        return start
    towards = data.outcome[graded, None] * margin[graded]
    strength, share = data.strength[graded, None], share[graded]

    def loss(z: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return strength_loss(z, towards, strength, share)

    low, high = start.cuts
    first = np.array([np.log(start.slope), low, np.log(high - low)])
    first = np.clip(first, *np.transpose(_STRENGTH_BOUNDS))
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=_STRENGTH_BOUNDS)
    return _with_strength(start, found.x)


def strength_loss(
    z: NDArray[np.float64],
    towards: NDArray[np.float64],
    strength: NDArray[np.int8],
    share: NDArray[np.float64],
) -> tuple[float, NDArray[np.float64]]:
    """Negative log posterior of ``z = (log a, b_2, log(b_3 - b_2))`` and its gradient ``(3,)``."""
    model = _with_strength(AnswerModel(tie=0.0), z)
    gap = model.cuts[1] - model.cuts[0]
    now = strength_terms(towards, strength, model)
    slope = now.slope2 + now.slope3
    between = np.where(strength == 2, 1.0 / np.expm1(gap), 0.0)  # d log(1 - exp(-gap)) / d gap
    gradient = np.array(
        [
            (share * slope * model.slope * towards).sum(),
            -(share * slope).sum(),
            (share * (between - now.slope3) * gap).sum(),
        ]
    )
    standard = (z - _STRENGTH_MEAN) / _STRENGTH_SD
    value = 0.5 * float(standard @ standard) - float((share * now.value).sum())
    return value, standard / _STRENGTH_SD - gradient


def _with_strength(model: AnswerModel, z: NDArray[np.float64]) -> AnswerModel:
    low = float(z[1])
    cuts = (low, low + float(np.exp(z[2])))
    return replace(model, slope=float(np.exp(z[0])), cuts=cuts)
