"""Has the judge got worse? A cumulative sum over the random stratum, in the order of its answers.

Page's CUSUM for a share: the first audited answers give a base rate; each later one adds the log
likelihood ratio of an error rate with twice the odds against that base, and the sum never falls
below 0. Under no change it passes ``h`` on average once in at least ``exp(h)`` answers (Lorden's
bound), so the threshold is the logarithm of the run length that is promised.

Sources: Page (1954), "Continuous inspection schemes"; Lorden (1971), "Procedures for reacting to a
change in distribution".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.errors import ShapeError
from learning.routing.data import finite

Doubles = NDArray[np.float64]

BASE: Final = 40  # answers that give the base rate; with fewer nothing is watched
RUN_LENGTH: Final = 1_000.0  # answers between two false alarms, on average at least
ODDS: Final = 2.0  # how much worse the judge has to become to be found out soonest
_LEAST, _MOST = 0.02, 0.45  # a base rate outside cannot be told from nothing, or from a coin


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """What watching an answer after the other has shown.

    Attributes:
        base: Error rate of the first answers, NaN while there are too few.
        path: The sum after each answer that followed them, shape ``(n - BASE,)``.
        threshold: An alarm is a sum above it.
        since: Number of the answer, counted from 0 among all, at which the sum last left 0
            before it rose to the alarm: about where the change was. -1 without an alarm.
        rate: Error rate from there on; NaN without an alarm.
    """

    base: float
    path: Doubles
    threshold: float
    since: int = -1
    rate: float = float("nan")

    @property
    def alarm(self) -> bool:
        """Whether the judge got worse."""
        return self.since >= 0

    @property
    def sentence(self) -> str:
        """The finding in plain words; empty without an alarm."""
        if not self.alarm:
            return ""
        return (
            f"it got worse: wrong in {self.rate:.0%} of the last {self.answers} audited "
            f"questions, in {self.base:.0%} before"
        )

    @property
    def answers(self) -> int:
        """How many audited answers have come since the change."""
        return BASE + len(self.path) - self.since


def watch(wrong: ArrayLike, *, run_length: float = RUN_LENGTH, odds: float = ODDS) -> Drift:
    """Look for the moment from which a judge is wrong more often.

    Args:
        wrong: 1 where people contradicted the judge, 0 where not, or a share, in the order in
            which the judge answered; shape ``(n,)``. A random sample of one kind of questions:
            a change of the questions looks like a change of the judge.
        run_length: Answers between two false alarms, on average, at least; above 1.
        odds: The odds of an error are multiplied with this in the change that is looked for;
            above 1.

    Raises:
        ShapeError: a value is out of range.
    """
    errors = finite(wrong, "wrong")
    if ((errors < 0) | (errors > 1)).any():
        raise ShapeError("wrong must lie in [0, 1]")
    if not (run_length > 1 and odds > 1):
        raise ShapeError(f"run_length and odds must be above 1, got {run_length} and {odds}")
    h = float(np.log(run_length))
    if len(errors) <= BASE:
        return Drift(float("nan"), np.empty(0), h)
    base = _base(errors[:BASE])
    worse = odds * base / (1.0 - base + odds * base)
    step = errors[BASE:] * np.log(worse / base)
    step = step + (1.0 - errors[BASE:]) * np.log((1.0 - worse) / (1.0 - base))
    total, began, path, since = 0.0, 0, np.empty(len(step)), -1
    for at, one in enumerate(step):
        if total == 0.0:
            began = at
        total = max(0.0, total + one)
        path[at] = total
        if total > h and since < 0:
            since = BASE + began
    rate = float(errors[since:].mean()) if since >= 0 else float("nan")
    return Drift(base, path, h, since, rate)


def _base(errors: Doubles) -> float:
    """The base rate, one standard error above what was seen: a lucky start is no promise."""
    n = len(errors)
    mean = (errors.sum() + 1.0) / (n + 2.0)
    return float(np.clip(mean + np.sqrt(mean * (1.0 - mean) / n), _LEAST, _MOST))
