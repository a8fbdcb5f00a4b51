"""Uniform choice: the control that every saving is measured against."""

from __future__ import annotations

from typing import Final

import numpy as np

from learning.acquisition.base import Method, NoConfig
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
    """Draw eligible pairs uniformly without replacement; each has propensity ``k / N``."""
    candidates = pool.candidates
    k = min(max(batch, 0), len(candidates))
    picked = rng.choice(candidates, size=k, replace=False)
    propensity = np.full(k, k / max(len(candidates), 1))
    return Selection(indices=picked, gain=np.zeros(k), propensity=propensity)


METHOD: Final = Method(
    name="random",
    summary=(
        "Draws pairs uniformly from the pool. It needs no model, is right for a first batch, "
        "and is the yardstick: the part of every batch that is drawn this way shows what the "
        "other functions really save. Keep it as the policy when they save nothing."
    ),
    config_type=NoConfig,
    select=select,
    needs_model=False,
    wrapped=False,
)
