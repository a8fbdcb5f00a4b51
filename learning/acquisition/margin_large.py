"""Largest margin: the pairs whose winner the mean reward is surest of."""

from __future__ import annotations

from typing import Final

import numpy as np

from learning.acquisition.base import Method, NoConfig, margins, top
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
    """Pick the pairs with the largest ``|mu|``, in logits."""
    mu, _ = margins(pool, belief)
    return top(np.abs(mu), pool, context, batch, rng=rng, unit="logits")


METHOD: Final = Method(
    name="margin_large",
    summary=(
        "Asks about the pairs whose winner the model is surest of. Answers are seldom in doubt "
        "and clean, and can catch a model that is confidently wrong. Replayed on real files it "
        "went either way, clearly worse than random on two and clearly better on one. It is here "
        "because some recipes for policy training use it. Use it to compare with."
    ),
    config_type=NoConfig,
    select=select,
    diagnostic=True,
)
