"""The first batches, before there is a model to speak of: cover what the features span.

Greedy D-optimal design with the constant weight 1/4 is a pivoted Cholesky factorisation of the
kernel of pair differences: the geometry alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition import dopt
from learning.acquisition.base import Method
from learning.data import Belief, Context, Pool, Selection
from learning.design import as_selection, greedy
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``coldstart``."""

    until: int = option(
        0,
        "Comparisons after which dopt takes over. 0: a quarter of the number of features, at "
        "most 64.",
        low=0,
    )


def even(mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1/4 for every pair, the Fisher weight of a coin flip; same shape."""
    return np.full(len(mu), 0.25)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Maximise ``log det(I + sum z z^T / 4) / 2`` greedily, in nats, then hand over to dopt."""
    until = config.until or min(belief.width // 4, 64)
    if belief.n_comparisons >= until:
        return dopt.select(pool, belief, context, batch, rng=rng, config=dopt.METHOD.parse_config())
    chosen = greedy(
        pool,
        belief,
        pool.candidates,
        batch,
        rng=rng,
        per_prompt=context.per_prompt,
        weigh=even,
    )
    return as_selection(chosen)


METHOD: Final = Method(
    name="coldstart",
    summary=(
        "For the very first batches: pairs that together cover the ways in which responses "
        "differ, whatever a model of a handful of answers may think. Turns into dopt by itself "
        "once there are enough answers. A batch drawn at random is a sound alternative, and the "
        "safer one where the pool holds junk: what is extreme is asked first."
    ),
    config_type=Config,
    select=select,
    needs_model=False,
)
