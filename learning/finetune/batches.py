"""The order in which pairs are trained on: prompts together, like lengths together, shuffled.

All pairs of one prompt form a *bundle* and go through the model at once, so that a response of
several pairs is read once a step and not once a pair (Ouyang et al. 2022, arXiv:2203.02155,
section 3.5). What several people said of a pair goes together, too, and counts as one pair: a step
of sixteen pairs is about as many texts however many people answered. Counted by answers, three
rankings of one prompt would fill a step, which then learns from that prompt alone.

Everything follows from seed and epoch: a run that goes on needs two numbers to know where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.finetune.data import Examples
from learning.text import joined

Pair: TypeAlias = NDArray[np.int64]  # rows of all comparisons of it
Bundle: TypeAlias = list[Pair]
Step: TypeAlias = list[Bundle]

_BUCKET: Final = 32  # steps whose pairs are sorted by length together


def bundles(examples: Examples, rows: NDArray[np.int64], *, most: int) -> list[Bundle]:
    """Return pairs by prompt, at most ``most`` together; every one of ``rows`` is in one."""
    found: dict[str, dict[tuple[int, int], list[int]]] = {}
    names: dict[int, str] = {}
    pairs = np.sort(examples.comparisons.pairs[rows], axis=1)
    for row, (low, high) in zip(rows.tolist(), pairs.tolist(), strict=True):
        name = names.setdefault(low, joined(examples.prompts[low], ""))
        found.setdefault(name, {}).setdefault((low, high), []).append(row)
    return [
        [np.array(one, dtype=np.int64) for one in islice(members.values(), start, start + most)]
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
    """Return the comparisons of a step by parts of ``most`` pairs, prompts together if possible.

    A step's gradient is the sum over its parts, however it is cut.
    """
    made: list[NDArray[np.int64]] = []
    part: Bundle = []
    for bundle in step:
        for start in range(0, len(bundle), most):
            piece = bundle[start : start + most]
            if part and len(part) + len(piece) > most:
                made.append(np.concatenate(part))
                part = []
            part += piece
    return [*made, np.concatenate(part)] if part else made
