"""DeltaUCB: in each prompt the pair whose reward gap may be widest.

ActiveUltraFeedback (2026), arXiv:2603.09692, with the standard deviation of the *difference*
instead of two separate bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Layout,
    bounds,
    by_design,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``delta_ucb``."""

    deviations: float = option(
        1.0,
        "Standard deviations of the margin added to the predicted gap: 0 asks about the widest "
        "predicted gap, large values about the most uncertain one.",
        low=0.0,
        high=100.0,
    )


def optimistic_gap(lower: Doubles, upper: Doubles) -> Doubles:
    """Return how far one response may be ahead of the other, ``max(upper, -lower)``.

    Args:
        lower: Lower bound of the margin, in logits, shape ``(n,)``.
        upper: Upper bound, same shape.

    Returns:
        Shape ``(n,)``, in logits; the larger ``u_ij`` of the two directions.
    """
    return np.maximum(upper, -lower)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick the pair of each prompt with the widest optimistic gap, prompts by information."""
    layout = Layout.contested(pool)
    gap = optimistic_gap(*bounds(*layout.margins(pool, belief), config.deviations))
    stage = stages(pool, layout, rank_within(layout, gap, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng)


METHOD: Final = Method(
    name="delta_ucb",
    summary=(
        "Pairs, within each prompt, a response that may be very good with one that may be very "
        "bad, and asks the prompts that teach the model most. Meant for collecting data to train "
        "a policy (such as DPO) from many responses a prompt: its authors reached the downstream "
        "score of 60 000 random comparisons with 5 000 to 10 000. For the reward model itself "
        "the plain information functions (dopt, vopt) are the better choice, and with two "
        "responses a prompt there is nothing for it to choose."
    ),
    config_type=Config,
    select=select,
)
