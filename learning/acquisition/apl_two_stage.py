"""APL in two stages: uncertain prompts, and in each the pair with the widest predicted gap.

Muldrew et al. (2024), arXiv:2402.08114, with the reward model's margin in place of the
implicit reward of a policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import entr

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Ints,
    Layout,
    by_worth,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Prompts, Selection
from learning.options import option


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``apl_two_stage``."""

    oversample: int = option(
        4,
        "Draws so many prompts for each that is asked and keeps the most uncertain. 1: prompts "
        "at random; large values: the most uncertain of all.",
        low=1,
        high=1_000_000,
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
    """Pick among randomly drawn prompts those of most entropy, in each the widest gap.

    The entropy is the language model's, per token, where ``context.prompts`` has that of any of
    them; otherwise the mean predictive entropy of the prompt's pairs, in nats either way.
    ``info["entropy"]`` says which, ``info["entropy_model"]`` names the model, and
    ``info["unknown"]`` for how many prompts the mean of the others stood in.
    """
    layout = Layout.of(pool, pool.candidates)
    mu, s2 = layout.margins(pool, belief)
    numbers = pool.prompt[layout.pair[layout.start[:-1]]]
    entropy, info = asked_for(context.prompts, numbers)
    if entropy is None:
        entropy, info = predictive_entropy(layout, belief.preference(mu, s2)), {"entropy": "head"}
    drawn = np.zeros(len(entropy), dtype=np.bool_)
    drawn[rng.permutation(len(entropy))[: config.oversample * max(batch, 0)]] = True
    worth = np.zeros(len(pool))
    worth[layout.pair] = entropy[layout.prompt]
    stage = stages(pool, layout, rank_within(layout, np.abs(mu), rng=rng), context.per_prompt)
    stage[layout.pair[~drawn[layout.prompt]]] = -1
    return by_worth(pool, batch, stage, worth, rng=rng, unit="nats", **info)


def asked_for(known: Prompts | None, numbers: Ints) -> tuple[Doubles | None, dict[str, Any]]:
    """Return the language model's entropy of each prompt, shape ``(P,)``, and what to note of it.

    Nothing where it is known of no prompt.
    """
    if known is None or known.entropy is None:
        return None, {}
    entropy, unknown = look_up(known.ids, known.entropy, numbers)
    if unknown == len(numbers):
        return None, {}
    named = {"entropy_model": known.model} if known.model else {}
    return entropy, {"entropy": "language model", **named, "unknown": unknown}


def predictive_entropy(layout: Layout, p: Doubles) -> Doubles:
    """Return the mean entropy of the pairs of each prompt.

    Args:
        layout: Pairs by prompt.
        p: P(first is better) of each pair, shape ``(n,)``.

    Returns:
        Nats, shape ``(P,)``, at most ln 2.
    """
    if not len(p):
        return np.empty(0)
    total = np.add.reduceat(entr(p) + entr(1.0 - p), layout.start[:-1])
    return np.asarray(total / np.diff(layout.start))


def look_up(ids: Ints, entropy: Doubles, numbers: Ints) -> tuple[Doubles, int]:
    """Return the given entropy of each prompt, and the mean of the others where it is unknown.

    Args:
        ids: Prompts whose entropy is given, shape ``(k,)``.
        entropy: Their entropies; NaN counts as unknown. Same shape.
        numbers: Prompts whose entropy is wanted, shape ``(P,)``.

    Returns:
        Shape ``(P,)``, finite, and how many were unknown.
    """
    finite = np.isfinite(entropy)
    ids, entropy = ids[finite], entropy[finite]
    if not len(ids):
        return np.zeros(len(numbers)), len(numbers)
    order = np.argsort(ids)
    place = order[np.minimum(np.searchsorted(ids[order], numbers), len(ids) - 1)]
    known = ids[place] == numbers
    usual = entropy[place[known]].mean() if known.any() else 0.0
    return np.where(known, entropy[place], usual), int((~known).sum())


METHOD: Final = Method(
    name="apl_two_stage",
    summary=(
        "Keeps the prompts whose answers are most uncertain among some drawn at random, and in "
        "each asks about the pair the model separates most: it looks for confident mistakes. "
        "Made for preference data to train a policy. The evidence is mixed: gains of a few "
        "percent in win rate at first, about as good as random in a later replication; for a "
        "reward model, gaps that look settled teach little."
    ),
    config_type=Config,
    select=select,
    needs_entropy=True,
)
