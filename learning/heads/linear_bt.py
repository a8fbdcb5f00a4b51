"""Bayesian linear Bradley-Terry with ties and graded strength, by Laplace's method.

``P(left wins | somebody wins) = sigmoid((phi_left - phi_right) . theta)`` with a prior
``theta ~ N(0, I / lambda)``; Davidson's tie term and the strength term are described in
``_likelihood``. All of it is log-concave in ``theta``. There is no intercept, so swapping
sides changes nothing but the sign.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning._checks import matrix, within
from learning.data import Comparisons, Posterior
from learning.errors import ShapeError
from learning.heads._laplace import Fit, Problem, maximise
from learning.heads._likelihood import AnswerModel

PRIOR_MARGIN_VARIANCE = 4.0  # logits^2 of a typical pair before any answer: about e^2 to 1
_START_TIE = 0.1


@dataclass(frozen=True, slots=True)
class LinearBT:
    """The default head.

    Attributes:
        tie: Fix Davidson's ``nu`` instead of estimating it; ``0`` is plain Bradley-Terry and
            refuses ties.
    """

    name: ClassVar[str] = "linear_bt"
    tie: float | None = None

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Posterior | None = None,
    ) -> Posterior:
        """Return the Laplace posterior; the prior where there are no comparisons.

        Weights, ``nu``, strength slope and cuts are maximised in turn. The prior precision is
        the one that maximises the Laplace evidence under a wide log-normal around
        ``E|x|^2 / 4``, unless it is given. With fewer comparisons than dimensions the problem
        is solved in the span of the compared differences, which is exact.

        Args:
            features: One row a response, shape ``(m, d)``; about unit scale.
            comparisons: Judgements whose rows point into ``features``.
            prior_precision: Fix ``lambda`` (positive).
            start: An earlier posterior of the same width to start from.

        Raises:
            ShapeError: rows out of range, widths that differ, NaN features, or ties although
                ``tie`` is fixed at 0.
        """
        features = matrix(features, "features")
        self._check(features, comparisons, prior_precision, start)
        if not len(comparisons):
            return self._prior(features, prior_precision)
        rows = np.concatenate([comparisons.left, comparisons.right])
        left, right = np.split(features[rows].astype(np.float64), 2)
        X = left - right  # (n, d)
        if len(X) >= X.shape[1]:
            return self._solve(X, comparisons, prior_precision, start)
        return self._solve_in_span(X, comparisons, prior_precision, start)

    def _solve(
        self,
        X: NDArray[np.float64],
        data: Comparisons,
        prior_precision: float | None,
        start: Posterior | None,
    ) -> Posterior:
        centre = _typical_precision(np.square(X).sum(axis=1).mean())
        problem = Problem(
            X, data, prior_centre=centre, fixed_prior=prior_precision, fixed_tie=self.tie
        )
        return _posterior(maximise(problem, _first_guess(X.shape[1], centre, start)), len(data))

    def _solve_in_span(
        self,
        X: NDArray[np.float64],
        data: Comparisons,
        prior_precision: float | None,
        start: Posterior | None,
    ) -> Posterior:
        """Rotate so that ``theta`` has ``n`` coordinates in the span of ``X`` and no others.

        With ``X^T = Q R``, the posterior outside the span is the prior, and
        ``L = Q L_span Q^T + (I - Q Q^T) / sqrt(lambda)`` is a factor of the whole covariance.
        """
        Q, R = np.linalg.qr(X.T)  # (d, n), (n, n)
        centre = _typical_precision(np.square(X).sum(axis=1).mean())
        problem = Problem(
            R.T, data, prior_centre=centre, fixed_prior=prior_precision, fixed_tie=self.tie
        )
        guess = _first_guess(X.shape[1], centre, start)
        guess = Fit(Q.T @ guess.theta, guess.factor, guess.prior, guess.model, guess.evidence)
        fit = maximise(problem, guess)
        outside = 1.0 / np.sqrt(fit.prior)
        factor = Q @ (fit.factor - outside * np.eye(len(R))) @ Q.T
        factor[np.diag_indices_from(factor)] += outside
        return _posterior(Fit(Q @ fit.theta, factor, fit.prior, fit.model, fit.evidence), len(data))

    def _prior(
        self, features: NDArray[np.floating[Any]], prior_precision: float | None
    ) -> Posterior:
        dim = features.shape[1]
        spread = 2.0 * features.var(axis=0, dtype=np.float64).sum() if len(features) else 0.0
        precision = prior_precision or _typical_precision(spread)
        model = AnswerModel(tie=_START_TIE if self.tie is None else self.tie)
        factor = np.eye(dim) / np.sqrt(precision)
        return _posterior(Fit(np.zeros(dim), factor, precision, model, 0.0), 0)

    def _check(
        self,
        features: NDArray[np.floating[Any]],
        data: Comparisons,
        prior_precision: float | None,
        start: Posterior | None,
    ) -> None:
        within(data.left, "left", rows=len(features))
        within(data.right, "right", rows=len(features))
        if start is not None and start.dim != features.shape[1]:
            raise ShapeError(f"start has {start.dim} weights, features {features.shape[1]}")
        if prior_precision is not None and not 0 < prior_precision < np.inf:
            raise ShapeError(f"prior_precision must be positive, got {prior_precision}")
        if self.tie is not None and self.tie <= 0 and not data.decisive.all():
            raise ShapeError("there are ties, but tie is fixed at 0, where ties are impossible")


def update(posterior: Posterior, x: NDArray[np.float64], outcome: int) -> Posterior:
    """Take in one decisive answer without a refit, in ``O(d rank)``.

    One Newton step from the old mean: with ``u = Sigma x``, ``s2 = x . u``, ``p = sigmoid(x .
    theta)`` and ``w = p (1 - p)``, ``theta += u (y - p) / (1 + w s2)`` and ``Sigma -= w / (1 +
    w s2) u u^T``. Exact for the quadratic approximation; refit every 16 to 64 answers.

    Args:
        posterior: The belief before the answer.
        x: Features left minus right, shape ``(d,)``.
        outcome: ``+1`` if left won, ``-1`` if right won.

    Raises:
        ShapeError: ``x`` has another width, or the outcome is a tie.
    """
    if x.shape != posterior.theta.shape:
        raise ShapeError(f"x must be {posterior.theta.shape}, got {x.shape}")
    if outcome not in (1, -1):
        raise ShapeError(f"outcome must be 1 or -1, got {outcome}")
    z = posterior.factor.T @ x  # (rank,)
    u, s2 = posterior.factor @ z, float(z @ z)
    p = float(expit(x @ posterior.theta))
    inflation = 1.0 + p * (1 - p) * s2
    # I - c z z^T has the root I - shrink z z^T, so the factor is updated in place of Sigma.
    shrink = (1.0 - 1.0 / np.sqrt(inflation)) / s2 if s2 > 0 else 0.0
    return replace(
        posterior,
        theta=posterior.theta + u * ((outcome + 1) / 2 - p) / inflation,
        factor=posterior.factor - shrink * np.outer(u, z),
        n_comparisons=posterior.n_comparisons + 1,
    )


def _typical_precision(mean_square: float) -> float:
    return float(mean_square) / PRIOR_MARGIN_VARIANCE if mean_square > 0 else 1.0


def _first_guess(dim: int, centre: float, start: Posterior | None) -> Fit:
    if start is None:
        return Fit(np.zeros(dim), np.empty((0, 0)), centre, AnswerModel(tie=_START_TIE), 0.0)
    model = AnswerModel(max(start.tie, 1e-6), start.strength_slope, start.strength_cuts)
    return Fit(start.theta.copy(), start.factor, start.prior_precision, model, 0.0)


def _posterior(fit: Fit, n: int) -> Posterior:
    return Posterior(
        theta=fit.theta,
        factor=fit.factor,
        prior_precision=fit.prior,
        tie=fit.model.tie,
        strength_slope=fit.model.slope,
        strength_cuts=fit.model.cuts,
        log_evidence=fit.evidence,
        n_comparisons=n,
    )
