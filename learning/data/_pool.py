"""Candidate pairs that could be asked about, kept implicit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import _checks

BLOCK = 8_192  # pairs at a time: 25 MB of float64 differences at 384 dimensions


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Candidate pairs as row numbers into one feature matrix.

    Differences of features are formed block by block and never for the whole pool.

    Attributes:
        features: One row a response, shape ``(m, d)``, float32 or float64, finite.
        pairs: Left and right row of each candidate pair, shape ``(N, 2)``, int64.
        prompt: Number of the prompt each pair belongs to, shape ``(N,)``, int64.
        eligible: Whether a pair may be asked now, shape ``(N,)``, bool. Pairs that are open,
            answered or excluded are ``False``.

    Raises:
        ShapeError: on construction, when shapes disagree, a row number is out of range or a
            feature is NaN or infinite.
    """

    features: NDArray[np.floating[Any]]
    pairs: NDArray[np.int64]
    prompt: NDArray[np.int64]
    eligible: NDArray[np.bool_]

    def __post_init__(self) -> None:
        features = _checks.matrix(self.features, "features")
        pairs = _checks.pairs(self.pairs, "pairs", rows=len(features))
        n = len(pairs)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "pairs", pairs)
        object.__setattr__(
            self, "prompt", _checks.vector(self.prompt, "prompt", np.int64, length=n)
        )
        eligible = _checks.vector(self.eligible, "eligible", np.bool_, length=n)
        object.__setattr__(self, "eligible", eligible)

    @classmethod
    def of(
        cls,
        features: NDArray[np.floating[Any]],
        pairs: ArrayLike,
        *,
        prompt: ArrayLike | None = None,
        eligible: ArrayLike | None = None,
    ) -> Pool:
        """Build a pool; by default every pair has its own prompt and may be asked."""
        listed = np.asarray(pairs)
        n = len(listed)
        return cls(
            features=features,
            pairs=listed,
            prompt=np.arange(n) if prompt is None else np.asarray(prompt),
            eligible=np.ones(n, dtype=np.bool_) if eligible is None else np.asarray(eligible),
        )

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def dim(self) -> int:
        """Number of features of a response."""
        return int(self.features.shape[1])

    @property
    def candidates(self) -> NDArray[np.int64]:
        """Indices of the pairs that may be asked, ascending, shape ``(eligible,)``."""
        return np.flatnonzero(self.eligible)

    def differences(self, rows: NDArray[Any] | slice) -> NDArray[np.float64]:
        """Return features left minus right for some pairs, shape ``(rows, d)``."""
        left, right = self.pairs[rows].T
        return np.asarray(self.features[left].astype(np.float64) - self.features[right])

    def blocks(self, size: int = BLOCK) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield ``(slice of pairs, their differences)`` over the whole pool, in order."""
        for start in range(0, len(self), size):
            part = slice(start, min(start + size, len(self)))
            yield part, self.differences(part)

    def with_eligible(self, eligible: ArrayLike) -> Pool:
        """Return the same pool with another mask."""
        return replace(self, eligible=np.asarray(eligible))
