"""PILAF on a pool: half the pairs explore the reward model's own direction.

Feng et al. (2025), arXiv:2502.04270, with a prompt's given responses in place of sampling from
tilted policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Layout,
    by_design,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``pilaf_pool``."""

    temperature: float = option(
        1.0,
        "Of the tilt towards good and bad responses: small values always take the best and the "
        "worst, large ones any pair.",
        low=0.01,
        high=1_000.0,
    )


def log_weight(mu: Doubles, temperature: float) -> Doubles:
    """Return the log weight of drawing ``(a, b)`` with ``a ~ exp(r/T)`` and ``b ~ exp(-r/T)``.

    The two draws are independent and repeated until they are an eligible pair, so that only the
    margin matters.

    Args:
        mu: Mean reward of ``a`` minus that of ``b``, any shape.
        temperature: ``T``, positive.

    Returns:
        Unnormalised, shape as given.
    """
    return mu / temperature


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Draw a pair of each prompt, tilted in half of them; take prompts by information."""
    layout = Layout.contested(pool)
    mu, _ = layout.margins(pool, belief)
    tilted = rng.random(len(layout.first) - 1) < 0.5
    tilt = np.where(tilted[layout.prompt], log_weight(mu, config.temperature), 0.0)
    # The largest of log weight + Gumbel noise is an exact draw, the order one without replacement.
    noise = rng.gumbel(size=(2, len(mu)))
    value = np.maximum(tilt + noise[0], -tilt + noise[1])
    stage = stages(pool, layout, rank_within(layout, value, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng, tilted=int(tilted.sum()))


METHOD: Final = Method(
    name="pilaf_pool",
    summary=(
        "In half of the prompts draws one response the model likes and one it dislikes, in the "
        "other half any two; then asks the prompts that teach most. Fits repeated rounds of "
        "policy training, where its authors report 40 % less annotation and compute; they "
        "generate such responses, here they are chosen among those that exist, which is weaker. "
        "With two responses a prompt there is nothing to choose."
    ),
    config_type=Config,
    select=select,
)
