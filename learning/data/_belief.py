"""What every fitted head offers: a Gaussian belief over reward differences.

An acquisition function never looks at weights. It asks for margins and for *whitened* rows:
``Z`` with one row a pair such that ``cov(margin) = Z Z^T``. A linear head, one with item
effects and an ensemble differ only in how they make these rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from learning import _checks
from learning.data._pool import BLOCK, Pool
from learning.errors import ShapeError

Floats = NDArray[np.floating[Any]]

_CACHED: Final = 3 * 2**19  # bytes of a block: it and its whitened rows stay in a core's cache
_WIDE: Final = 1_024  # columns from which on the factor, not the block, is what memory has to bring


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Belief(ABC):
    """Rewards in logits with their uncertainty, and the answer model around them.

    Attributes:
        tie: Davidson's ``nu``, at least 0; at equal rewards a tie has probability
            ``nu / (1 + nu)``.
        strength_slope: ``a`` in ``P(strength >= k | winner) = sigmoid(a * margin - b_k)``.
        strength_cuts: ``(b_2, b_3)``, ascending.
        log_evidence: Laplace log evidence in nats, comparable between fits of the same data.
        n_comparisons: How many comparisons it has seen.
    """

    tie: float = 0.0
    strength_slope: float = 1.0
    strength_cuts: tuple[float, float] = (0.0, 1.0)
    log_evidence: float = 0.0
    n_comparisons: int = 0

    @property
    @abstractmethod
    def width(self) -> int:
        """Number of features of a response it was fitted on."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """Number of columns of a whitened row."""

    @abstractmethod
    def respond(
        self, features: Floats, rows: NDArray[np.int64], *, dtype: Any = None
    ) -> tuple[Floats, Floats]:
        """Return mean reward ``(k,)`` and whitened coordinates ``(k, rank)`` of responses.

        Rewards of the responses ``rows`` of ``features`` have covariance ``S S^T``. Computed
        in ``dtype``; by default in that of ``features``, half precision in single.
        """

    @abstractmethod
    def condition(self, z: Floats, weight: NDArray[np.float64]) -> Self:
        """Return the belief after answers of unknown outcome: same mean, less variance.

        With ``Z`` the whitened rows ``(p, rank)`` of the pairs asked and ``W`` their Fisher
        weights ``(p,)``, the covariance of whitened coordinates becomes
        ``(I + Z^T W Z)^-1``.
        """

    @abstractmethod
    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return everything as named arrays, for safetensors or npz (never pickle)."""

    def whiten(
        self, features: Floats, pairs: NDArray[np.int64], *, dtype: Any = None
    ) -> tuple[Floats, Floats]:
        """Return mean margin ``(n,)`` and whitened rows ``(n, rank)`` of pairs ``(n, 2)``.

        Margins of these pairs have covariance ``Z Z^T``. Meant for a block of pairs at a
        time: :meth:`blocks` makes them. ``dtype`` as in :meth:`respond`.
        """
        used, place = np.unique(pairs, return_inverse=True)
        left, right = place.reshape(-1, 2).T
        reward, spread = self.respond(features, used, dtype=dtype)
        return reward[left] - reward[right], spread[left] - spread[right]

    def blocks(self, n: int) -> Iterator[slice]:
        """Yield slices that cover ``range(n)``, of a size at which whitening is fast.

        Small enough for a block to stay in the cache, and then its memory is used again and
        again; from a thousand columns on at least as many rows as columns, because each block
        reads the whole factor.
        """
        columns = max(self.width, self.rank)
        return blocks(n, min(columns, BLOCK) if columns > _WIDE else rows_in_cache(columns))

    def margin(
        self, source: Pool | Floats, pairs: ArrayLike | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return mean and variance of reward left minus reward right, in logits.

        The variance is that of the *difference*. Responses to one prompt are strongly
        correlated, so adding up their two variances would be far too large.

        Args:
            source: A pool, or response features of shape ``(m, width)``.
            pairs: Rows of left and right response, shape ``(n, 2)``. For a pool the default
                is all its pairs.

        Returns:
            ``(mu, s2)``, each of shape ``(n,)``; ``s2`` is at least 0.

        Raises:
            ShapeError: features of another width, or pairs missing or out of range.
        """
        features = source.features if isinstance(source, Pool) else source
        self.check_width(features)
        if pairs is None:
            if not isinstance(source, Pool):
                raise ShapeError("pairs are needed unless a pool is given")
            rows = source.pairs
        else:
            rows = _checks.pairs(pairs, "pairs", rows=len(features))
        mu, s2 = np.empty(len(rows)), np.empty(len(rows))
        for part in self.blocks(len(rows)):
            mu[part], z = self.whiten(features, rows[part])
            s2[part] = row_squares(z)
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

    def draw_rewards(
        self, features: Floats, rows: NDArray[np.int64], k: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Draw ``k`` joint rewards of the responses ``rows``; shape ``(rows, k)``."""
        noise = rng.standard_normal((self.rank, k))
        drawn = np.empty((len(rows), k))
        for part in self.blocks(len(rows)):
            reward, spread = self.respond(features, rows[part])
            drawn[part] = reward[:, None] + spread @ noise
        return drawn

    def check_width(self, features: Floats) -> None:
        """Refuse features of another width than the belief was fitted on."""
        if features.ndim != 2 or features.shape[1] != self.width:
            raise ShapeError(f"features must be (m, {self.width}), got {features.shape}")


def moderate(mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink a margin by its variance: ``mu / sqrt(1 + pi s2 / 8)``; shape as given."""
    return np.asarray(mu / np.sqrt(1.0 + np.pi * s2 / 8.0))


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Yield slices that cover ``range(n)`` in order."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def rows_in_cache(columns: int) -> int:
    """Return how many rows of so many single precision numbers a core's cache holds."""
    return min(max(_CACHED // (4 * max(columns, 1)), 128), BLOCK)


def row_squares(z: Floats) -> NDArray[np.float64]:
    """Return the squared norm of each row, ``(n,)``, within 1e-6 of it in single precision."""
    return np.asarray(np.vecdot(z, z), dtype=np.float64)


def working_dtype(features: Floats, dtype: Any = None) -> Any:
    """Return the dtype to compute in: single for half precision, otherwise the features' own."""
    if dtype is not None:
        return dtype
    return np.float64 if features.dtype == np.float64 else np.float32


def shrink(z: Floats, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``T`` with ``T T^T = (I + Z^T W Z)^-1``, shape ``(rank, rank)``.

    Args:
        z: Whitened rows of the pairs conditioned on, shape ``(p, rank)``.
        weight: Their Fisher weights, shape ``(p,)``.
    """
    scaled = z.astype(np.float64) * np.sqrt(weight)[:, None]
    _, size, basis = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(np.eye(z.shape[1]) + (basis.T * (1.0 / np.sqrt(1.0 + size**2) - 1.0)) @ basis)
