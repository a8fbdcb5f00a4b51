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

from learning._checks import matrix
from learning.data import Belief, Comparisons, Posterior
from learning.errors import ShapeError
from learning.heads import _shared as shared
from learning.heads._dense import Dense
from learning.heads._laplace import Guess, Hyper


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
        start: Belief | None = None,
        recurring: NDArray[np.int64] | None = None,
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
            start: An earlier belief of the same width; one of another kind is not used.
            recurring: Not used: no response has an effect of its own.

        Raises:
            ShapeError: rows out of range, widths that differ, NaN features, or ties although
                ``tie`` is fixed at 0.
        """
        features = matrix(features, "features")
        shared.check(
            features, comparisons, tie=self.tie, start=start, prior_precision=prior_precision
        )
        if not len(comparisons):
            return self._prior(features, prior_precision)
        X = shared.differences(features, comparisons)
        centre = shared.typical_precision(np.square(X).sum(axis=1).mean())
        earlier = start if isinstance(start, Posterior) else None
        model = shared.first_model(earlier, self.tie)
        guess = Guess(np.zeros(X.shape[1]), (centre,), model)
        if earlier is not None:
            guess = Guess(earlier.theta[: X.shape[1]], (earlier.prior_precision,), model)
        hyper = Hyper((centre,), (prior_precision,))
        found = shared.solve(Dense, X, comparisons, guess, hyper=hyper, tie=self.tie)
        (precision,) = found.pop("prior")
        return Posterior(**found, prior_precision=precision)

    def _prior(
        self, features: NDArray[np.floating[Any]], prior_precision: float | None
    ) -> Posterior:
        dim = features.shape[1]
        precision = prior_precision or shared.prior_centre(features)
        model = shared.answers(shared.first_model(None, self.tie))
        factor = np.eye(dim) / np.sqrt(precision)
        return Posterior(np.zeros(dim), factor, precision, **model)


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
