"""Greedy Fisher D-optimal design: the batch that shrinks the uncertainty of the weights most.

The same picks are known as greedy BatchBALD under a Gaussian posterior, MAP inference in a
determinantal point process, and the rule of ADPO (Kveton et al. 2025, arXiv:2503.01076, alg. 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning.acquisition.base import Method
from learning.data import Belief, Context, Pool, Selection
from learning.design import as_selection, greedy
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``dopt``."""

    after: int = option(
        0,
        "Comparisons after which it takes over; before, questions are drawn one a prompt. 0: as "
        "many as there are features.",
        low=0,
    )
    window: int = option(
        2000, "Pairs kept exact at a time. Changes the time, never the picks.", low=16
    )


def patience(config: Config, belief: Belief) -> int:
    """Return how many comparisons it waits for.

    With fewer answers than weights the posterior is the prior in most directions: the design
    would follow the geometry of the features, ask about extreme pairs, and fit their slope to
    everything else. Replayed on real files that costs more than it teaches (docs/benchmarks.md).
    """
    return config.after or belief.width


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Maximise ``log det(I + sum w z z^T) / 2`` greedily, in nats.

    ``w`` is :func:`learning.acquisition.base.kappa_weight`; answers given so far and questions
    that are out are in the belief, so the batch complements them.
    """
    chosen = greedy(
        pool,
        belief,
        pool.candidates,
        batch,
        rng=rng,
        per_prompt=context.per_prompt,
        window=config.window,
    )
    return as_selection(chosen)


METHOD: Final = Method(
    name="dopt",
    summary=(
        "Chooses the batch whose answers together tell most about the reward model: pairs that "
        "differ in ways the model is still unsure about, each one new with regard to the others, "
        "to the answers so far and to the questions that are out. The best supported rule for "
        "labelling reward-model data, and the default. It waits until there are as many answers "
        "as features (before, questions are drawn one a prompt), and it needs features that carry"
        " the preference: see the encoder card."
    ),
    config_type=Config,
    select=select,
    patience=patience,
)
