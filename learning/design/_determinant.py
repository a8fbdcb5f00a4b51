"""Greedy design: batches whose answers tell most together, exactly and fast.

In whitened coordinates a pair is a row ``z`` with prior covariance ``I``. Asking it multiplies
the determinant of the precision by ``1 + w q``, ``q = z^T S z``, and changes the covariance by
one rank: ``S -= c v v^T`` with ``v = S z`` and ``c = w / (1 + w q)``. Greedy choice of the
largest gain is within ``1 - 1/e`` of the best batch (Nemhauser et al. 1978), because gains only
ever shrink.

That same fact makes it fast. A gain computed earlier is an upper bound today, so most of the
pool never has to be looked at again: the rows with the largest bounds (*survivors*) are kept
in memory, and among them a *window* that fits the cache is kept exact. Picks are made inside
the window for as long as its best is at least every bound outside; updates of the survivors
are queued and applied by one matrix product when it is not. The picks are those of a greedy
that looks at the whole pool every time.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import kappa_weight
from learning.data import Belief, Pool
from learning.design._picks import Design, Picks
from learning.design._scored import Doubles, Floats, Ints, Rule, Scored

_WINDOW_BYTES: Final = 2**21  # of float64 rows, read once for every pick: what a core's cache holds
_SURVIVORS: Final = 2_048  # at first, at least: enough for most batches without a second pass


def information(weight: Doubles, q: Doubles) -> Doubles:
    """Return the information of an answer, ``log(1 + w q) / 2`` in nats; shape as given.

    Gaussian form of ``I(y; theta)``: with :func:`kappa_weight` within a few percent of the
    exact value (see ``docs/methods.md``).
    """
    return np.asarray(0.5 * np.log1p(weight * q))


def greedy(
    pool: Pool,
    belief: Belief,
    rows: NDArray[np.int64],
    batch: int,
    *,
    rng: np.random.Generator,
    per_prompt: int | None = None,
    weigh: Rule = kappa_weight,
    value: Rule = information,
    window: int = 2_000,
) -> Design:
    """Choose pairs one after the other, each the best given those before it.

    Args:
        pool: Candidate pairs.
        belief: Gives whitened rows; pending pairs should be in it already.
        rows: Indices of the pairs that may be chosen, shape ``(n,)``.
        batch: How many at most.
        rng: Breaks ties.
        per_prompt: At most so many of one prompt.
        weigh: Fisher weight ``w(mu, s2)`` of a pair, fixed during the batch.
        value: What to maximise, ``value(w, q)``, increasing in ``q``.
        window: Rows kept exact, fewer where they would not fit the cache.

    Returns:
        The picks; fewer than ``batch`` where rows or prompts run out. ``info`` tells how many
        ``sweeps`` over how many ``survivors`` it took, and the ``certificate``: the largest
        bound outside over the gain of a pick. At most 1 (but for rounding) proves that every
        pick was the best of the whole pool.
    """
    if batch <= 0 or not len(rows):
        return Design.none(pool)
    scored = Scored.of(pool, belief, rows, weigh)
    # The first of equals wins: which one that is must be drawn, and not by permuting the rows,
    # because the pass over them wants them in the order of memory.
    tie = rng.permutation(len(rows))
    return _Greedy(scored, value, per_prompt, window, tie).run(min(batch, len(rows)))


class _Greedy:
    """The state of one greedy run. Positions are into ``scored.rows``."""

    def __init__(
        self, scored: Scored, value: Rule, per_prompt: int | None, window: int, tie: Ints
    ) -> None:
        self.scored, self.value, self.tie = scored, value, tie
        rank = scored.belief.rank
        self.window = int(np.clip(_WINDOW_BYTES // (8 * max(rank, 1)), 256, window))
        self.rate = scored.pool.rates[scored.rows]
        self.picks = Picks(scored, per_prompt)
        self.sweeps, self.worst = 0, 0.0
        first = self._bounds(np.arange(len(scored.rows)), scored.s2)
        self.order = np.lexsort((tie, -first))
        self.first = first[self.order]  # descending: bounds of what is outside the survivors
        # Survivors are ``order[:n]``; ``q`` has the first ``applied`` picks taken in.
        self.n, self.applied = 0, 0
        self.q = np.empty(0)
        self.z: list[Floats] = []

    def run(self, batch: int) -> Design:
        rank = self.scored.belief.rank
        self.V, self.C = np.empty((batch, rank)), np.empty(batch)
        self._grow(min(len(self.order), max(4 * self.window, _SURVIVORS)))
        while len(self.picks) < batch and self.picks.open.any():
            self._sweep()
            self._pick_inside_window(batch)
        info = {
            "sweeps": self.sweeps,
            "survivors": self.n,
            "certificate": round(self.worst, 6),
            "unit": "nats",
        }
        scored = self.scored
        first = self.value(scored.weight, scored.s2) * self.rate
        return self.picks.design(scored.everywhere(first), info)

    def _bounds(self, at: NDArray[np.int64], q: Doubles) -> Doubles:
        """Upper bounds of the values of rows whose ``q`` was at most this, rounding included."""
        slack = self.scored.slack
        padded = np.maximum(q, 0.0) + slack * self.scored.s2[at]
        return self.value(self.scored.weight[at] * (1 + slack), padded) * self.rate[at]

    def _grow(self, n: int) -> None:
        """Let the ``n`` rows with the largest first bounds survive, up to date with all picks."""
        new = self.order[self.n : n]
        self._apply()
        scored = self.scored
        found = [scored.whitened(new[part]) for part in scored.belief.blocks(len(new))]
        taken = self._taken(found, 0, len(self.picks))
        self.q = np.concatenate([self.q, scored.s2[new] - taken])
        self.z += found
        self.n = n

    def _apply(self) -> None:
        """Take the queued picks into the survivors' ``q``: one matrix product."""
        self.q -= self._taken(self.z, self.applied, len(self.picks))
        self.applied = len(self.picks)

    def _taken(self, z: list[Floats], start: int, end: int) -> Doubles:
        """What the picks ``start`` to ``end`` take from the ``q`` of some rows, ``(k,)``."""
        if start == end or not z:
            return np.zeros(sum(len(block) for block in z))
        V = self.V[start:end].astype(z[0].dtype).T
        C = self.C[start:end].astype(z[0].dtype)
        parts = []
        for block in z:
            G = block @ V
            np.square(G, out=G)
            parts.append(G @ C)
        return np.concatenate(parts).astype(np.float64)

    def _sweep(self) -> None:
        """Bring the survivors up to date and let in whoever might beat them."""
        self.sweeps += 1
        self._apply()
        while self.n < len(self.order):
            values = self._stale()
            best = values.max(initial=-np.inf)
            if best > self.first[self.n]:
                break
            # Everyone whose first bound reaches a little below today's best.
            reach = np.searchsorted(-self.first, -0.9 * best) if best > 0 else len(self.order)
            self._grow(int(np.clip(reach, min(2 * self.n, len(self.order)), len(self.order))))
        self.stale = self._stale()

    def _stale(self) -> Doubles:
        here = self.order[: self.n]
        return np.where(self.picks.open[here], self._bounds(here, self.q), -np.inf)

    def _pick_inside_window(self, batch: int) -> None:
        stale = self.stale
        size = min(self.window, self.n)
        inside = np.argpartition(-stale, size - 1)[:size]
        inside = inside[np.isfinite(stale[inside])]
        inside = inside[np.argsort(self.tie[self.order[inside]])]
        outside = self.first[self.n] if self.n < len(self.order) else -np.inf
        if size < self.n:
            rest = stale.copy()
            rest[inside] = -np.inf
            outside = max(outside, rest.max())
        at = self.order[inside]
        Z, weight = self.scored.exact(at)
        G = Z @ self.V[: len(self.picks)].T
        q = np.square(Z).sum(axis=1) - np.square(G) @ self.C[: len(self.picks)]
        fresh = (
            True  # the first pick after a sweep is certain but for rounding: there is always one
        )
        while len(self.picks) < batch:
            values = self.value(weight, np.maximum(q, 0.0)) * self.rate[at]
            values[~self.picks.open[at]] = -np.inf
            j = int(np.argmax(values))
            if values[j] == -np.inf or (values[j] < outside and not fresh):
                return
            if outside > 0 and values[j] > 0:
                self.worst = max(self.worst, float(outside / values[j]))
            self.picks.take(int(at[j]), float(values[j]))
            fresh = False
            v, c = self._direction(Z[j], weight[j], q[j])
            q -= c * np.square(Z @ v)

    def _direction(self, z: Doubles, weight: np.float64, q: np.float64) -> tuple[Doubles, float]:
        """``v = S z`` and ``c`` of the newest pick, queued for the others."""
        t = len(self.picks) - 1
        V, C = self.V[:t], self.C[:t]
        v = z - V.T @ (C * (V @ z))
        c = float(weight / (1.0 + weight * max(q, 0.0)))
        self.V[t], self.C[t] = v, c
        return v, c
