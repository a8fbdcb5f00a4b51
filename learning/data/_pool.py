"""Candidate pairs that could be asked about, kept implicit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import _checks
from learning.errors import ShapeError

BLOCK = 8_192  # pairs at a time: 13 MB of float32 differences at 384 dimensions


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Candidate pairs as row numbers into one feature matrix.

    Differences of features are formed block by block, and kept only where that pays.

    Attributes:
        features: One row a response, shape ``(m, d)``, float16, float32 or float64, finite.
            Half precision is computed with in single.
        pairs: Left and right row of each candidate pair, shape ``(N, 2)``, int64.
        prompt: Number of the prompt each pair belongs to, shape ``(N,)``, int64.
        eligible: Whether a pair may be asked now, shape ``(N,)``, bool. Pairs that are open,
            answered or excluded are ``False``.
        rate: What a unit of information is worth on each pair relative to the others, such as
            P(answered) / expected seconds, shape ``(N,)``, positive; ``None`` is 1 for all.

    Raises:
        ShapeError: on construction, when shapes disagree, a row number is out of range or a
            feature is NaN or infinite.
    """

    features: NDArray[np.floating[Any]]
    pairs: NDArray[np.int64]
    prompt: NDArray[np.int64]
    eligible: NDArray[np.bool_]
    rate: NDArray[np.float64] | None = None

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
        if self.rate is not None:
            rate = _checks.vector(self.rate, "rate", np.float64, length=n)
            if not (np.isfinite(rate) & (rate > 0)).all():
                raise ShapeError("rate must be finite and positive")
            object.__setattr__(self, "rate", rate)

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

    def with_eligible(self, eligible: ArrayLike) -> Pool:
        """Return the same pool with another mask."""
        return replace(self, eligible=np.asarray(eligible))

    @property
    def rates(self) -> NDArray[np.float64]:
        """The rate of every pair, 1 where none is given, shape ``(N,)``."""
        return np.ones(len(self)) if self.rate is None else self.rate
