"""Double reversed Thompson sampling: one draw's favourite meets another draw's last.

ActiveUltraFeedback (2026), arXiv:2603.09692.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from learning.acquisition.base import Method, NoConfig
from learning.acquisition.dts import sampled_values
from learning.acquisition.per_prompt import Layout, by_design, rank_within, stages
from learning.data import Belief, Context, Pool, Selection


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: NoConfig,
) -> Selection:
    """Pick in each prompt one draw's best and another draw's worst, prompts by information."""
    layout = Layout.contested(pool)
    value, missed = sampled_values(layout, pool, belief, sign=-1, rng=rng)
    stage = stages(pool, layout, rank_within(layout, value, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng, fell_back=missed)


METHOD: Final = Method(
    name="drts",
    summary=(
        "Draws two plausible reward functions from the belief and pairs the best response under "
        "one with the worst under the other: wide gaps, with chance where the model is unsure. "
        "Together with delta_ucb the best rule in the published comparison for collecting data "
        "to train a policy from many responses a prompt. Not the choice for learning a reward "
        "model with few labels, and with two responses a prompt it has nothing to choose."
    ),
    config_type=NoConfig,
    select=select,
)
