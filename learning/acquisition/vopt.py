"""V-optimal design: the batch after which the model is surest about the pairs that matter.

Minimises ``tr(A Sigma)`` with ``A = sum_t omega_t x_t x_t^T`` over target pairs: Fedorov's
(1972) L-optimality; BAIT (Ash et al. 2021, arXiv:2106.09675) and the policy-weighted design of
Du et al. (2026) are special cases of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import Method, kappa_weight
from learning.data import Belief, Context, Pool, Selection
from learning.design import as_selection, greedy_variance
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``vopt``."""

    omega: str = option(
        "uniform",
        "What the targets weigh: every margin alike; by what its doubt costs in log-loss; most "
        "where the sign is undecided; or by how a policy would choose among a prompt's answers.",
        choices=("uniform", "logloss", "sign", "policy"),
    )
    targets: int = option(
        2000, "So many target pairs are drawn from the pool where none are given.", low=1
    )
    shortlist: int = option(8000, "Pairs kept exact between two looks at the whole pool.", low=16)


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick one after the other by ``w a / (1 + w q)``, the exact drop of ``tr(A Sigma)``.

    What :func:`learning.design.greedy_variance` says of bounds holds; ``info["missed"]`` tells
    how far the shortlist was from looking at everything.
    """
    if not len(pool.candidates):
        return Selection.empty()
    target = target_matrix(pool, belief, context, config, rng)
    chosen = greedy_variance(
        pool,
        belief,
        pool.candidates,
        batch,
        target,
        rng=rng,
        per_prompt=context.per_prompt,
        shortlist=config.shortlist,
    )
    return as_selection(chosen)


def target_matrix(
    pool: Pool, belief: Belief, context: Context, config: Config, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return ``A`` in whitened coordinates, ``sum_t omega_t z_t z_t^T / sum_t omega_t``.

    Args:
        pool: Where targets are drawn from, asked pairs included.
        belief: Gives margins and whitened rows.
        context: Its ``targets`` are used where there are any.
        config: Weights and number of targets.
        rng: Draws them.

    Returns:
        Shape ``(rank, rank)``, positive semi-definite.
    """
    pairs, prompt = context.targets, np.arange(len(context.targets))
    if not len(pairs):
        at = rng.choice(len(pool), size=min(config.targets, len(pool)), replace=False)
        pairs, prompt = pool.pairs[at], pool.prompt[at]
    mu, z = belief.whiten(pool.features, pairs, dtype=np.float64)
    if config.omega == "policy":
        omega = policy_weights(pool, belief, pairs, prompt)
    else:
        omega = target_weights(config.omega, mu.astype(np.float64), np.square(z).sum(axis=1))
    return np.asarray(z.T @ (omega[:, None] * z) / omega.sum())


def target_weights(
    omega: str, mu: NDArray[np.float64], s2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what each target weighs, positive, same shape as ``mu``.

    ``uniform``: 1. ``logloss``: ``w``, because the expected excess log-loss is about ``w s2 /
    2``. ``sign``: the density of the margin at zero, ``exp(-mu^2 / 2 s2) / s``: only the sign
    of a margin decides, so spend on what may still turn (the argument of Zhao and Jun 2026,
    arXiv:2602.01581, in Gaussian form).
    """
    if omega == "logloss":
        return kappa_weight(mu, s2)
    if omega == "sign":
        s2 = np.maximum(s2, 1e-12)
        # Relative to the largest: far from zero everywhere, all densities underflow.
        log_density = -(mu**2) / (2 * s2) - np.log(s2) / 2
        return np.asarray(np.exp(np.maximum(log_density - log_density.max(), -50.0)))
    return np.ones(len(mu))


def policy_weights(
    pool: Pool, belief: Belief, pairs: NDArray[np.int64], prompt: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return ``pi_i pi_j`` of each pair, ``pi`` the softmax of rewards within its prompt.

    ``diag(pi) - pi pi^T`` over a prompt's responses is the sum of ``pi_i pi_j (phi_i -
    phi_j)(phi_i - phi_j)^T`` over its pairs: the curvature of a policy's objective. A prompt's
    responses are those of the given pairs and of the pool's pairs about it.

    Args:
        pool: Candidate pairs.
        belief: Gives rewards.
        pairs: Targets, shape ``(t, 2)``.
        prompt: Prompt of each, shape ``(t,)``.

    Returns:
        Positive, shape ``(t,)``.
    """
    about = np.isin(pool.prompt, prompt)
    members = np.concatenate(
        [
            np.column_stack([np.repeat(prompt, 2), pairs.ravel()]),
            np.column_stack([np.repeat(pool.prompt[about], 2), pool.pairs[about].ravel()]),
        ]
    )
    members, place = np.unique(members, axis=0, return_inverse=True)
    rows, of_row = np.unique(members[:, 1], return_inverse=True)
    reward = np.concatenate(
        [belief.respond(pool.features, rows[part])[0] for part in belief.blocks(len(rows))]
    )[of_row]
    _, start, group = np.unique(members[:, 0], return_index=True, return_inverse=True)
    shifted = np.exp(np.maximum(reward - np.maximum.reduceat(reward, start)[group], -50.0))
    chance = shifted / np.add.reduceat(shifted, start)[group]
    of_pair = chance[place.ravel()[: 2 * len(pairs)]].reshape(-1, 2)
    return np.asarray(of_pair.prod(axis=1), dtype=np.float64)


METHOD: Final = Method(
    name="vopt",
    summary=(
        "Chooses the batch after which the model is surest about the pairs that matter: those "
        "of the pool, or target pairs if some are known, such as what a policy will be judged "
        "on. Where the targets are the pool itself it does about as well as dopt; with targets "
        "of their own it is the better choice."
    ),
    config_type=Config,
    select=select,
)
