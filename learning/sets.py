"""Questions that show a set of responses: what a chosen pair grows into.

Acquisition functions choose pairs, by what one answer about a pair tells. Where a form shows more
responses, a chosen pair is the seed of a set: the rest joins it one by one, in the policy arm what
tells most beside those that are there, in the other arms at random.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import kappa_weight
from learning.data import Belief, Context, Pool
from learning.selection import FALLBACK, Choice, compose_batch

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

MOST_CONSIDERED: Final = 128  # of one group: of more, some are drawn
MOST_PASSES: Final = 12
BLIND: Final = frozenset({"random", FALLBACK})  # methods that do not look at the belief


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Responses that may be shown together.

    Attributes:
        rows: Rows of the features, group by group, shape ``(r,)``.
        start: Where each group begins in ``rows``, then their number, shape ``(G + 1,)``.
        size: How many responses a question of the group shows, shape ``(G,)``.
    """

    rows: Ints
    start: Ints
    size: Ints

    @classmethod
    def none(cls) -> Groups:
        """No groups: every pair stands alone."""
        return cls(np.empty(0, np.int64), np.zeros(1, np.int64), np.empty(0, np.int64))

    def members(self, group: int) -> Ints:
        """Rows of one group."""
        return self.rows[self.start[group] : self.start[group + 1]]


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """A pool with the group of each of its pairs, ``(N,)``; -1: the pair is the whole question."""

    pool: Pool
    group: Ints


@dataclass(frozen=True, slots=True)
class SetChoice:
    """A chosen pair with the rows that its question shows, ascending."""

    seed: Choice
    rows: tuple[int, ...]


def grow(
    features: Floats,
    members: Ints,
    seed: Ints,
    size: int,
    *,
    belief: Belief | None,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """Return the rows of a set of ``size`` that holds ``seed``, ascending.

    Args:
        features: One row a response, shape ``(m, d)``.
        members: Rows that may be in the set, those of the seed among them, shape ``(g,)``.
        seed: The chosen pair, shape ``(2,)``.
        size: Of the set; all members where there are no more.
        belief: What answers so far have told; ``None`` draws the rest at random.
        rng: Draws, and breaks ties.
    """
    rest = rng.permutation(np.setdiff1d(members, seed))
    wanted = min(size - len(seed), len(rest))
    if belief is not None and 0 < wanted < len(rest):
        rest = _by_information(features, belief, seed, rest[:MOST_CONSIDERED], wanted, size)
    return tuple(sorted(int(row) for row in (*seed, *rest[:wanted])))


def _by_information(
    features: Floats, belief: Belief, seed: Ints, rest: Ints, wanted: int, size: int
) -> Ints:
    """The first ``wanted`` of ``rest`` by what their comparisons with the set so far tell.

    A ranking of ``k`` compares a newcomer with all that are there, each comparison at weight
    ``1 / (k - 1)``. With ``M`` the covariance of these margins given the set's own comparisons
    and ``W`` their Fisher weights, it tells ``log det(I + W M) / 2`` (nats, D-optimal).
    """
    mean, spread = belief.respond(features, np.concatenate([seed, rest]), dtype=np.float64)
    mean, cov = mean.astype(np.float64), (spread @ spread.T).astype(np.float64)
    spread_of = np.diag(cov)
    s2 = spread_of[:, None] + spread_of[None, :] - 2 * cov
    weight = kappa_weight(mean[:, None] - mean[None, :], np.maximum(s2, 0.0)) / (size - 1)
    inside = [0]
    cov = _compared(cov, weight, 1, inside)
    inside.append(1)
    open_ = list(range(2, len(mean)))
    for _ in range(wanted):
        gains = _gains(cov, weight, np.array(open_), np.array(inside))
        best = open_.pop(int(np.argmax(gains)))
        cov = _compared(cov, weight, best, inside)
        inside.append(best)
    return np.asarray(rest[np.array(inside[2:]) - 2])


def _gains(cov: Doubles, weight: Doubles, new: Ints, inside: Ints) -> Doubles:
    """Information in comparing each of ``new`` ``(n,)`` with all of ``inside`` ``(s,)``."""
    across = cov[np.ix_(new, inside)]
    margins = cov[new, new][:, None, None] - across[:, :, None] - across[:, None, :]
    margins = margins + cov[np.ix_(inside, inside)]  # (n, s, s)
    root = np.sqrt(weight[np.ix_(new, inside)])
    scaled = np.eye(len(inside)) + root[:, :, None] * margins * root[:, None, :]
    return np.asarray(0.5 * np.linalg.slogdet(scaled)[1])


def _compared(cov: Doubles, weight: Doubles, new: int, inside: list[int]) -> Doubles:
    """The covariance of rewards ``(g, g)`` once ``new`` is compared with all of ``inside``."""
    rows = cov[new] - cov[inside]  # (s, g)
    margins = rows[:, [new]] - rows[:, inside]  # (s, s)
    root = np.sqrt(weight[new, inside])
    scaled = root[:, None] * rows
    inner = np.eye(len(inside)) + root[:, None] * margins * root[None, :]
    return np.asarray(cov - scaled.T @ np.linalg.solve(inner, scaled))


def inside_pairs(rows: tuple[int, ...]) -> Ints:
    """All pairs of a set, lower row first, shape ``(k (k - 1) / 2, 2)``."""
    return np.array(list(combinations(sorted(rows), 2)), np.int64).reshape(-1, 2)


def compose_sets(
    train: Side,
    holdout: Side | None,
    groups: Groups,
    belief: Belief,
    context: Context,
    *,
    batch: int,
    random_share: float,
    holdout_share: float,
    method: str,
    config: Mapping[str, Any] | None = None,
    rng: np.random.Generator,
) -> tuple[tuple[SetChoice, ...], Mapping[str, Any]]:
    """Choose a batch of sets: no two of one prompt while there are others, no pair in two of them.

    Seeds are chosen as :func:`learning.selection.compose_batch` chooses pairs. A seed whose prompt
    has a set already is put back and another one chosen, in as many passes as it takes. The
    propensity of a set is that of its seed, given the passes before.

    Returns:
        The sets in the order in which they are to be published, and facts for the log.
    """
    sides = _Sides(train, holdout, groups, context)
    share = {"random": random_share, "holdout": holdout_share}
    info: dict[str, Any] = {}
    lacking: dict[str, int] = {}
    passes = 0
    while len(sides.made) < batch and passes < MOST_PASSES:
        found = compose_batch(
            sides.pool("policy"),
            sides.pool("holdout") if holdout is not None else None,
            belief,
            sides.context,
            batch=batch - len(sides.made),
            random_share=share["random"],
            holdout_share=share["holdout"],
            method=method,
            config=config,
            rng=rng,
            spread=True,
        )
        passes += 1
        info = info or dict(found.info)
        lacking = lacking or dict(found.info["counts"])
        if not sides.take(found.choices, belief, rng):
            break
        left = {arm: max(n - sides.count(arm), 0) for arm, n in lacking.items()}
        total = sum(left.values())
        share = {arm: left[arm] / total if total else share[arm] for arm in share}
    return tuple(sides.made), {**info, "passes": passes}


class _Sides:
    """Both pools while sets are taken from them."""

    def __init__(self, train: Side, holdout: Side | None, groups: Groups, context: Context) -> None:
        self.sides = {"policy": train, "random": train, "holdout": holdout or train}
        self.groups, self.context = groups, context
        self.made: list[SetChoice] = []
        self.used: dict[int, set[int]] = {}  # by side: prompts that have a set
        self.gone: dict[int, set[tuple[int, int]]] = {}  # by side: pairs inside a set
        self.short: set[int] = set()  # sides whose prompts all have a set

    def count(self, arm: str) -> int:
        return sum(one.seed.arm == arm for one in self.made)

    def pool(self, arm: str) -> Pool:
        """What may be a seed now: of prompts without a set, or where none is left, of all."""
        side = self.sides[arm]
        pool, used = side.pool, self.used.get(id(side), set())
        if not used:
            return pool
        free = pool.eligible & ~self._inside(side)
        fresh = free & ~np.isin(pool.prompt, np.fromiter(used, np.int64))
        if fresh.any():
            return pool.with_eligible(fresh)
        self.short.add(id(side))
        return pool.with_eligible(free)

    def _inside(self, side: Side) -> NDArray[np.bool_]:
        gone = np.array(sorted(self.gone[id(side)]), np.int64).reshape(-1, 2)
        size = np.int64(len(side.pool.features))
        pairs = side.pool.pairs
        return np.isin(pairs[:, 0] * size + pairs[:, 1], gone[:, 0] * size + gone[:, 1])

    def take(self, choices: tuple[Choice, ...], belief: Belief, rng: np.random.Generator) -> bool:
        """Grow the seeds of one pass, but those whose prompt, or pair, has a set already.

        Returns whether any grew.
        """
        before = len(self.made)
        for choice in choices:
            side = self.sides[choice.arm]
            prompt = int(side.pool.prompt[choice.pair])
            one, other = (int(row) for row in side.pool.pairs[choice.pair])
            served = (one, other) in self.gone.get(id(side), set())
            if id(side) not in self.short:
                served = prompt in self.used.get(id(side), set())
            if not served:
                self._make(side, prompt, choice, belief, rng)
        return len(self.made) > before

    def _make(
        self, side: Side, prompt: int, choice: Choice, belief: Belief, rng: np.random.Generator
    ) -> None:
        seed, group = side.pool.pairs[choice.pair], int(side.group[choice.pair])
        rows = tuple(int(row) for row in seed)
        if group >= 0:
            looks = choice.arm == "policy" and choice.method not in BLIND
            rows = grow(
                side.pool.features,
                self.groups.members(group),
                seed,
                int(self.groups.size[group]),
                belief=belief if looks else None,
                rng=rng,
            )
        self.made.append(SetChoice(choice, rows))
        self.used.setdefault(id(side), set()).add(prompt)
        pairs = inside_pairs(rows)
        self.gone.setdefault(id(side), set()).update((int(a), int(b)) for a, b in pairs)
        if choice.arm != "holdout":  # what is never trained on tells nothing
            known = np.concatenate([self.context.pending, pairs])
            self.context = replace(self.context, pending=known)
