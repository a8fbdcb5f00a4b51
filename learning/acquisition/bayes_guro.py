"""BayesGURO: where plausible rewards disagree about the probability, Bergström et al. (2024)."""

from __future__ import annotations

from typing import Final

import numpy as np

from learning import information
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
    """Pick the pairs with the largest variance of the win probability, at most 1/4.

    Source: arXiv:2405.03059, with quadrature in place of 50 posterior samples.
    """
    mu, s2 = margins(pool, belief)
    score = information.sigmoid_variance(mu, s2)
    return top(score, pool, context, batch, rng=rng, unit="probability squared")


METHOD: Final = Method(
    name="bayes_guro",
    summary=(
        "Asks about the pairs on whose win probability plausible reward models disagree most. It "
        "is the Bayesian form of guro, made for ordering items by comparisons. It resembles "
        "bald, with less weight on pairs that have a clear favourite, and needs no logarithms "
        "to understand. Like all functions that score pairs one by one it may ask near-copies "
        "in one batch."
    ),
    config_type=NoConfig,
    select=select,
)
