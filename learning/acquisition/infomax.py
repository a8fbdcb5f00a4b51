"""InfoMax over a prompt's pairs: the one whose win probability is least pinned down.

The information rule in the comparison of ActiveUltraFeedback (2026), arXiv:2603.09692, with the
standard deviation of the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import expit

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
    """Options of ``infomax``."""

    deviations: float = option(
        1.0,
        "Half the width of the margin's interval, in standard deviations.",
        low=0.01,
        high=100.0,
    )


def probability_width(lower: Doubles, upper: Doubles) -> Doubles:
    """Return ``sigmoid(upper) - sigmoid(lower)``, the interval of the win probability.

    Args:
        lower: Lower bound of the margin, in logits, shape ``(n,)``.
        upper: Upper bound, same shape, at least ``lower``.

    Returns:
        Shape ``(n,)``, in [0, 1]; the same from either side.
    """
    # Seen from the side that is behind, both terms are small and their difference is exact.
    ahead = lower + upper > 0
    low, high = np.where(ahead, -upper, lower), np.where(ahead, -lower, upper)
    return np.asarray(expit(high) - expit(low))


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick the pair of each prompt with the widest probability interval, prompts by design."""
    layout = Layout.contested(pool)
    width = probability_width(*bounds(*layout.margins(pool, belief), config.deviations))
    stage = stages(pool, layout, rank_within(layout, width, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng)


METHOD: Final = Method(
    name="infomax",
    summary=(
        "Takes, within each prompt, the pair whose chance of winning the model can say least "
        "about, and asks the prompts that teach it most. A sensible way to learn a reward model "
        "when prompts have several responses, close to plain dopt with one pair a prompt. In "
        "the published comparison it was worse than random for training a policy: pairs that "
        "are informative are often near ties."
    ),
    config_type=Config,
    select=select,
)
