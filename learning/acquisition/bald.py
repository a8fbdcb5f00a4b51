"""BALD: the information in one answer about the reward, Houlsby et al. (2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning import information
from learning.acquisition.base import Method, margins, top
from learning.data import Belief, Context, Pool, Selection
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``bald``."""

    nodes: int = option(
        information.NODES,
        "Points of the quadrature. 24 are exact to 0.1 % at usual uncertainty; more cost time.",
        low=4,
        high=128,
    )


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick the pairs with the largest mutual information, in nats, at most ln 2.

    Gaussian margins for every belief, an ensemble included. Source: arXiv:1112.5745, eq. 2.
    """
    mu, s2 = margins(pool, belief)
    score = information.bald(mu, s2, nodes=config.nodes)
    return top(score, pool, context, batch, rng=rng, unit="nats")


METHOD: Final = Method(
    name="bald",
    summary=(
        "Asks about the pairs whose answer says most about the reward: plausible reward models "
        "each predict a clear winner there, and not the same one. Unlike entropy it ignores pairs"
        " that are a coin flip to every model. It scores each pair alone, so a batch may ask the "
        "same thing many times: keep one question a prompt. Replayed on real files it did as well"
        " as dopt where responses recur in many pairs, and worse than random where there were "
        "fewer answers than features."
    ),
    config_type=Config,
    select=select,
)
