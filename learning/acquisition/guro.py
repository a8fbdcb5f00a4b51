"""GURO: the pair that most tightens a bound on the ordering error.

Bergström et al. (NeurIPS 2024), arXiv:2405.03059, eq. 8: ``sigmoid'(mu) |z|_{H^-1}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from learning.acquisition.base import Method
from learning.data import Belief, Context, Pool, Selection
from learning.design import as_selection, greedy
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``guro``."""

    squared: bool = option(
        False,
        "Squares the norm, as the authors' code does: the exact Fisher leverage, which leans "
        "more towards large differences.",
    )


def slope(mu: NDArray[np.float64], s2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``sigmoid'(mu)``, the Fisher weight at the mean; same shape, at most 1/4."""
    p = expit(-np.abs(mu))
    return np.asarray(p * (1.0 - p))


def bound(weight: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``w sqrt(q)``, the paper's criterion."""
    return np.asarray(weight * np.sqrt(q))


def leverage(weight: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``w q``, the criterion of the authors' code."""
    return np.asarray(weight * q)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick by the bound, counting each pick as answered before the next."""
    chosen = greedy(
        pool,
        belief,
        pool.candidates,
        batch,
        rng=rng,
        per_prompt=context.per_prompt,
        weigh=slope,
        value=leverage if config.squared else bound,
    )
    return as_selection(chosen, unit="bound on the ordering error")


METHOD: Final = Method(
    name="guro",
    summary=(
        "Made for putting items in order: asks the pair that most lowers a bound on how often "
        "two items are ordered wrongly. Never below the baselines in its paper; close to dopt, "
        "with less pull towards extreme pairs. Choose it when the ranking itself is the product."
    ),
    config_type=Config,
    select=select,
)
