"""Greedy choice by the drop of ``tr(A Sigma)``, with two matrix-vector products a pick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import kappa_weight
from learning.data import Belief, Pool
from learning.design._picks import Design, Picks
from learning.design._scored import Doubles, Floats, Scored

_REFRESH: Final = 64  # picks between two looks at everything
_REFRESH_FAR: Final = 160  # the same where looking means computing whitened rows anew


def greedy_variance(
    pool: Pool,
    belief: Belief,
    rows: NDArray[np.int64],
    batch: int,
    target: Doubles,
    *,
    rng: np.random.Generator,
    per_prompt: int | None = None,
    shortlist: int = 4_000,
) -> Design:
    """Choose pairs one after the other, each with the largest drop of ``tr(A Sigma)``.

    The drop is ``w a / (1 + w q)`` with ``a = z^T S A S z``, and after a pick ``a -= 2 c g h -
    c^2 (v^T A v) g^2`` with ``g = Z v``, ``h = Z S A v`` (``S`` before the pick).

    Unlike the determinant this is not submodular: a gain may grow when another pair is picked,
    so no bound is certain. The shortlist is chosen anew from everything every 64 picks (160 in
    pools too large to keep).

    Args:
        pool: Candidate pairs.
        belief: Gives whitened rows; pending pairs should be in it already.
        rows: Indices of the pairs that may be chosen, shape ``(n,)``.
        batch: How many at most.
        target: ``A`` in whitened coordinates, shape ``(rank, rank)``, positive semi-definite.
        rng: Breaks ties.
        per_prompt: At most so many of one prompt.
        shortlist: Rows kept exact between two looks.

    Returns:
        The picks; ``info["missed"]`` is the largest gain outside a shortlist, when its picks
        had been made, over the smallest of them: below 1, nothing better was passed over.
    """
    if batch <= 0 or not len(rows):
        return Design.none(pool)
    rows = rng.permutation(rows)  # the first of equals wins: which one that is must be drawn
    scored = Scored.of(pool, belief, rows, kappa_weight, keep=True)
    return _Run(scored, target, per_prompt, shortlist).run(min(batch, len(rows)))


class _Run:
    """The state of one greedy run. Positions are into ``scored.rows``."""

    def __init__(
        self, scored: Scored, target: Doubles, per_prompt: int | None, shortlist: int
    ) -> None:
        self.scored, self.target, self.size = scored, target, shortlist
        self.rate = scored.pool.rates[scored.rows]
        self.picks = Picks(scored, per_prompt)
        # For each pick: v = S z, y = S A v, c = w / (1 + w q), e = v^T A v.
        self.v: list[Doubles] = []
        self.y: list[Doubles] = []
        self.c: list[float] = []
        self.e: list[float] = []
        self.applied, self.missed = 0, 0.0
        self.q, self.a = scored.s2.copy(), np.empty(len(scored.rows))
        for part, z in self._blocks():
            self.a[part] = np.vecdot(z @ target.astype(z.dtype), z)

    def run(self, batch: int) -> Design:
        first = values = self._refresh()
        refresh = _REFRESH if self.scored.kept is not None else _REFRESH_FAR
        while len(self.picks) < batch and self.picks.open.any():
            before, inside = len(self.picks), self._shortlist(values)
            self._pick_from(inside, min(batch, before + refresh))
            values = self._refresh()
            outside = np.delete(values, inside).max(initial=0.0)
            smallest = min(self.picks.gains[before:])
            if smallest > 0:
                self.missed = max(self.missed, float(outside / smallest))
        info = {"missed": round(self.missed, 4), "unit": "logit^2"}
        return self.picks.design(self.scored.everywhere(first), info)

    def _blocks(self) -> Iterator[tuple[slice, Floats]]:
        every = np.arange(len(self.scored.rows))
        for part in self.scored.belief.blocks(len(every)):
            yield part, self.scored.whitened(every[part])

    def _refresh(self) -> Doubles:
        """Take the picks since the last look into everyone's ``q`` and ``a``; the values now."""
        new = slice(self.applied, len(self.picks))
        if self.applied < len(self.picks):
            for part, z in self._blocks():
                q, a = self._downdate(z, new)
                self.q[part] -= q
                self.a[part] -= a
        self.applied = len(self.picks)
        weight = self.scored.weight
        values = weight * np.maximum(self.a, 0.0) / (1.0 + weight * np.maximum(self.q, 0.0))
        return np.where(self.picks.open, values * self.rate, -np.inf)

    def _downdate(self, z: Floats, some: slice) -> tuple[Doubles, Doubles]:
        """What some picks take from ``q`` and ``a`` of rows ``(k, rank)``."""
        c, e = np.array(self.c[some]), np.array(self.e[some])
        v, y = np.array(self.v[some], z.dtype), np.array(self.y[some], z.dtype)
        g, h = z @ v.T, z @ y.T
        squares = np.square(g)
        taken = 2.0 * (g * h) @ c - squares @ (c**2 * e)
        return (squares @ c).astype(np.float64), taken.astype(np.float64)

    def _downdate_by_last(self, z: Doubles) -> tuple[Doubles, Doubles]:
        """The same for the newest pick: two matrix-vector products beat one thin matrix."""
        g, h, c = z @ self.v[-1], z @ self.y[-1], self.c[-1]
        squares = g * g
        return c * squares, 2.0 * c * (g * h) - (c**2 * self.e[-1]) * squares

    def _shortlist(self, values: Doubles) -> NDArray[np.int64]:
        size = min(self.size, len(values))
        inside = np.argpartition(-values, size - 1)[:size]
        return np.sort(inside[np.isfinite(values[inside])])

    def _pick_from(self, at: NDArray[np.int64], until: int) -> None:
        Z, weight = self.scored.exact(at)
        q = np.square(Z).sum(axis=1)
        a = np.vecdot(Z @ self.target, Z)
        if len(self.picks):
            taken = self._downdate(Z, slice(0, len(self.picks)))
            q, a = q - taken[0], a - taken[1]
        while len(self.picks) < until:
            values = weight * np.maximum(a, 0.0) / (1.0 + weight * np.maximum(q, 0.0))
            values = np.where(self.picks.open[at], values * self.rate[at], -np.inf)
            j = int(np.argmax(values))
            if values[j] == -np.inf:
                return
            self.picks.take(int(at[j]), float(values[j]))
            self._queue(Z[j], float(weight[j]), max(float(q[j]), 0.0))
            now_q, now_a = self._downdate_by_last(Z)
            q, a = q - now_q, a - now_a

    def _queue(self, z: Doubles, weight: float, q: float) -> None:
        v = self._shrunk(z)
        pulled = self.target @ v
        y = self._shrunk(pulled)  # S A v with S as it was before this pick
        self.v.append(v)
        self.y.append(y)
        self.c.append(weight / (1.0 + weight * q))
        self.e.append(float(v @ pulled))

    def _shrunk(self, z: Doubles) -> Doubles:
        """``S z`` after the picks so far."""
        if not self.v:
            return z
        V = np.array(self.v)
        return np.asarray(z - V.T @ (np.array(self.c) * (V @ z)))
