"""The belief about rewards after a fit: a Gaussian over the head's weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from learning import _checks
from learning.data._pool import BLOCK, Pool
from learning.errors import ShapeError

_SCALARS = ("prior_precision", "tie", "strength_slope", "log_evidence", "n_comparisons")


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Weights ``theta ~ N(mean, L L^T)`` of a linear reward, with the answer model around it.

    The reward of a response is ``phi . theta`` in logits; only differences mean anything.

    Attributes:
        theta: Posterior mean, shape ``(d,)``.
        factor: ``L`` with covariance ``L L^T``, shape ``(d, rank)``. Any such factor will do;
            an ensemble stores its scaled deviations.
        prior_precision: The precision ``lambda`` that the fit used, positive.
        tie: Davidson's ``nu``, at least 0; at equal rewards a tie has probability
            ``nu / (1 + nu)``.
        strength_slope: ``a`` in ``P(strength >= k | winner) = sigmoid(a * margin - b_k)``.
        strength_cuts: ``(b_2, b_3)``, ascending.
        log_evidence: Laplace log evidence in nats, comparable between fits of the same data.
        n_comparisons: How many comparisons it has seen.
    """

    theta: NDArray[np.float64]
    factor: NDArray[np.float64]
    prior_precision: float
    tie: float = 0.0
    strength_slope: float = 1.0
    strength_cuts: tuple[float, float] = (0.0, 1.0)
    log_evidence: float = 0.0
    n_comparisons: int = 0

    def __post_init__(self) -> None:
        theta = _checks.matrix(np.atleast_2d(np.asarray(self.theta)), "theta")
        if len(theta) != 1:
            raise ShapeError(f"theta must have shape (d,), got {np.shape(self.theta)}")
        factor = _checks.matrix(self.factor, "factor")
        if len(factor) != theta.shape[1]:
            raise ShapeError(f"factor must be ({theta.shape[1]}, rank), got {factor.shape}")
        if not self.prior_precision > 0 or not self.tie >= 0:
            raise ShapeError("prior_precision must be positive and tie at least 0")
        object.__setattr__(self, "theta", _checks.frozen(theta[0].astype(np.float64)))
        object.__setattr__(self, "factor", _checks.frozen(factor.astype(np.float64)))

    @property
    def dim(self) -> int:
        """Number of weights."""
        return len(self.theta)

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the weights, shape ``(d, d)``. Formed anew at each call."""
        return self.factor @ self.factor.T

    def reward(self, features: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return mean rewards in logits for features ``(m, d)``; shape ``(m,)``."""
        self._check_width(features)
        return np.asarray(features @ self.theta, dtype=np.float64)

    def margin(
        self, source: Pool | NDArray[np.floating[Any]], pairs: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance of reward left minus reward right, in logits.

        The variance is that of the *difference*, ``x^T L L^T x``. Responses to one prompt are
        strongly correlated, so adding up their two variances would be far too large.

        Args:
            source: A pool, or response features of shape ``(m, d)``.
            pairs: Rows of left and right response, shape ``(n, 2)``. For a pool the default
                is all its pairs.

        Returns:
            ``(mu, s2)``, each of shape ``(n,)``; ``s2`` is at least 0.

        Raises:
            ShapeError: features of another width, or pairs missing or out of range.
        """
        features = source.features if isinstance(source, Pool) else source
        self._check_width(features)
        if pairs is None:
            if not isinstance(source, Pool):
                raise ShapeError("pairs are needed unless a pool is given")
            rows = source.pairs
        else:
            rows = _checks.pairs(pairs, "pairs", rows=len(features))
        mu, s2 = np.empty(len(rows)), np.empty(len(rows))
        for part, used, left, right in _blocks(rows):
            phi = features[used].astype(np.float64)
            reward, spread = phi @ self.theta, phi @ self.factor  # (used,), (used, rank)
            mu[part] = reward[left] - reward[right]
            s2[part] = np.square(spread[left] - spread[right]).sum(axis=1)
        return mu, s2

    def preference(self, mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(left is better | one of them is), with the weights integrated out.

        MacKay (1992), "The evidence framework applied to classification networks", eq. 20:
        ``sigmoid(mu / sqrt(1 + pi s2 / 8))``; within 0.007 of the exact integral.
        """
        return np.asarray(expit(moderate(mu, s2)))

    def probabilities(
        self, mu: NDArray[np.float64], s2: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return P(left wins), P(tie), P(right wins); three arrays of shape ``(n,)``.

        Davidson's (1970) tie model at the moderated margin, so that win against loss is
        exactly :meth:`preference`.
        """
        half = moderate(mu, s2) / 2
        small = np.exp(-np.abs(half))
        total = 1.0 + small**2 + 2.0 * self.tie * small
        better, worse = 1.0 / total, small**2 / total
        win = np.where(half >= 0, better, worse)
        loss = np.where(half >= 0, worse, better)
        return win, 2.0 * self.tie * small / total, loss

    def draw(self, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``k`` weight vectors, shape ``(k, d)``."""
        noise = rng.standard_normal((k, self.factor.shape[1]))
        return self.theta + noise @ self.factor.T

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return everything as named arrays, for safetensors or npz (never pickle)."""
        arrays = {name: np.array([getattr(self, name)], dtype=np.float64) for name in _SCALARS}
        cuts = np.array(self.strength_cuts)
        return {"theta": self.theta, "factor": self.factor, "strength_cuts": cuts, **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Posterior:
        """Undo :meth:`to_arrays`.

        Raises:
            ShapeError: an array is missing or has the wrong shape.
        """
        wanted = {"theta", "factor", "strength_cuts", *_SCALARS}
        if absent := wanted - set(arrays):
            raise ShapeError(f"a stored posterior lacks {', '.join(sorted(absent))}")
        scalars: dict[str, Any] = {name: float(np.ravel(arrays[name])[0]) for name in _SCALARS}
        scalars["n_comparisons"] = int(scalars["n_comparisons"])
        low, high = (float(cut) for cut in arrays["strength_cuts"])
        return cls(
            theta=arrays["theta"], factor=arrays["factor"], strength_cuts=(low, high), **scalars
        )

    def _check_width(self, features: NDArray[np.floating[Any]]) -> None:
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ShapeError(f"features must be (m, {self.dim}), got {features.shape}")


def moderate(mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink a margin by its variance: ``mu / sqrt(1 + pi s2 / 8)``; shape as given."""
    return np.asarray(mu / np.sqrt(1.0 + np.pi * s2 / 8.0))


def _blocks(
    rows: NDArray[np.int64],
) -> Iterator[tuple[slice, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yield blocks of pairs with the distinct responses they use.

    Projecting each response once and subtracting afterwards is the same as projecting the
    differences, and cheaper where several pairs share a response (all pairs of a prompt).
    """
    for start in range(0, len(rows), BLOCK):
        part = slice(start, min(start + BLOCK, len(rows)))
        used, place = np.unique(rows[part], return_inverse=True)
        left, right = place.reshape(-1, 2).T
        yield part, used, left, right
