"""The order in which pairs are trained on: prompts together, like lengths together, shuffled.

All pairs of one prompt form a *bundle* and go through the model at once, so that a response of
several pairs is read once a step and not once a pair (Ouyang et al. 2022, arXiv:2203.02155,
section 3.5). Everything follows from seed and epoch: a run that goes on needs two numbers to know
where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.finetune.data import Examples
from learning.text import joined

Bundle: TypeAlias = NDArray[np.int64]  # rows of comparisons
Step: TypeAlias = list[Bundle]

_BUCKET: Final = 32  # steps whose pairs are sorted by length together


def bundles(examples: Examples, rows: NDArray[np.int64], *, most: int) -> list[Bundle]:
    """Return comparisons by prompt, at most ``most`` together; every one of ``rows`` once."""
    found: dict[str, list[int]] = {}
    names: dict[int, str] = {}
    for row, left in zip(rows.tolist(), examples.comparisons.left[rows].tolist(), strict=True):
        name = names.setdefault(left, joined(examples.prompts[left], ""))
        found.setdefault(name, []).append(row)
    return [
        np.array(members[start : start + most], dtype=np.int64)
        for members in found.values()
        for start in range(0, len(members), most)
    ]


def steps(
    of: Sequence[Bundle], lengths: NDArray[np.int64], *, batch: int, seed: int, epoch: int
) -> list[Step]:
    """Return the steps of one epoch, each of about ``batch`` pairs and of like lengths.

    Bundles are shuffled, sorted by length within buckets of some steps, put into steps, and the
    steps are shuffled.

    Args:
        of: The bundles.
        lengths: Tokens of each bundle's longest text, shape ``(len(of),)``.
        batch: Pairs a step; a step may have fewer.
        seed, epoch: Decide the order.
    """
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(of))
    sizes = np.array([len(bundle) for bundle in of])
    made: list[Step] = []
    for part in _buckets(order, sizes, pairs=batch * _BUCKET):
        step: Step = []
        for place in part[np.argsort(-lengths[part], kind="stable")]:
            if step and sum(map(len, step)) + sizes[place] > batch:
                made.append(step)
                step = []
            step.append(of[place])
        made.append(step)
    return [made[place] for place in rng.permutation(len(made))]


def _buckets(
    order: NDArray[np.int64], sizes: NDArray[np.int64], *, pairs: int
) -> list[NDArray[np.int64]]:
    bucket = (np.cumsum(sizes[order]) - 1) // pairs
    return [order[bucket == number] for number in np.unique(bucket)]


def micro_batches(step: Step, most: int) -> list[NDArray[np.int64]]:
    """Return the comparisons of a step in parts of at most ``most``, prompts together if possible.

    A step's gradient is the sum over its parts, however it is cut.
    """
    made: list[NDArray[np.int64]] = []
    part: list[Bundle] = []
    for bundle in step:
        for start in range(0, len(bundle), most):
            piece = bundle[start : start + most]
            if part and sum(map(len, part)) + len(piece) > most:
                made.append(np.concatenate(part))
                part = []
            part.append(piece)
    return [*made, np.concatenate(part)] if part else made
