"""Double Thompson sampling: the favourites of two draws from the belief meet.

Wu and Liu (2016), "Double Thompson sampling for dueling bandits"; for responses to prompts
Dwaracherla et al. (2024) and ActiveUltraFeedback (2026), arXiv:2603.09692.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import Method, NoConfig
from learning.acquisition.per_prompt import (
    Doubles,
    Ints,
    Layout,
    by_design,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection

TRIES: Final = 30  # of two draws each, until they name two responses that may be compared


def sampled_values(
    layout: Layout, pool: Pool, belief: Belief, *, sign: int, rng: np.random.Generator
) -> tuple[Doubles, int]:
    """Value the pairs of every prompt by two joint draws of the rewards.

    All prompts share ``TRIES`` pairs of draws and each starts at one of its own, so that a
    batch does not hang on a single draw.

    Args:
        layout: Pairs by prompt.
        pool: Gives the features.
        belief: What is drawn from.
        sign: Of the second draw: 1 looks for its best response, -1 for its worst.
        rng: Draws.

    Returns:
        Values of shape ``(n,)`` in logits, and for how many prompts the draws never named an
        eligible pair.
    """
    value, fell_back = np.empty(len(layout.pair)), 0
    seed = int(rng.integers(2**63))
    for place, part in layout.tiles():
        same = np.random.default_rng(seed)  # one draw of the weights holds for every tile
        draws = belief.draw_rewards(pool.features, part.row, 2 * TRIES, same)
        start = rng.integers(TRIES, size=len(part.first) - 1)
        order = rng.permutation(len(part.row))
        value[place], missed = duel(part, draws[:, :TRIES], sign * draws[:, TRIES:], start, order)
        fell_back += missed
    return value, fell_back


def duel(
    layout: Layout, first: Doubles, second: Doubles, start: Ints, order: Ints
) -> tuple[Doubles, int]:
    """Value pairs by ``first_i + second_j``, better direction, of the first try that works.

    A try works when the best of ``first`` and the best of ``second`` are an eligible pair, which
    then has the largest value of its prompt. Where none works, the values are those of the
    first try: the eligible pair that comes closest to what was drawn.

    Args:
        layout: Pairs by prompt.
        first: Draws of each contender, one column a try, shape ``(C, T)``.
        second: The rivals' draws, same shape.
        start: The try each prompt begins with, shape ``(P,)``.
        order: Distinct numbers of the contenders, which break ties, shape ``(C,)``.

    Returns:
        Values of shape ``(n,)`` and the number of prompts without a try that works.
    """
    tries = (start[:, None] + np.arange(first.shape[1])) % first.shape[1]  # (P, T)
    one, other = (_best(layout, draws, order) for draws in (first, second))
    works = np.isin(layout.key_of(one, other), layout.key)
    in_turn = np.take_along_axis(works, tries, axis=1)
    column = np.take_along_axis(tries, in_turn.argmax(axis=1)[:, None], axis=1)[:, 0]
    left, right, at = *layout.ends.T, column[layout.prompt]
    forward = first[left, at] + second[right, at]
    backward = first[right, at] + second[left, at]
    return np.maximum(forward, backward), int((~in_turn.any(axis=1)).sum())


def _best(layout: Layout, draws: Doubles, order: Ints) -> NDArray[np.int64]:
    """Return the contender with the largest draw, by prompt and try, shape ``(P, T)``."""
    at = layout.first[:-1]
    if not len(at):
        return np.empty((0, draws.shape[1]), dtype=np.int64)
    most = np.maximum.reduceat(draws, at, axis=0)
    named = np.where(draws == most[layout.owner], order[:, None], -1)
    winner = np.maximum.reduceat(named, at, axis=0)
    whose = np.argsort(order)
    return np.asarray(whose[np.searchsorted(order[whose], winner)])


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: NoConfig,
) -> Selection:
    """Pick in each prompt the best responses of two draws, prompts by information."""
    layout = Layout.contested(pool)
    value, missed = sampled_values(layout, pool, belief, sign=1, rng=rng)
    stage = stages(pool, layout, rank_within(layout, value, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng, fell_back=missed)


METHOD: Final = Method(
    name="dts",
    summary=(
        "Draws two plausible reward functions from the belief and lets the favourite response of "
        "one meet the favourite of the other, up to 30 times until they differ and may be asked; "
        "otherwise the closest pair that may be. Finds the best response of each prompt with few "
        "questions. Its pairs are near ties between strong responses, and as training data they "
        "did worse than random in the published comparison: see drts for that purpose."
    ),
    config_type=NoConfig,
    select=select,
)
