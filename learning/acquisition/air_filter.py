"""AIR: pairs with a moderate gap between two good responses.

AIR (2025), arXiv:2504.03612, with the head's margin for the gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning import design
from learning.acquisition.base import Method, kappa_weight
from learning.acquisition.per_prompt import (
    Doubles,
    Layout,
    by_design,
    mean_rewards,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection
from learning.errors import ShapeError
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``air_filter``."""

    narrowest: float = option(
        0.3, "Gaps below this quantile of the pool are too narrow.", low=0.0, high=1.0
    )
    widest: float = option(
        0.7, "Gaps above this quantile of the pool are too wide.", low=0.0, high=1.0
    )
    quality: float = option(
        0.5,
        "The mean quality of both responses must reach this quantile of the pool.",
        low=0.0,
        high=1.0,
    )


def failures(gap: Doubles, quality: Doubles, config: Config) -> Doubles:
    """Return how many of the two demands each pair fails: a moderate gap, and quality.

    Args:
        gap: Absolute margin, in logits, shape ``(n,)``.
        quality: Mean quality of the two responses, on any scale, same shape.
        config: The quantiles.

    Returns:
        0, 1 or 2, shape ``(n,)``. Somebody always passes what they are measured against.
    """
    if not len(gap):
        return np.empty(0)
    low, high = np.quantile(gap, [config.narrowest, max(config.narrowest, config.widest)])
    moderate = (gap >= low) & (gap <= high)
    good = quality >= np.quantile(quality, config.quality)
    return np.asarray(2.0 - moderate - good)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick by information among the pairs that pass, then among those that fail once, then twice.

    Quality is ``context.quality`` or else the mean reward; only its order matters.
    ``info["passed"]`` counts the pairs that pass both demands.

    Raises:
        ShapeError: ``context.quality`` is not one number a response.
    """
    layout = Layout.of(pool, pool.candidates)
    mu, s2 = layout.margins(pool, belief)
    failed = failures(np.abs(mu), _quality(layout, pool, belief, context), config)
    worth = design.information(kappa_weight(mu, s2), s2) * pool.rates[layout.pair]
    rank = rank_within(layout, -failed, worth, rng=rng)
    stage = stages(pool, layout, rank, context.per_prompt)
    # First whoever passes, whichever of its prompt it is, so failures outweigh every rank.
    stage[layout.pair] += (failed * len(pool) * (stage[layout.pair] >= 0)).astype(np.int64)
    return by_design(pool, belief, batch, stage, rng=rng, passed=int((failed == 0).sum()))


def _quality(layout: Layout, pool: Pool, belief: Belief, context: Context) -> Doubles:
    """Return the mean quality of each pair's responses, shape ``(n,)``."""
    if context.quality is None:
        each = mean_rewards(pool, belief, layout.row)
    elif len(context.quality) == len(pool.features):
        each = context.quality[layout.row]
    else:
        given, wanted = len(context.quality), len(pool.features)
        raise ShapeError(f"quality must have shape ({wanted},), got ({given},)")
    return np.asarray(each[layout.ends].mean(axis=1))


METHOD: Final = Method(
    name="air_filter",
    summary=(
        "Leaves out pairs whose predicted gap is very narrow (people would guess) or very wide "
        "(nothing to learn), and pairs of poor responses; asks the most informative of the rest. "
        "Part of a recipe that gained five points over its baseline when curating data for a "
        "policy, mostly with scores from LLM judges: give it such scores as quality if there are "
        "any. The predicted gap is unreliable early in a campaign, and the filter can leave out "
        "what a reward model would learn most from."
    ),
    config_type=Config,
    select=select,
)
