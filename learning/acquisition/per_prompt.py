"""For functions that choose a pair within each prompt: pairs by prompt, then which prompts.

Such a function ranks the eligible pairs of every prompt. *Stage* 0 holds the best of each,
stage 1 the second best, and so on; a later stage is looked at only when there are fewer
prompts than the batch wants. Which prompts of a stage are asked is a second decision: by
information (:func:`by_design`), by a value of its own (:func:`by_worth`), or by chance
(:func:`by_chance`).

Nothing here loops over prompts, and a prompt with one eligible pair, which leaves no choice,
costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning import design
from learning.acquisition.base import kappa_weight
from learning.data import Belief, Pool, Selection, row_squares

Doubles: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

_NONE: Final = np.empty(0, dtype=np.int64)
TILE: Final = 16_384  # contenders at a time: 8 MB of 64 draws


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Eligible pairs sorted by prompt, with the responses that each prompt offers.

    A *contender* is a response as a candidate of one prompt. Pairs are sorted by prompt, lower
    row and higher row, and directed from the lower row to the higher one, so that neither the
    side a response is listed on nor the place of a pair in the pool can matter.

    Attributes:
        pair: Index into the pool, shape ``(n,)``.
        prompt: Number of the prompt from 0, ascending, shape ``(n,)``.
        start: Pairs ``start[p]:start[p + 1]`` belong to prompt ``p``, shape ``(P + 1,)``.
        ends: The two contenders of each pair, lower row first, shape ``(n, 2)``.
        row: Row of each contender in the feature matrix, shape ``(C,)``.
        owner: Prompt of each contender, ascending, shape ``(C,)``.
        first: Contenders ``first[p]:first[p + 1]`` belong to prompt ``p``, shape ``(P + 1,)``.
    """

    pair: Ints
    prompt: Ints
    start: Ints
    ends: Ints
    row: Ints
    owner: Ints
    first: Ints

    @classmethod
    def of(cls, pool: Pool, pairs: Ints) -> Layout:
        """Lay out the pairs with these indices, shape ``(n,)``."""
        low, high = np.sort(pool.pairs[pairs], axis=1).T
        order = np.lexsort((high, low, pool.prompt[pairs]))
        pairs, low, high = pairs[order], low[order], high[order]
        changes = np.diff(pool.prompt[pairs]) != 0
        prompt = np.concatenate([[0], np.cumsum(changes)])[: len(pairs)].astype(np.int64)
        width = max(len(pool.features), 1)
        key, ends = np.unique(prompt * width + np.stack([low, high]), return_inverse=True)
        owner, row = np.divmod(key, width)
        edges = np.arange(int(prompt[-1]) + 2 if len(prompt) else 1)
        return cls(
            pair=pairs,
            prompt=prompt,
            start=np.searchsorted(prompt, edges),
            ends=ends.reshape(2, -1).T,
            row=row,
            owner=owner,
            first=np.searchsorted(owner, edges),
        )

    @classmethod
    def contested(cls, pool: Pool) -> Layout:
        """Lay out the eligible pairs of the prompts that have more than one."""
        pairs = pool.candidates
        _, place, size = np.unique(pool.prompt[pairs], return_inverse=True, return_counts=True)
        return cls.of(pool, pairs[size[place] > 1])

    @property
    def key(self) -> Ints:
        """A number of each pair that grows along the layout, for look-ups, shape ``(n,)``."""
        return self.key_of(self.ends[:, 0], self.ends[:, 1])

    def key_of(self, one: Ints, other: Ints) -> Ints:
        """Return the key of pairs of contenders, in whichever order; any one shape."""
        return np.minimum(one, other) * len(self.row) + np.maximum(one, other)

    def margins(self, pool: Pool, belief: Belief) -> tuple[Doubles, Doubles]:
        """Return mean and variance of reward lower row minus higher row; each ``(n,)``."""
        return belief.margin(pool.features, self.row[self.ends])

    def tiles(self, size: int = TILE) -> Iterator[tuple[slice, Layout]]:
        """Yield the places of some prompts' pairs and a layout of those prompts alone.

        About ``size`` contenders at a time; prompts stay whole.
        """
        low = 0
        while low < len(self.first) - 1:
            reach = int(np.searchsorted(self.first, self.first[low] + size, side="right")) - 1
            high = max(low + 1, reach)
            yield slice(int(self.start[low]), int(self.start[high])), self._part(low, high)
            low = high

    def _part(self, low: int, high: int) -> Layout:
        pairs = slice(self.start[low], self.start[high])
        contenders = slice(self.first[low], self.first[high])
        return Layout(
            pair=self.pair[pairs],
            prompt=self.prompt[pairs] - low,
            start=self.start[low : high + 1] - self.start[low],
            ends=self.ends[pairs] - self.first[low],
            row=self.row[contenders],
            owner=self.owner[contenders] - low,
            first=self.first[low : high + 1] - self.first[low],
        )


def bounds(mu: Doubles, s2: Doubles, deviations: float) -> tuple[Doubles, Doubles]:
    """Return pessimistic and optimistic margin ``mu -+ deviations * s``; shapes as given.

    ``s`` is the standard deviation of the difference. Seen from the other side the bounds are
    ``(-upper, -lower)``.
    """
    spread = deviations * np.sqrt(s2)
    return mu - spread, mu + spread


def rank_within(layout: Layout, *keys: Doubles, rng: np.random.Generator) -> Ints:
    """Rank the pairs of each prompt, 0 for the largest; equal ones in random order.

    Args:
        layout: Pairs by prompt.
        keys: Values of every pair, the most important first, each of shape ``(n,)``, no NaN.
        rng: Breaks ties.

    Returns:
        Shape ``(n,)``.
    """
    n = len(layout.pair)
    order = np.lexsort((rng.random(n), *(-key for key in reversed(keys)), layout.prompt))
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n) - layout.start[layout.prompt]
    return rank


def stages(pool: Pool, layout: Layout, rank: Ints, limit: int | None) -> Ints:
    """Return the stage of every pair in the pool: its rank, 0 for the only pair of a prompt.

    Args:
        pool: Says which pairs may be asked.
        layout: Pairs by prompt, at least all contested ones.
        rank: Rank of each of them within its prompt, shape ``(n,)``.
        limit: At most so many of one prompt; ``None`` for no limit.

    Returns:
        Shape ``(N,)``; -1 where a pair is not eligible or beyond the limit.
    """
    stage = np.where(pool.eligible, 0, -1)
    stage[layout.pair] = rank if limit is None else np.where(rank < limit, rank, -1)
    return stage


def by_design(
    pool: Pool,
    belief: Belief,
    batch: int,
    stage: Ints,
    *,
    rng: np.random.Generator,
    **info: Any,
) -> Selection:
    """Ask the prompts whose chosen pairs tell most together, earlier stages first.

    Greedy D-optimal design among the pairs of a stage, given those of earlier stages. Prompts
    are not compared by what ranks their pairs: the prompt with the widest gap may teach nothing.
    Stages that fit into the batch as a whole are asked in the order of information too.

    Returns:
        Gains and scores in nats times rate. The score is what a pair would be worth as the first
        pick; it is ``-inf`` for pairs whose stage does not come first.
    """
    by_stage = list(_by_stage(stage))
    whole = int((np.cumsum([len(rows) for rows in by_stage]) <= batch).sum())
    certain = np.concatenate([_NONE, *by_stage[:whole]])
    room = batch - len(certain)
    found = []
    if len(certain):
        found.append(design.greedy(pool, belief, certain, len(certain), rng=rng))
    if not found or (room and whole < len(by_stage)):
        rest = by_stage[min(whole, len(by_stage) - 1)]
        after = _answered(pool, belief, certain)
        found.append(design.greedy(pool, after, rest, room, rng=rng))
    return Selection(
        indices=np.concatenate([each.indices for each in found]),
        gain=np.concatenate([each.gain for each in found]),
        score=found[0].score,
        info={"unit": "nats", **found[-1].info, **info},
    )


def by_worth(
    pool: Pool,
    batch: int,
    stage: Ints,
    worth: Doubles,
    *,
    rng: np.random.Generator,
    **info: Any,
) -> Selection:
    """Ask the pairs that are worth most, stage by stage, equal ones in random order.

    Args:
        pool: Gives the rates.
        batch: How many at most.
        stage: Stage of every pair, -1 for none, shape ``(N,)``.
        worth: Worth of every pair, multiplied with its rate here, shape ``(N,)``.
        rng: Breaks ties.
        info: Facts to keep with the selection, ``unit`` among them.
    """
    value = worth * pool.rates
    rows = np.flatnonzero(stage >= 0)
    order = rows[np.lexsort((rng.random(len(rows)), -value[rows], stage[rows]))]
    picked = order[: max(batch, 0)]
    score = np.full(len(pool), -np.inf)
    first = next(_by_stage(stage))
    score[first] = value[first]
    return Selection(indices=picked, gain=value[picked], score=score, info=info)


def by_chance(
    batch: int, stage: Ints, worth: Doubles, *, rng: np.random.Generator, **info: Any
) -> Selection:
    """Ask prompts drawn uniformly without replacement, stage by stage.

    A pick's propensity is the chance of its prompt in its stage; ``worth`` ``(N,)`` is only
    reported.
    """
    picks, chances = [_NONE], [np.empty(0)]
    room = max(batch, 0)
    for rows in _by_stage(stage):
        k = min(room, len(rows))
        if not k:
            break
        picks.append(rng.choice(rows, size=k, replace=False))
        chances.append(np.full(k, k / len(rows)))
        room -= k
    indices = np.concatenate(picks)
    return Selection(
        indices=indices, gain=worth[indices], propensity=np.concatenate(chances), info=info
    )


def mean_rewards(pool: Pool, belief: Belief, rows: Ints) -> Doubles:
    """Return the mean rewards of the responses ``rows`` ``(k,)``, in logits; same shape."""
    reward = np.empty(len(rows))
    for part in belief.blocks(len(rows)):
        reward[part], _ = belief.respond(pool.features, rows[part])
    return reward


def _by_stage(stage: Ints) -> Iterator[Ints]:
    """Yield the indices of each stage, the lowest first and -1 not at all; at least one array."""
    order = np.argsort(stage, kind="stable")
    order = order[np.searchsorted(stage[order], 0) :]
    edges = np.flatnonzero(np.diff(stage[order])) + 1
    for low, high in zip([0, *edges], [*edges, len(order)], strict=True):
        yield order[low:high]


def _answered(pool: Pool, belief: Belief, picks: Ints) -> Belief:
    """Return the belief after answers to some pairs, whatever they will say."""
    if not len(picks):
        return belief
    mu, z = belief.whiten(pool.features, pool.pairs[picks], dtype=np.float64)
    return belief.condition(z, kappa_weight(np.asarray(mu, np.float64), row_squares(z)))
