"""Margins that are linear in the features alone, with one prior precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize_scalar

from learning.heads._laplace import Array, Hyper, Prior

_ROWS_AT_A_TIME = 1_024


class Dense:
    """A :class:`~learning.heads._laplace.Design` of differences ``X`` ``(n, d)``."""

    def __init__(self, X: Array) -> None:
        self.X = X
        self.sizes = (X.shape[1],)

    def margins(self, theta: Array) -> Array:
        return np.asarray(self.X @ theta)

    def gradient(self, slope: Array) -> Array:
        return np.asarray(self.X.T @ slope)

    def curvature(self, weight: Array) -> DenseCurvature:
        return DenseCurvature(self.X, weighted_gram(self.X, weight))


class DenseCurvature:
    """``X^T W X``, diagonalised only when a prior is to be chosen."""

    def __init__(self, X: Array, matrix: Array) -> None:
        self.X, self.matrix = X, matrix
        self._diagonal: tuple[Array, Array] | None = None

    def better_prior(self, gradient: Array, theta: Array, prior: Prior, hyper: Hyper) -> Prior:
        """Maximise the evidence of the quadratic approximation over ``lambda``.

        In the eigenbasis it is ``1/2 sum_i [pull_i^2 / (v_i + lambda) + log lambda - log(v_i +
        lambda)]`` up to a constant, plus the log-normal hyperprior.
        """
        values, basis = eigh(self.matrix, overwrite_a=True, driver="evd")
        values = np.maximum(values, 0.0)
        self._diagonal = values, basis
        pull = basis.T @ gradient + values * (basis.T @ theta)
        centre = float(np.log(hyper.centres[0]))

        def loss(log_prior: float) -> float:
            total = values + np.exp(log_prior)
            evidence = 0.5 * (pull**2 / total + log_prior - np.log(total)).sum()
            return float(0.5 * ((log_prior - centre) / hyper.log_sd) ** 2 - evidence)

        bounds = (centre - hyper.log_range, centre + hyper.log_range)
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
        return (float(np.exp(found.x)),)

    def invert(self, prior: Prior) -> DenseCovariance:
        if self._diagonal is None:
            root = root_of_inverse(self.matrix, prior[0])
            return DenseCovariance(self.X, root, 2.0 * float(np.log(np.diag(root)).sum()))
        values, basis = self._diagonal
        total = values + prior[0]
        return DenseCovariance(self.X, basis / np.sqrt(total), -float(np.log(total).sum()))


@dataclass(frozen=True, slots=True)
class DenseCovariance:
    """A covariance by its root, upper triangular unless a prior was chosen just before."""

    X: Array
    root: Array
    log_det: float

    def times(self, v: Array) -> Array:
        return np.asarray(self.root @ (self.root.T @ v))

    def margin_variances(self) -> Array:
        return np.asarray(np.square(self.X @ self.root).sum(axis=1))

    def factor(self) -> Array:
        return self.root


def weighted_gram(X: Array, weight: Array) -> Array:
    """Return ``X^T diag(weight) X``, ``(d, d)``, for weights of at least 0."""
    root = np.sqrt(weight)
    gram = np.zeros((X.shape[1], X.shape[1]))
    for start in range(0, len(X), _ROWS_AT_A_TIME):  # stays in cache, no second copy of X
        part = slice(start, start + _ROWS_AT_A_TIME)
        scaled = X[part] * root[part, None]
        gram += scaled.T @ scaled
    return gram


def root_of_inverse(matrix: Array, ridge: float) -> Array:
    """Return upper triangular ``L`` with ``L L^T = (matrix + ridge I)^-1``; overwrites it."""
    matrix[np.diag_indices_from(matrix)] += ridge
    lower = cholesky(matrix, lower=True, overwrite_a=True)
    return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True).T)
