"""One pass over the candidates: margins, variances, weights, and whitened rows where they fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.data import Belief, Pool, row_squares, working_dtype

Floats: TypeAlias = NDArray[np.floating[Any]]
Doubles: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Rule: TypeAlias = Callable[[Doubles, Doubles], Doubles]

_KEEP_BYTES: Final = 512 * 2**20  # whitened rows of the pool are kept up to here
_EXACT_RANK: Final = 1_024
_SLACK: Final = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}  # rounding of bounds


@dataclass(frozen=True, slots=True)
class Scored:
    """The rows that may be chosen, with what one pass over them finds.

    Attributes:
        rows: Indices into the pool, shape ``(n,)``.
        s2: Variance of each margin, shape ``(n,)``.
        weight: Fisher weight of each, shape ``(n,)``.
        kept: Whitened rows, shape ``(n, rank)``, for who passes over all of them again; ``None``
            where nobody does or they would take too much.
    """

    pool: Pool
    belief: Belief
    rows: NDArray[np.int64]
    weigh: Rule
    s2: Doubles
    weight: Doubles
    kept: Floats | None

    @classmethod
    def of(
        cls,
        pool: Pool,
        belief: Belief,
        rows: NDArray[np.int64],
        weigh: Rule,
        *,
        keep: bool = False,
    ) -> Scored:
        """Make the pass, block by block; ``keep`` the whitened rows if they fit."""
        dtype = np.dtype(working_dtype(pool.features))
        mu, s2 = np.empty(len(rows)), np.empty(len(rows))
        fits = len(rows) * belief.rank * dtype.itemsize <= _KEEP_BYTES
        kept = np.empty((len(rows), belief.rank), dtype) if keep and fits else None
        for part in belief.blocks(len(rows)):
            mu[part], z = belief.whiten(pool.features, pool.pairs[rows[part]])
            s2[part] = row_squares(z)
            if kept is not None:
                kept[part] = z
        return cls(pool, belief, rows, weigh, s2, weigh(mu, s2), kept)

    @property
    def slack(self) -> float:
        """Relative rounding error that bounds from the pass must allow for."""
        return _SLACK[np.dtype(working_dtype(self.pool.features))]

    def whitened(self, at: NDArray[np.int64]) -> Floats:
        """Whitened rows as the pass saw them, shape ``(k, rank)``."""
        if self.kept is not None:
            return self.kept[at]
        return self.belief.whiten(self.pool.features, self.pool.pairs[self.rows[at]])[1]

    def exact(self, at: NDArray[np.int64]) -> tuple[Doubles, Doubles]:
        """Whitened rows and weights in double precision: ties are not for rounding to break.

        Beyond ``_EXACT_RANK`` columns the product would cost more than all the rest, and the
        rows of the pass are taken as they are, right to 1e-6.
        """
        if self.belief.rank > _EXACT_RANK:
            return self.whitened(at).astype(np.float64), self.weight[at]
        pairs = self.pool.pairs[self.rows[at]]
        mu, z = self.belief.whiten(self.pool.features, pairs, dtype=np.float64)
        exact: Doubles = z.astype(np.float64, copy=False)
        return exact, self.weigh(mu.astype(np.float64), np.square(exact).sum(axis=1))

    def everywhere(self, values: Doubles) -> Doubles:
        """Values of the rows as values of the whole pool, ``-inf`` elsewhere, shape ``(N,)``."""
        found = np.full(len(self.pool), -np.inf)
        found[self.rows] = values
        return found
