"""Uniform choice of prompts, then of a pair: random without asking one prompt twice."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import Method, NoConfig, place_in_group
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
    """Draw a pair of every prompt before a second of any.

    Prompts come in random order, again and again until the batch is full; each time a prompt
    gives one of its remaining pairs, all equally likely. Propensities: :func:`propensity`.
    """
    candidates = rng.permutation(pool.candidates)
    turn = place_in_group(pool.prompt[candidates])
    # Fresh numbers: by the permutation, prompts with many pairs would come first.
    order = np.lexsort((rng.random(len(candidates)), turn))
    if context.per_prompt is not None:
        order = order[turn[order] < context.per_prompt]
    picked = candidates[order[: max(batch, 0)]]
    chance = propensity(pool.prompt[candidates], turn, len(picked))
    return Selection(
        indices=picked, gain=np.zeros(len(picked)), propensity=chance[order[: len(picked)]]
    )


def propensity(
    prompt: NDArray[np.int64], turn: NDArray[np.int64], drawn: int
) -> NDArray[np.float64]:
    """Return the probability with which each pair is in the batch, shape ``(n,)``.

    ``P_t`` prompts have a ``t``-th pair to give. All of them give it in the turns that the
    batch covers, and each with probability ``rest / P_t`` in the turn that it breaks off. The
    expected number of pairs of a prompt is divided equally among its pairs.

    Args:
        prompt: Prompt of each pair that may be asked.
        turn: Numbers the pairs of each prompt from 0.
        drawn: Size of the batch.
    """
    prompts = np.bincount(turn)
    before = np.cumsum(prompts) - prompts
    share = np.clip((drawn - before) / prompts, 0.0, 1.0)  # of the prompts, in each turn
    _, group, size = np.unique(prompt, return_inverse=True, return_counts=True)
    expected = np.concatenate([[0.0], np.cumsum(share)])[size]
    return np.asarray((expected / size)[group])


METHOD: Final = Method(
    name="random_unique",
    summary=(
        "Draws prompts uniformly and then one pair of each; a second pair of a prompt only when "
        "all prompts have had one. It needs no model. Where prompts have unequal numbers of "
        "pairs it spreads the questions evenly over prompts, which is much of what cleverer "
        "functions gain: compare them with this too. The fallback where choosing saves nothing."
    ),
    config_type=NoConfig,
    select=select,
    needs_model=False,
    wrapped=False,
)
