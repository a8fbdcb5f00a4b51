"""MaxMinLCB: the response that surely beats most, against the rival it may lose to.

A duelling-bandit rule in the comparison of ActiveUltraFeedback (2026), arXiv:2603.09692, with
the standard deviation of the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Ints,
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
    """Options of ``maxmin_lcb``."""

    deviations: float = option(
        1.0,
        "Standard deviations of the margin by which the model is taken to be wrong.",
        low=0.0,
        high=100.0,
    )


def worst_case(ends: Ints, lower: Doubles, upper: Doubles, contenders: int) -> Doubles:
    """Return the lowest bound on each contender's margin over any of its rivals.

    Args:
        ends: Contenders of each pair, shape ``(n, 2)``.
        lower: Lower bound of the margin of the first over the second, shape ``(n,)``.
        upper: Upper bound, same shape.
        contenders: How many there are.

    Returns:
        ``min_j l_ij`` in logits, shape ``(contenders,)``; infinite for one without a pair.
    """
    worst = np.full(contenders, np.inf)
    np.minimum.at(worst, ends[:, 0], lower)
    np.minimum.at(worst, ends[:, 1], -upper)
    return worst


def preference_keys(
    ends: Ints, lower: Doubles, upper: Doubles, contenders: int
) -> tuple[Doubles, Doubles]:
    """Return what ranks pairs: their stronger contender's worst case, then its danger there.

    The first pair by these keys is ``i = argmax_i min_j l_ij`` against ``j = argmin_j l_ij``.

    Returns:
        Two arrays of shape ``(n,)`` in logits, larger first: the worst case (as a margin, since
        probabilities cannot be told apart near 0 and 1), and ``-l_ij`` in this very pair.
    """
    worst = worst_case(ends, lower, upper, contenders)
    one, other = worst[ends[:, 0]], worst[ends[:, 1]]
    forward = (one > other) | ((one == other) & (lower < -upper))
    return np.maximum(one, other), np.where(forward, -lower, upper)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick in each prompt the safest response with its most dangerous rival, by information."""
    layout = Layout.contested(pool)
    lower, upper = bounds(*layout.margins(pool, belief), config.deviations)
    keys = preference_keys(layout.ends, lower, upper, len(layout.row))
    stage = stages(pool, layout, rank_within(layout, *keys, rng=rng), context.per_prompt)
    return by_design(pool, belief, batch, stage, rng=rng)


METHOD: Final = Method(
    name="maxmin_lcb",
    summary=(
        "Looks for the best response of each prompt with few questions: takes the response that "
        "does best in its worst case and puts it against the rival that threatens it most. Use "
        "it to find winners, for example to publish the best answer. It pairs strong responses "
        "with each other, which are near ties, and did worse than random as training data in "
        "the published comparison."
    ),
    config_type=Config,
    select=select,
)
