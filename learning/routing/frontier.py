"""What a budget would buy: how true the labels become as people answer more of the questions.

Made of questions that people and the judge have both answered, before anything is spent on the
others. The error model orders them, fitted on questions other than those it orders, and the
errors that count are those that people really found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.errors import NotEnoughData
from learning.metrics import Estimate
from learning.routing.data import Signs, finite
from learning.routing.error import fit_error

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST: Final = 20  # double-labelled questions below which nothing is drawn
STEPS: Final = 10  # of people's share
FOLDS: Final = 5
_DRAWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Step:
    """One point of the frontier.

    Attributes:
        share: Of the questions that people answer, in [0, 1].
        seconds: Of people's time for that, a question of all questions.
        routed: Share of labels that are right when people get those of most predicted error a
            second, with its 95 % interval over questions.
        random: The same when they get as many, drawn by lot.
    """

    share: float
    seconds: float
    routed: Estimate
    random: float


def frontier(
    signs: Signs,
    wrong: ArrayLike,
    seconds: ArrayLike,
    *,
    human: float,
    rng: np.random.Generator,
) -> tuple[Step, ...]:
    """Return what each share of people would buy, from nobody to everybody.

    The judge disagrees with one person with chance ``e (1 - h) + (1 - e) h``; solved for ``e``
    question by question this is no probability, but its mean is the judge's error, without
    bias. A label of a person is right with chance ``1 - h``.

    Args:
        signs: Audited questions in which the judge named a winner, ``n``.
        wrong: Share of people who contradict it, in [0, 1], shape ``(n,)``.
        seconds: A person's time for each, positive, shape ``(n,)``.
        human: People's error ``h``, in [0, 1/2).
        rng: Deals the folds and draws the bootstrap.

    Raises:
        NotEnoughData: fewer than 20 questions.
        ShapeError: shapes differ or a value is out of range.
    """
    contradicted = finite(wrong, "wrong", length=len(signs))
    time = finite(seconds, "seconds", length=len(signs))
    if len(signs) < LEAST:
        raise NotEnoughData(f"a frontier takes {LEAST} audited questions, there are {len(signs)}")
    predicted = _out_of_fold(signs, contradicted, human, rng)
    error = (contradicted - human) / (1.0 - 2.0 * human)
    order = np.lexsort((rng.random(len(error)), -(predicted - human) / time))
    drawn = rng.integers(0, len(error), (_DRAWS, len(error)))
    return tuple(
        _step(error, time, order, human=human, share=part / STEPS, drawn=drawn)
        for part in range(STEPS + 1)
    )


def _out_of_fold(signs: Signs, wrong: Doubles, human: float, rng: np.random.Generator) -> Doubles:
    fold = rng.permutation(len(wrong)) % FOLDS
    predicted = np.empty(len(wrong))
    for held in range(FOLDS):
        rest, ours = fold != held, fold == held
        model = fit_error(signs.subset(rest), wrong[rest], human=human)
        predicted[ours] = model.predict(signs.subset(ours))
    return predicted


def _step(
    error: Doubles, seconds: Doubles, order: Ints, *, human: float, share: float, drawn: Ints
) -> Step:
    n = len(error)
    people = np.zeros(n, np.bool_)
    people[order[: round(share * n)]] = True
    right = 1.0 - np.where(people, human, error)
    low, high = np.quantile(right[drawn].mean(axis=1), [0.025, 0.975])
    return Step(
        share=share,
        seconds=float(seconds[people].sum() / n),
        routed=Estimate(float(right.mean()), float(low), float(high)),
        random=float(1.0 - share * human - (1.0 - share) * error.mean()),
    )
