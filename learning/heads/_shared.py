"""What the linear heads share: checks, differences, the prior's centre, solving in a span."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning._checks import within
from learning.data import Belief, Comparisons
from learning.errors import ShapeError
from learning.heads._laplace import Array, Design, Guess, Hyper, Problem, maximise
from learning.heads._likelihood import AnswerModel

PRIOR_MARGIN_VARIANCE: Final = 4.0  # logits^2 of a typical pair before any answer: e^2 to 1
START_TIE: Final = 0.1


def check(
    features: NDArray[np.floating[Any]],
    data: Comparisons,
    *,
    tie: float | None,
    start: Belief | None,
    **precisions: float | None,
) -> None:
    """Refuse what no head can fit.

    Raises:
        ShapeError: rows out of range, a start of another width, a precision that is not
            positive, or ties although ``tie`` is fixed at 0.
    """
    within(data.left, "left", rows=len(features))
    within(data.right, "right", rows=len(features))
    if start is not None and start.width != features.shape[1]:
        raise ShapeError(f"start has {start.width} weights, features {features.shape[1]}")
    for name, value in precisions.items():
        if value is not None and not 0 < value < np.inf:
            raise ShapeError(f"{name} must be positive, got {value}")
    if tie is not None and tie <= 0 and not data.decisive.all():
        raise ShapeError("there are ties, but tie is fixed at 0, where ties are impossible")


def differences(features: NDArray[np.floating[Any]], data: Comparisons) -> Array:
    """Return features left minus right of every comparison, shape ``(n, d)``."""
    return features[data.left].astype(np.float64) - features[data.right]


def typical_precision(mean_square: float) -> float:
    """Return the precision under which a difference of that squared norm has the prior variance."""
    return float(mean_square) / PRIOR_MARGIN_VARIANCE if mean_square > 0 else 1.0


def prior_centre(features: NDArray[np.floating[Any]]) -> float:
    """Return the typical precision of the differences of random responses."""
    spread = 2.0 * features.var(axis=0, dtype=np.float64).sum() if len(features) else 0.0
    return typical_precision(spread)


def first_model(start: Belief | None, tie: float | None) -> AnswerModel:
    """Return the answer model to begin with."""
    if start is not None:
        return AnswerModel(max(start.tie, 1e-6), start.strength_slope, start.strength_cuts)
    return AnswerModel(tie=START_TIE if tie is None else tie)


def answers(model: AnswerModel) -> dict[str, Any]:
    """Return the answer model as arguments of a belief."""
    return {"tie": model.tie, "strength_slope": model.slope, "strength_cuts": model.cuts}


def solve(
    design: Callable[[Array], Design],
    X: Array,
    data: Comparisons,
    guess: Guess,
    *,
    hyper: Hyper,
    tie: float | None,
) -> dict[str, Any]:
    """Maximise and return the arguments that any kind of posterior has.

    With fewer comparisons than features the problem is solved in the span of the compared
    differences, which is exact: outside of it the posterior is the prior.

    Args:
        design: Makes the design from differences in some basis of the features.
        X: Differences, shape ``(n, d)``.
        data: The comparisons, ``n``.
        guess: Where to begin; the first ``d`` of its weights are those of the features.
        hyper: About the precisions; the first is that of the features.
        tie: Davidson's ``nu`` where it is fixed.
    """
    d = X.shape[1]
    if len(X) >= d:
        fit = maximise(Problem(design(X), data, hyper, tie), guess)
        theta, factor = fit.theta, fit.covariance.factor()
    else:
        Q, R = np.linalg.qr(X.T)  # (d, n), (n, n)
        inside = np.concatenate([Q.T @ guess.theta[:d], guess.theta[d:]])
        fit = maximise(Problem(design(R.T), data, hyper, tie), replace(guess, theta=inside))
        theta = np.concatenate([Q @ fit.theta[: len(X)], fit.theta[len(X) :]])
        factor = widen(Q, fit.covariance.factor(), outside=fit.prior[0] ** -0.5)
    found = {"theta": theta, "factor": factor, "log_evidence": fit.evidence}
    return {**found, "n_comparisons": len(data), "prior": fit.prior, **answers(fit.model)}


def widen(Q: Array, factor: Array, *, outside: float) -> Array:
    """Return the factor of all weights, given that in a span of the features.

    With ``L`` the part of the features and ``C`` that of other weights, ``[Q L Q^T + outside
    (I - Q Q^T); C Q^T]`` has the right covariance.

    Args:
        Q: Orthonormal basis of the span, shape ``(d, n)``.
        factor: Of the ``n`` coordinates and other weights; its upper right part is 0.
        outside: Prior standard deviation of a feature weight.
    """
    (d, n), others = Q.shape, len(factor) - Q.shape[1]
    found = np.zeros((d + others, d + others))
    found[:d, :d] = Q @ (factor[:n, :n] - outside * np.eye(n)) @ Q.T
    found[np.arange(d), np.arange(d)] += outside
    found[d:, :d] = factor[n:, :n] @ Q.T
    found[d:, d:] = factor[n:, n:]
    return found
