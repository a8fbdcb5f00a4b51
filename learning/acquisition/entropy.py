"""Predictive entropy: the pairs the model calls a coin flip."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.special import entr, expit

from learning.acquisition.base import Method, NoConfig, margins, top
from learning.data import Belief, Context, Pool, Selection, moderate


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: NoConfig,
) -> Selection:
    """Pick the pairs whose decisive outcome is most uncertain, in nats, at most ln 2.

    The probability is MacKay's moderated one. Uncertainty about the model and noise in the
    answers count alike, which is the weakness of this function.
    """
    mu, s2 = margins(pool, belief)
    size = np.abs(moderate(mu, s2))  # the sign is a matter of display order
    score = entr(expit(size)) + entr(expit(-size))
    return top(score, pool, context, batch, rng=rng, unit="nats")


METHOD: Final = Method(
    name="entropy",
    summary=(
        "Asks about the pairs whose winner the model is least sure of. Easy to understand and "
        "often a poor choice: it cannot tell a pair the model has not learnt from a pair that "
        "people themselves disagree on, and it likes near-duplicates. Use it to compare with."
    ),
    config_type=NoConfig,
    select=select,
    diagnostic=True,
)
