"""PowerBALD: BALD with noise, so that a batch is not all alike. Kirsch et al. (2023)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning import information
from learning.acquisition.base import Method, margins, top
from learning.data import Belief, Context, Pool, Selection
from learning.options import option

_LEAST: Final = float(np.finfo(np.float64).tiny)  # stands for zero information in logarithms


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``bald_power``."""

    power_first: float = option(
        1.0,
        "Power of the information in the first round. 1 draws in proportion to it, 0 uniformly.",
        low=0.0,
        high=100.0,
    )
    power_last: float = option(
        8.0,
        "Power in late rounds. The larger, the closer to always taking the best.",
        low=0.0,
        high=100.0,
    )
    rounds: int = option(20, "Rounds over which the power moves from first to last.", low=1)
    nodes: int = option(information.NODES, "Points of the quadrature.", low=4, high=128)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Draw pairs without replacement, each time in proportion to BALD to a power.

    The largest of ``power * log(information) + Gumbel`` noise (Kirsch et al. 2023,
    arXiv:2106.12059). Pairs without information come last, in random order.
    Propensities are those of :func:`again`.
    """
    power = power_at(context.round, config)
    mu, s2 = margins(pool, belief)
    value = information.bald(mu, s2, nodes=config.nodes) * pool.rates
    weight = power * np.log(np.maximum(value, _LEAST))
    key = weight + rng.gumbel(size=len(pool))
    drawn = top(key, replace(pool, rate=None), context, batch, rng=rng, unit="nats", power=power)
    chance = again(weight, key, drawn.indices, pool, context.per_prompt)
    return replace(drawn, gain=value[drawn.indices], propensity=chance)


def power_at(number: int, config: Config) -> float:
    """Return the power in a round: a straight line, then constant."""
    gone = min(number / config.rounds, 1.0)
    return config.power_first + gone * (config.power_last - config.power_first)


def again(
    weight: NDArray[np.float64],
    key: NDArray[np.float64],
    picked: NDArray[np.int64],
    pool: Pool,
    limit: int | None,
) -> NDArray[np.float64]:
    """Return how likely each pick was, given the noise of all *other* pairs, shape ``(B,)``.

    The chance over everybody's noise has no closed form. This one has, and dividing by it
    makes sums over the picks unbiased for sums over the pool all the same (Kool et al. 2019,
    arXiv:1903.06059): a pick stays one as long as its key beats that of the pair
    that would replace it.

    Args:
        weight: Logarithm of what pairs are drawn in proportion to, shape ``(N,)``.
        key: The same plus Gumbel noise.
        picked: Indices of the largest keys that the limit allows, shape ``(B,)``.
        pool: Says which pairs may be asked and their prompts.
        limit: How many of one prompt, ``None`` for no limit.
    """
    left = pool.eligible.copy()
    left[picked] = False
    _, prompt = np.unique(pool.prompt, return_inverse=True)
    asked = np.bincount(prompt[picked], minlength=len(pool))
    free = left if limit is None else left & (asked[prompt] < limit)
    anywhere = key[free].max(initial=-np.inf)
    same_prompt = np.full(len(pool), -np.inf)
    np.maximum.at(same_prompt, prompt[left], key[left])
    beaten = np.maximum(anywhere, same_prompt[prompt[picked]])
    return np.asarray(-np.expm1(-np.exp(weight[picked] - beaten)))


METHOD: Final = Method(
    name="bald_power",
    summary=(
        "Draws pairs at random, the more likely the more their answer says about the reward "
        "(BALD). The noise keeps a batch from asking the same thing over and over, and every "
        "question's probability is known, as studies that reweight answers need. At first the "
        "draw is mild, later close to taking the best. It is cheap variety where prompts repeat; "
        "replayed on small files it lost less than bald."
    ),
    config_type=Config,
    select=select,
)
