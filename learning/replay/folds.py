"""What one seed decides: the test fold, the first batch, and which answer each pair reveals.

All of it is the same for every acquisition function, so that differences between functions are
differences in what they chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from learning.data import Comparisons
from learning.errors import NotEnoughData
from learning.replay.worlds import World

Folds: TypeAlias = Literal["group", "items"]

TEST_SHARE: Final = 0.2
_FOLD, _REVEAL, _START = 1, 2, 3  # streams of one seed


@dataclass(frozen=True, slots=True, eq=False)
class Exam:
    """Test pairs and everything people said about them.

    Attributes:
        pairs: Distinct test pairs, shape ``(k, 2)``.
        pair: Which of them each answer is about, shape ``(v,)``.
        outcome: The answers, shape ``(v,)``.
    """

    pairs: NDArray[np.int64]
    pair: NDArray[np.int64]
    outcome: NDArray[np.int8]


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """One seed's view of a world.

    Attributes:
        train: Pairs that may be asked, ascending, shape ``(n,)``.
        revealed: The answer that asking each of them gives, in the same order.
        first: The first batch, as places in ``train``: random, whatever function follows.
        exam: The test side.
    """

    train: NDArray[np.int64]
    revealed: Comparisons
    first: NDArray[np.int64]
    exam: Exam


def split(world: World, folds: Folds, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return training and test pairs, each ascending.

    ``group`` holds out a random fifth of the groups. ``items`` holds out a random fifth of the
    pairs; their responses may be known from other pairs, which is how a pool looks in which
    responses recur.

    Raises:
        NotEnoughData: fewer than two groups, or pairs, to split.
    """
    units, member = np.unique(world.group, return_inverse=True)
    if folds == "items":
        units = member = np.arange(len(world.pairs))
    if len(units) < 2:
        one = "one group; use --folds items" if folds == "group" else "one pair"
        raise NotEnoughData(f"{world.name} cannot be split: it has only {one}")
    rng = np.random.default_rng([seed, _FOLD])
    held = np.zeros(len(units), dtype=np.bool_)
    held[rng.permutation(len(units))[: max(1, round(TEST_SHARE * len(units)))]] = True
    tested = held[member]
    return np.flatnonzero(~tested), np.flatnonzero(tested)


def draw(world: World, folds: Folds, seed: int, *, start: int) -> Fold:
    """Draw a seed's fold.

    Asking a pair reveals one of its answers, drawn in advance, and costs one label. The test
    side keeps every answer.

    Args:
        world: The file.
        folds: What is held out.
        seed: Decides everything.
        start: Size of the first batch.

    Raises:
        NotEnoughData: too few groups or pairs, or no decisive answer to test on.
    """
    train, test = split(world, folds, seed)
    answers = world.answers
    lot = np.random.default_rng([seed, _REVEAL]).random(len(world.pairs))
    at = answers.start[:-1] + np.floor(lot * answers.count).astype(np.int64)
    left, right = world.pairs[train].T
    first = np.random.default_rng([seed, _START]).permutation(len(train))[:start]
    tested = np.isin(answers.pair, test)
    outcome = answers.outcome[tested]
    if not outcome.any():
        raise NotEnoughData(f"{world.name}: no decisive answer to test on with seed {seed}")
    return Fold(
        train=train,
        revealed=Comparisons.of(left, right, answers.outcome[at[train]]),
        first=first,
        exam=Exam(world.pairs[test], np.searchsorted(test, answers.pair[tested]), outcome),
    )
