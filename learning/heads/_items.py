"""Margins ``x . theta + b_left - b_right``: features and effects of responses, two priors.

The effects are eliminated block by block, which leaves a system as large as the features
have dimensions. With ``A = X^T W X``, ``B = E^T W X``, ``D = E^T W E + lambda_b I`` and ``E``
the signed incidence of effects in comparisons, ``S = A + lambda I - B^T D^-1 B`` and the
covariance is ``F F^T`` with ``F = [[R, 0], [-T, W^T]]``, ``R R^T = S^-1``, ``T = D^-1 B R``
and ``W^T W = D^-1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from learning.heads._blocks import Blocks
from learning.heads._dense import root_of_inverse, weighted_gram
from learning.heads._laplace import Array, Hyper, Prior

_ROWS_AT_A_TIME = 4_096
_LARGEST_STEP = 2.0  # in log precision
_PRIOR_TOLERANCE = 1e-3


class WithItems:
    """A :class:`~learning.heads._laplace.Design` with an effect for some responses.

    Args:
        X: Feature differences, shape ``(n, d)``.
        left: Effect on the left of each comparison, -1 for none, shape ``(n,)``.
        right: Effect on the right, likewise.
        k: Number of effects.
    """

    def __init__(self, X: Array, left: NDArray[np.int64], right: NDArray[np.int64], k: int) -> None:
        self.X, self.left, self.right = X, left, right
        self.sizes = (X.shape[1], k)
        self.blocks = Blocks(left, right, k)
        rows = np.arange(len(X))
        ends = [(rows[item >= 0], item[item >= 0], sign) for item, sign in ((left, 1), (right, -1))]
        place = np.concatenate([end[0] for end in ends]), np.concatenate([end[1] for end in ends])
        sign = np.concatenate([np.full(len(end[0]), float(end[2])) for end in ends])
        self.incidence = coo_array((sign, place), shape=(len(X), k)).tocsr()

    def margins(self, theta: Array) -> Array:
        features, effects = np.split(theta, [self.sizes[0]])
        return np.asarray(self.X @ features + self.incidence @ effects)

    def gradient(self, slope: Array) -> Array:
        return np.concatenate([self.X.T @ slope, self.incidence.T @ slope])

    def curvature(self, weight: Array) -> ItemCurvature:
        return ItemCurvature(self, weight)


class ItemCurvature:
    """The blocks ``A``, ``B`` and ``E^T W E`` for the weights ``(n,)`` of the comparisons."""

    def __init__(self, design: WithItems, weight: Array) -> None:
        self.design, self.weight = design, weight
        self.A = weighted_gram(design.X, weight)
        self.B = np.zeros((design.sizes[1], design.sizes[0]))
        for start in range(0, len(weight), _ROWS_AT_A_TIME):
            part = slice(start, start + _ROWS_AT_A_TIME)
            self.B += design.incidence[part].T @ (design.X[part] * weight[part, None])
        self.laplacian = design.blocks.laplacian(weight)
        self._last: tuple[Prior, ItemCovariance] | None = None

    def invert(self, prior: Prior) -> ItemCovariance:
        if self._last is None or self._last[0] != prior:
            self._last = prior, self._invert(prior)
        return self._last[1]

    def _invert(self, prior: Prior) -> ItemCovariance:
        blocks, (ridge, item_ridge) = self.design.blocks, prior
        whitener = blocks.whitener(self.laplacian, item_ridge)
        whitened = blocks.times(whitener, self.B)  # W B, so that B^T D^-1 B is its square
        root = root_of_inverse(self.A - whitened.T @ whitened, ridge)
        tail = blocks.times(whitener, whitened @ root, transposed=True)
        return ItemCovariance(self.design, root, tail, whitener)

    def better_prior(self, gradient: Array, theta: Array, prior: Prior, hyper: Hyper) -> Prior:
        """Climb the evidence of the quadratic approximation in both log precisions.

        One step of Newton's method with the curvature made negative definite, halved until it
        climbs; sweeps go on from there. Up to a constant the evidence is ``1/2 [log det Sigma +
        sum_g n_g log lambda_g + p . Sigma p]`` with ``p`` the gradient at zero, plus the
        hyperprior.
        """
        pull = gradient + self.design.gradient(self.weight * self.design.margins(theta))
        free = np.array([value is None for value in hyper.fixed])
        here = _Climb(self.invert(prior), pull, prior, hyper)
        step = here.step(free)
        while np.abs(step).max() > _PRIOR_TOLERANCE:
            moved = tuple(float(value) for value in np.exp(np.log(prior) + step))
            if _Climb(self.invert(moved), pull, moved, hyper).evidence >= here.evidence:
                return moved
            step = step / 2
        return prior


@dataclass(frozen=True)
class ItemCovariance:
    """The covariance ``F F^T`` by the parts of ``F``."""

    design: WithItems
    root: Array  # R, upper triangular
    tail: Array  # T
    whitener: Array  # W, flat

    @property
    def log_det(self) -> float:
        """Log determinant of the covariance."""
        diagonals = np.diag(self.root), self.design.blocks.diagonal(self.whitener)
        return float(2.0 * sum(np.log(diagonal).sum() for diagonal in diagonals))

    def times(self, v: Array) -> Array:
        blocks = self.design.blocks
        features, effects = np.split(v, [len(self.root)])
        u = self.root.T @ features - self.tail.T @ effects
        w = blocks.times(self.whitener, effects[:, None])
        back = blocks.times(self.whitener, w, transposed=True)[:, 0]
        return np.concatenate([self.root @ u, back - self.tail @ u])

    def margin_variances(self) -> Array:
        design = self.design
        shared = design.X @ self.root
        shared -= design.incidence @ self.tail
        own = design.blocks.differences(self.inverse)
        return np.asarray(np.square(shared).sum(axis=1) + own)

    def factor(self) -> Array:
        d, k = self.design.sizes
        found = np.zeros((d + k, d + k))
        found[:d, :d], found[d:, :d] = self.root, -self.tail
        found[d:, d:] = self.design.blocks.dense(self.whitener).T
        return found

    @cached_property
    def inverse(self) -> Array:
        """``D^-1``, flat."""
        return self.design.blocks.gram(self.whitener)

    def traces(self) -> Array:
        """Return the traces of both diagonal blocks of the covariance, ``(2,)``."""
        effects = np.square(self.whitener).sum() + np.square(self.tail).sum()
        return np.array([np.square(self.root).sum(), effects])

    def squares(self) -> Array:
        """Return the squared Frobenius norm of every block of the covariance, ``(2, 2)``."""
        inner, outer = self.root.T @ self.root, self.tail.T @ self.tail
        mixed = self.design.blocks.times(self.whitener, self.tail)
        cross = float((inner * outer).sum())
        own = np.square(self.inverse).sum() + 2 * np.square(mixed).sum() + np.square(outer).sum()
        return np.array([[np.square(inner).sum(), cross], [cross, own]])


class _Climb:
    """The evidence of a quadratic approximation at one prior, with derivatives on demand."""

    def __init__(self, covariance: ItemCovariance, pull: Array, prior: Prior, hyper: Hyper) -> None:
        self.covariance, self.prior, self.hyper = covariance, prior, hyper
        self.sizes = np.array(covariance.design.sizes)
        self.theta = covariance.times(pull)
        log_prior = np.log(prior)
        self.standard = (log_prior - np.log(hyper.centres)) / hyper.log_sd
        evidence = covariance.log_det + self.sizes @ log_prior + pull @ self.theta
        self.evidence = float(0.5 * (evidence - self.standard @ self.standard))

    def step(self, free: NDArray[np.bool_]) -> Array:
        """Return a Newton step in the log precisions, at most ``_LARGEST_STEP`` long."""
        gradient, hessian = self._derivatives()
        values, basis = np.linalg.eigh(hessian[np.ix_(free, free)])
        ascent = basis @ ((basis.T @ gradient[free]) / np.maximum(np.abs(values), 1e-6))
        step = np.zeros(len(free))
        step[free] = ascent * min(1.0, _LARGEST_STEP / max(float(np.abs(ascent).max()), 1e-12))
        return step

    def _derivatives(self) -> tuple[Array, Array]:
        precision = np.array(self.prior)
        parts = np.split(self.theta, [self.sizes[0]])
        square = np.array([part @ part for part in parts])
        known = precision * (self.covariance.traces() + square)  # of n_g, the undetermined part
        gradient = 0.5 * (self.sizes - known) - self.standard / self.hyper.log_sd
        zero = [np.zeros_like(part) for part in parts]
        only = np.stack([np.concatenate([parts[0], zero[1]]), np.concatenate([zero[0], parts[1]])])
        mixed = only @ np.stack([self.covariance.times(part) for part in only], axis=1)
        outer = np.outer(precision, precision)
        hessian = outer * (0.5 * self.covariance.squares() + mixed)
        hessian[np.diag_indices(2)] -= 0.5 * known + 1.0 / self.hyper.log_sd**2
        return gradient, hessian
