"""AEPO: in each prompt two responses that stand for the others and differ from each other.

Jinnai and Honda (2024), "Annotation-efficient preference optimization", for two responses; all
eligible pairs are looked at, so that no search is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from learning.acquisition.base import Method
from learning.acquisition.per_prompt import (
    Doubles,
    Layout,
    by_chance,
    rank_within,
    stages,
)
from learning.data import Belief, Context, Pool, Selection, blocks
from learning.options import option

_TILE: Final = 1_024  # contenders at a time: 3 MB of 384 double-precision features


@dataclass(frozen=True, slots=True)
class Config:
    """Options of ``aepo_subset``."""

    diversity: float = option(
        1.0,
        "Penalty on the two responses being alike: 0 takes the most typical ones.",
        low=0.0,
        high=100.0,
    )


def objective(pairwise: Doubles, total: Doubles, others: Doubles, diversity: float) -> Doubles:
    """Return representativeness minus ``diversity`` times likeness for subsets of two.

    Args:
        pairwise: Similarity of the two responses, shape ``(n,)``.
        total: Sum of both responses' similarities to all others of the prompt, same shape.
        others: Number of responses of the prompt less one, same shape, at least 1.
        diversity: ``lambda``, at least 0.

    Returns:
        ``1' S 1_Y / ((N - 1) k) - lambda 1_Y' S 1_Y / (k (k - 1))`` at ``k = 2``, shape ``(n,)``.
    """
    return total / (2.0 * others) - diversity * pairwise


def similarities(layout: Layout, features: Doubles) -> tuple[Doubles, Doubles]:
    """Return cosine similarity of each pair, and the sum of both ends' to all others.

    Linear in the number of responses: the similarities to all others of a prompt are one product
    with the sum of their unit vectors. A response with zero features is like no other.

    Args:
        layout: Pairs by prompt.
        features: Of its contenders, shape ``(C, d)``.

    Returns:
        Two arrays of shape ``(n,)``.
    """
    norm = np.sqrt(np.vecdot(features, features))[:, None]
    unit = np.divide(features, norm, out=np.zeros_like(features), where=norm > 0)
    whole = np.add.reduceat(unit, layout.first[:-1])
    total = np.vecdot(unit, whole[layout.owner] - unit)
    left, right = layout.ends.T
    likeness = np.empty(len(left))
    for part in blocks(len(left)):  # a prompt may have far more pairs than responses
        likeness[part] = np.vecdot(unit[left[part]], unit[right[part]])
    return likeness, total[left] + total[right]


def select(
    pool: Pool,
    belief: Belief,
    context: Context,
    batch: int,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Selection:
    """Pick the best pair of each prompt by :func:`objective`; prompts are drawn uniformly.

    A prompt's responses are those in its eligible pairs. Gains are values of the objective
    times rate; propensities are those of the prompts.
    """
    layout = Layout.of(pool, pool.candidates)
    value = np.empty(len(layout.pair))
    for place, part in layout.tiles(_TILE):
        phi = pool.features[part.row].astype(np.float64)
        others = np.diff(part.first)[part.prompt] - 1.0
        value[place] = objective(*similarities(part, phi), others, config.diversity)
    worth = np.zeros(len(pool))
    worth[layout.pair] = value
    stage = stages(pool, layout, rank_within(layout, value, rng=rng), context.per_prompt)
    return by_chance(batch, stage, worth * pool.rates, rng=rng, unit="similarity")


METHOD: Final = Method(
    name="aepo_subset",
    summary=(
        "Looks only at the texts: in each prompt it takes two responses that are typical of the "
        "prompt's responses and still unlike each other, and draws prompts at random. Works "
        "before any answer and suits large sets of sampled responses of which few pairs can be "
        "labelled; its authors beat random pairs at the same number of labels. It never learns "
        "from the answers, and with two responses a prompt it is a random choice."
    ),
    config_type=Config,
    select=select,
    needs_model=False,
)
