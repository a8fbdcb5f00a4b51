"""EPIG: information about chosen predictions, Bickford Smith et al. (2023)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import Method, kappa_weight, top
from learning.data import Belief, Context, Pool, Selection, blocks, row_squares
from learning.options import option

_ROWS: Final = 8_192  # candidates at a time, at most
_TILE_BYTES: Final = 8 * 2**20  # of correlations at a time; larger tiles fall out of the cache
_MOST: Final = 1.0 - 1e-6  # squared correlation; single precision can round up to 1


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``epig``."""

    targets: int = option(
        1000,
        "How many pairs stand for what the model should get right: drawn from the campaign's "
        "targets or, where it has none, from the whole pool. Time grows with it.",
        low=1,
        high=20_000,
    )
    noisy: bool = option(
        True,
        "Count information about the answer to a target, not about its margin: targets that "
        "are decided either way then count less.",
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
    """Pick the pairs whose answer tells most about the targets' answers on average, in nats.

    With Gaussian margins and answers of precision ``w`` the information is
    ``-log(1 - rho^2) / 2``, ``rho^2 = (x^T S x*)^2 / ((s2 + 1/w) (s*2 + 1/w*))``, the last term
    only if ``noisy``. Gaussian form of arXiv:2304.08151. Targets from the pool are drawn
    from all of it, answered pairs included: the pool stands for future use.
    """
    candidates = pool.candidates
    score = np.zeros(len(pool))
    aims = _targets(pool, context, config.targets, rng)
    if len(candidates) and len(aims):
        goal = _standardised(belief, pool, aims, noisy=config.noisy).T
        for part in blocks(len(candidates), _rows(goal)):
            asked = candidates[part]
            rho = _standardised(belief, pool, pool.pairs[asked], noisy=True) @ goal
            score[asked] = _mean_information(rho)
    return top(score, pool, context, batch, rng=rng, unit="nats", targets=len(aims))


def _targets(
    pool: Pool, context: Context, most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    given = context.targets if len(context.targets) else pool.pairs
    if len(given) <= most:
        return given
    return given[np.sort(rng.choice(len(given), most, replace=False))]


def _standardised(
    belief: Belief, pool: Pool, pairs: NDArray[np.int64], *, noisy: bool
) -> NDArray[np.floating[Any]]:
    """Return rows whose inner products are correlations, of answers or of margins."""
    mu, z = belief.whiten(pool.features, pairs)
    s2 = row_squares(z)
    if noisy:  # 1 / sqrt(s2 + 1 / w) without dividing by a weight that may be zero
        weight = kappa_weight(mu.astype(np.float64), s2)
        scale = np.sqrt(weight / (1.0 + weight * s2))
    else:
        scale = np.divide(1.0, np.sqrt(s2), out=np.zeros(len(s2)), where=s2 > 0)
    z *= scale.astype(z.dtype)[:, None]
    return z


def _mean_information(rho: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the mean of ``-log(1 - rho^2) / 2`` over columns, in place of ``rho``."""
    np.square(rho, out=rho)
    np.minimum(rho, _MOST, out=rho)
    np.negative(rho, out=rho)
    np.log1p(rho, out=rho)
    return np.asarray(-0.5 * rho.mean(axis=1, dtype=np.float64))


def _rows(goal: NDArray[np.floating[Any]]) -> int:
    """How many candidates at a time."""
    return max(1, min(_ROWS, _TILE_BYTES // int(goal.shape[1] * goal.itemsize)))


METHOD: Final = Method(
    name="epig",
    summary=(
        "Asks about the pairs whose answer says most about answers to other pairs: those the "
        "model should get right, or the pool as a whole. Unlike bald it does not care for an "
        "odd pair that tells only about itself. Use it when the questions that matter differ "
        "from the pool and are known. Each pair is scored alone, so near-copies may come "
        "together."
    ),
    config_type=Config,
    select=select,
)
