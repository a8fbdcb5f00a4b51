"""PairS: sort each prompt's responses, asking people where the model cannot compare.

Liu et al. (2024), "Aligning with human judgement: the role of pairwise preference in large
language model evaluators": merge sort with a model as comparator. Here its uncertain
comparisons become questions instead of branches of a beam search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Ints,
    Layout,
    by_worth,
    mean_rewards,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``pairs_sort``."""

    gap: float = option(
        0.1,
        "A comparison is uncertain when its predicted probability is closer to one half.",
        low=0.0,
        high=0.5,
    )


def merge_path(owner: Ints, place: Ints, standing: Ints) -> Ints:
    """Return the comparisons that bottom-up merge sorts of many lists would make.

    While two runs are merged, an element is compared with whatever leads the other run when it
    is taken: the next element of that run in the merged order. So the comparisons can be read off
    the sorted runs, for all lists at once and without a step for each.

    Args:
        owner: List that each element belongs to, shape ``(C,)``.
        place: Its place in the unsorted list, from 0, shape ``(C,)``.
        standing: Its place in the sorted order, smaller first, distinct in a list, ``(C,)``.

    Returns:
        Elements compared, taken one first, shape ``(k, 2)``.
    """
    found = [np.empty((0, 2), dtype=np.int64)]
    width = 1
    while width <= place.max(initial=0):
        merge, side = place // (2 * width), place // width % 2
        order = np.lexsort((standing, merge, owner))
        found.append(_met(order, owner, merge, side))
        width *= 2
    return np.concatenate(found)


def _met(order: Ints, owner: Ints, merge: Ints, side: Ints) -> Ints:
    """Return each element with the next of the other run, where one is left, ``(k, 2)``."""
    owner, merge, side = owner[order], merge[order], side[order]
    same = (owner[1:] == owner[:-1]) & (merge[1:] == merge[:-1])
    turns = ~same | (side[1:] != side[:-1])
    here = np.arange(len(order) - 1)
    turn = np.where(turns, here, len(order))
    turn = np.minimum.accumulate(turn[::-1])[::-1]  # the last element of a stretch of one run
    meets = turn < len(order) - 1
    meets[meets] = same[turn[meets]]
    return np.stack([order[here[meets]], order[turn[meets] + 1]], axis=1)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick uncertain comparisons of the sort, then its other ones, then any other pair.

    Within each of these the most uncertain first. Responses are sorted by mean reward from a
    random order; comparisons that are not eligible (answered, as a rule) are skipped.
    """
    layout = Layout.of(pool, pool.candidates)
    doubt = 1.0 - 2.0 * np.abs(belief.preference(*layout.margins(pool, belief)) - 0.5)
    needed = on_path(layout, mean_rewards(pool, belief, layout.row), rng)
    uncertain = needed & (doubt > 1.0 - 2.0 * config.gap)
    tier = np.where(uncertain, 0.0, np.where(needed, 1.0, 2.0))
    worth = np.zeros(len(pool))
    worth[layout.pair] = doubt
    rank = rank_within(layout, -tier, worth[layout.pair] * pool.rates[layout.pair], rng=rng)
    stage = stages(pool, layout, rank, context.per_prompt)
    stage[layout.pair] = np.where(stage[layout.pair] >= 0, tier, -1)
    info = {"unit": "doubt", "path": int(needed.sum()), "uncertain": int(uncertain.sum())}
    return by_worth(pool, batch, stage, worth, rng=rng, **info)


def on_path(layout: Layout, reward: Doubles, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which pairs a merge sort of every prompt by ``reward`` would compare.

    Args:
        layout: Pairs by prompt.
        reward: Of each contender, shape ``(C,)``.
        rng: Draws the unsorted order and breaks ties.

    Returns:
        Shape ``(n,)``.
    """
    n = len(reward)
    place, standing = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    start = layout.first[layout.owner]
    place[np.lexsort((rng.random(n), layout.owner))] = np.arange(n) - start
    standing[np.lexsort((rng.random(n), -reward, layout.owner))] = np.arange(n) - start
    path = merge_path(layout.owner, place, standing)
    return np.isin(layout.key, layout.key_of(path[:, 0], path[:, 1]))


METHOD: Final = Method(
    name="pairs_sort",
    summary=(
        "Sorts the responses of each prompt as merge sort would, with the model as comparator, "
        "and asks people those comparisons of the sort that the model is unsure of; then the "
        "others. Meant for putting many responses or items in order with about n log n "
        "questions. It asks near ties, so for learning a reward model it has the weakness of "
        "entropy, and it does not look at how alike the questions of a batch are."
    ),
    config_type=Config,
    select=select,
)
