"""Logistic regression under a Gaussian prior, by Newton's method, with its evidence.

scikit-learn's has one penalty for all columns, none on the intercept, and refuses one class.
Here every weight, the intercept included, has a prior mean and precision, so that no rows and
one class are ordinary cases, and fits under different priors can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.special import expit, log_expit

Doubles = NDArray[np.float64]

_STEPS: Final = 100
_ENOUGH: Final = 1e-9  # Newton decrement: twice the nats still to gain


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Weights ``N(mean, root root^T)`` and the Laplace log evidence in nats.

    Attributes:
        mean: Shape ``(c,)``.
        root: Shape ``(c, c)``.
        evidence: Comparable between priors for the same data.
    """

    mean: Doubles
    root: Doubles
    evidence: float


def fit(x: Doubles, y: Doubles, *, mean: Doubles, precision: Doubles) -> Fit:
    """Return the most probable weights and the Gaussian around them.

    Args:
        x: Rows, shape ``(n, c)``; ``n`` may be 0.
        y: Targets in [0, 1], shape ``(n,)``; a fraction counts as that share of ones.
        mean: Prior means, shape ``(c,)``.
        precision: Prior precisions, positive, shape ``(c,)``.
    """
    w = mean.copy()
    for _ in range(_STEPS):
        slope, hessian = _derivatives(x, y, w, mean, precision)
        step = cho_solve(cho_factor(hessian), slope)
        w = _damped(x, y, w, step, mean, precision)
        if slope @ step < _ENOUGH:
            break
    _, hessian = _derivatives(x, y, w, mean, precision)
    lower = cholesky(hessian, lower=True)
    root = solve_triangular(lower, np.eye(len(w)), lower=True).T
    log_det = 2.0 * float(np.log(np.diag(lower)).sum())
    evidence = _log_posterior(x, y, w, mean, precision)
    return Fit(w, root, evidence + 0.5 * (float(np.log(precision).sum()) - log_det))


def predict(found: Fit, x: Doubles) -> Doubles:
    """Return probabilities with the weights integrated out (MacKay 1992, eq. 20); ``(n,)``."""
    spread = np.square(x @ found.root).sum(axis=1)
    return np.asarray(expit(x @ found.mean / np.sqrt(1.0 + np.pi * spread / 8.0)))


def _derivatives(
    x: Doubles, y: Doubles, w: Doubles, mean: Doubles, precision: Doubles
) -> tuple[Doubles, Doubles]:
    p = expit(x @ w)
    hessian = (x.T * (p * (1.0 - p))) @ x + np.diag(precision)
    return x.T @ (y - p) - precision * (w - mean), hessian


def _damped(
    x: Doubles, y: Doubles, w: Doubles, step: Doubles, mean: Doubles, precision: Doubles
) -> Doubles:
    """Halve the step until the log posterior does not fall."""
    here = _log_posterior(x, y, w, mean, precision)
    for _ in range(40):
        if _log_posterior(x, y, w + step, mean, precision) >= here - 1e-12 * (1.0 + abs(here)):
            return np.asarray(w + step)
        step = step / 2
    return w


def _log_posterior(x: Doubles, y: Doubles, w: Doubles, mean: Doubles, precision: Doubles) -> float:
    margin = x @ w
    fit_term = y @ log_expit(margin) + (1.0 - y) @ log_expit(-margin)
    return float(fit_term - 0.5 * precision @ np.square(w - mean))
