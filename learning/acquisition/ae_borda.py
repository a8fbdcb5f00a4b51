"""AE-Borda: prompts whose best response is unclear, and a random rival for the likeliest one.

Mehta et al. (2024), arXiv:2312.00267. Confidence bounds of the Borda score come from joint draws
of the rewards instead of dropout on log-probabilities, so that length has no part in them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import Doubles, Ints, Layout, by_worth, rank_within, stages
from learning.data import Belief, Context, Pool, Selection, blocks
from learning.options import option

_CELLS: Final = 2**17  # win probabilities at a time: 1 MB, which stay in the cache


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``ae_borda``."""

    deviations: float = option(
        2.0, "Width of the confidence bounds in deviations.", low=0.0, high=100.0
    )
    draws: int = option(64, "Joint draws of the rewards.", low=2, high=1024)
    rivals: int = option(
        64,
        "The Borda score is an average over at most so many responses of a prompt, drawn where "
        "there are more.",
        low=2,
        high=10_000,
    )


def borda(wins: Doubles, start: Ints) -> Doubles:
    """Return the chance of winning against a uniform rival, itself included.

    Args:
        wins: P(contender beats rival), the rivals of one contender after the other; one row
            each, shape ``(E, ...)``.
        start: Where the rivals of each contender begin, ending with ``E``, shape ``(C + 1,)``;
            none is empty.

    Returns:
        Shape ``(C, ...)``, in [0, 1].
    """
    total = np.add.reduceat(wins, start[:-1], axis=0)
    return np.asarray(total / np.diff(start).reshape(-1, *[1] * (wins.ndim - 1)))


def doubt(upper: Doubles, lower: Doubles, first: Ints) -> Doubles:
    """Return ``max_a UCB - max_a LCB`` of each prompt, how unclear its best response is.

    Args:
        upper: Upper bound of each contender, shape ``(C,)``.
        lower: Lower bound, same shape.
        first: Where the contenders of each prompt begin, ending with ``C``, shape ``(P + 1,)``.

    Returns:
        Shape ``(P,)``, at least 0.
    """
    at = first[:-1]
    return np.asarray(np.maximum.reduceat(upper, at) - np.maximum.reduceat(lower, at))


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick the prompts of most doubt; in each the most hopeful response and a uniform rival.

    The rival is drawn among the eligible pairs of that response, which keeps answers unbiased
    for the Borda score as far as the pool allows.
    """
    layout = Layout.of(pool, pool.candidates)
    worth, hope = np.zeros(len(pool)), np.empty(len(layout.pair))
    seed = int(rng.integers(2**63))
    for place, part in layout.tiles():
        same = np.random.default_rng(seed)  # one draw of the weights holds for every tile
        draws = belief.draw_rewards(pool.features, part.row, config.draws, same)
        mean, spread = borda_bounds(part, draws, config.rivals, rng)
        upper, lower = mean + config.deviations * spread, mean - config.deviations * spread
        worth[part.pair] = doubt(upper, lower, part.first)[part.prompt]
        hope[place] = upper[part.ends].max(axis=1)
    stage = stages(pool, layout, rank_within(layout, hope, rng=rng), context.per_prompt)
    return by_worth(pool, batch, stage, worth, rng=rng, unit="probability")


def borda_bounds(
    layout: Layout, draws: Doubles, most: int, rng: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Return mean and standard deviation over the draws of each contender's Borda score.

    Args:
        layout: Pairs by prompt.
        draws: Rewards of its contenders, shape ``(C, K)`` with ``K`` at least 2.
        most: At most so many rivals of one prompt, drawn where there are more.
        rng: Draws them.

    Returns:
        Two arrays of shape ``(C,)``, in probability.
    """
    shuffled = np.lexsort((rng.random(len(layout.row)), layout.owner))  # within each prompt
    width = np.minimum(np.diff(layout.first), most)[layout.owner]
    mean, spread = np.empty(len(width)), np.empty(len(width))
    size = max(1, _CELLS // int(width.max(initial=1) * draws.shape[1]))
    for part in blocks(len(width), size):
        start = np.concatenate([[0], np.cumsum(width[part])])
        one = np.repeat(np.arange(part.start, part.stop), width[part])
        nth = np.arange(len(one)) - np.repeat(start[:-1], width[part])
        rival = shuffled[layout.first[layout.owner[one]] + nth]
        score = borda(expit(draws[one] - draws[rival]), start)
        mean[part], spread[part] = score.mean(axis=1), score.std(axis=1, ddof=1)
    return mean, spread


METHOD: Final = Method(
    name="ae_borda",
    summary=(
        "Asks the prompts where the best response is least clear: there it takes the response "
        "with the highest hopes and a rival at random. Good for finding good answers to every "
        "prompt when there are several responses each, with a guarantee in theory; no published "
        "count of labels saved. It does not look for what teaches the reward model most, nor at "
        "how alike the prompts of a batch are."
    ),
    config_type=Config,
    select=select,
)
