"""What judges and people react to besides quality: length, lists, markup, refusals.

One logistic regression for the judge and one for people, on the same differences between the
two responses of a question. A difference of coefficients says that the judge cares more about
it than people do. A judge who is only more consistent than people has larger coefficients for
everything; a bias stands out from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from learning import _checks, surface
from learning.errors import NotEnoughData, ShapeError
from learning.judges.quality import probabilities
from learning.metrics import Estimate
from learning.text import Prompt

Doubles = NDArray[np.float64]
CONTROLS: Final[Mapping[str, tuple[str, ...]]] = {
    "length": ("log_words",),
    "lists": ("list_items",),
    "markup": ("headings", "emphasis", "code_fences"),
    "refusal": ("refusal",),
}
LEAST: Final = 30  # questions below which nothing is fitted
_RIDGE: Final = 1.0  # pseudo-observations that hold separable columns
_DRAWS: Final = 300


@dataclass(frozen=True, slots=True)
class Control:
    """One thing that responses differ in.

    Attributes:
        name: One of ``CONTROLS``.
        judge, people: Change of the log odds for one standard deviation more of it.
        difference: Judge less people; the interval is paired, over prompts.
    """

    name: str
    judge: float
    people: float
    difference: Estimate


def differences(prompts: Sequence[Prompt], first: Sequence[str], second: Sequence[str]) -> Doubles:
    """Return what the first response has more than the second, shape ``(n, len(CONTROLS))``."""
    gap = surface.features(prompts, first) - surface.features(prompts, second)
    columns = [
        gap[:, [surface.NAMES.index(name) for name in names]].sum(axis=1)
        for names in CONTROLS.values()
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def controls(
    judge: ArrayLike,
    people: ArrayLike,
    gaps: NDArray[np.floating[Any]],
    *,
    clusters: ArrayLike,
    rng: np.random.Generator,
) -> tuple[Control, ...]:
    """Fit judge and people on the same controls.

    Args:
        judge: 1 where the judge prefers the first response, 0 the second, 1/2 neither, or its
            probability, shape ``(n,)``.
        people: Share of people who prefer the first, ties as one half, shape ``(n,)``.
        gaps: From `differences`, shape ``(n, len(CONTROLS))``.
        clusters: Prompt of each question, shape ``(n,)``; redrawn whole for the interval.
        rng: For the bootstrap.

    Returns:
        Controls in which the responses differ at all.

    Raises:
        NotEnoughData: fewer than 30 questions.
        ShapeError: arrays of different lengths.
    """
    judge, people = probabilities(judge, "judge"), probabilities(people, "people")
    gaps = _checks.matrix(gaps, "gaps", width=len(CONTROLS))
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    n = len(judge)
    if not len(people) == len(gaps) == len(member) == n:
        raise ShapeError("judge, people, gaps and clusters must be as long as each other")
    if n < LEAST:
        raise NotEnoughData(f"{n} questions are too few to tell what a judge reacts to")
    spread = np.sqrt(np.square(gaps).mean(axis=0))  # antisymmetric: the mean is 0 by right
    there = spread > 0
    x = gaps[:, there] / spread[there]
    fits = [_fit(x, answers, np.ones(n)) for answers in (judge, people)]
    drawn = np.empty((_DRAWS, x.shape[1]))
    count = int(member.max()) + 1
    for draw in range(_DRAWS):
        weight = rng.multinomial(count, np.full(count, 1 / count))[member].astype(np.float64)
        drawn[draw] = _fit(x, judge, weight) - _fit(x, people, weight)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    if count < 2:
        low = high = np.full(x.shape[1], np.nan)
    names = [name for name, found in zip(CONTROLS, there, strict=True) if found]
    return tuple(
        Control(
            name,
            float(fits[0][k]),
            float(fits[1][k]),
            Estimate(float(fits[0][k] - fits[1][k]), float(low[k]), float(high[k])),
        )
        for k, name in enumerate(names)
    )


def _fit(x: Doubles, y: Doubles, weight: Doubles) -> Doubles:
    """Logistic regression without intercept, by Newton's method, with a slight ridge."""
    theta = np.zeros(x.shape[1])
    for _ in range(25):
        fitted = expit(x @ theta)
        gradient = x.T @ (weight * (fitted - y)) + _RIDGE * theta
        bend = (x * (weight * fitted * (1 - fitted))[:, None]).T @ x + _RIDGE * np.eye(len(theta))
        step = np.linalg.solve(bend, gradient)
        theta = theta - step
        if np.abs(step).max() < 1e-8:
            break
    return theta
