"""Smallest margin: the pairs that the mean reward calls closest."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import expit

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
    """Pick the pairs with the smallest ``|mu|``.

    The score is the chance that the less likely response wins, at most 1/2: the same order,
    and positive, as a rate can only multiply what is. "Sharpe ratio" selection
    (arXiv:2503.22137) is this order too.
    """
    mu, _ = margins(pool, belief)
    return top(expit(-np.abs(mu)), pool, context, batch, rng=rng, unit="probability")


METHOD: Final = Method(
    name="margin_small",
    summary=(
        "Asks about the pairs whose two responses the model scores most alike. It does not look "
        "at how sure the model is, so it keeps asking about pairs that really are equally good, "
        "and about near-copies. Replayed on real files it was clearly worse than random on five "
        "of seven. Use it to compare with."
    ),
    config_type=NoConfig,
    select=select,
    diagnostic=True,
)
