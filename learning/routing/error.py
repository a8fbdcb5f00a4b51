"""How often people slip, and where the judge is wrong.

Everything here is learnt from the random audit alone. Questions that a router sent to people
were sent *because* the judge seemed wrong; an error rate of these says nothing of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from learning import _checks
from learning.errors import ShapeError
from learning.routing import _logistic
from learning.routing.data import Signs, finite

Doubles = NDArray[np.float64]

LOWEST: Final = 0.02  # nobody is right always; and a label is never worth more than a person's
HIGHEST: Final = 0.6  # beyond a coin only so far: little evidence must not turn labels round
NO_LABEL: Final = 0.5  # where the judge named no winner, its label is a coin

# Before any audit: wrong in one case of five, and that within a factor of four or so in odds.
_USUAL_LOGIT: Final = float(np.log(0.2 / 0.8))
_USUAL_SD: Final = 0.7
# Standard deviations of an effect, in logits, that the audit chooses between. Judges do have
# weak spots, and a hundred audited questions seldom prove one: tags always get some say.
_OF_TAGS: Final = (0.5, 1.0, 2.0)
_OF_SIGNS: Final = (0.1, 0.5, 1.5)

# Two people disagreed on 18 of 100, before any question was asked twice: each slips in ten.
_PRIOR_DISAGREED: Final = 1.8
_PRIOR_PAIRS: Final = 10.0
_MOST_DISAGREEMENT: Final = 0.48  # at one half people would be coins and nothing could be said


@dataclass(frozen=True, slots=True)
class HumanError:
    """How often one person's answer is not what people would agree on.

    Attributes:
        value: Estimate, in [0, 0.4].
        low: Lower end of its 95 % interval.
        high: Upper end.
        pairs: How many questions two people had decided.
    """

    value: float
    low: float
    high: float
    pairs: int


def slip_rate(disagreement: ArrayLike) -> Doubles:
    """Return the chance of a slip from that of two people disagreeing.

    Two independent answers that are each wrong with chance ``e`` differ with chance
    ``D = 2 e (1 - e)``, so ``e = (1 - sqrt(1 - 2 D)) / 2``: 0.18 gives 0.1.

    Args:
        disagreement: In [0, 1/2]; more is taken as 1/2.

    Returns:
        Same shape, in [0, 1/2].
    """
    return np.asarray((1.0 - np.sqrt(1.0 - 2.0 * np.clip(disagreement, 0.0, 0.5))) / 2.0)


def human_error(first: ArrayLike, second: ArrayLike) -> HumanError:
    """Estimate people's error from questions that two of them answered.

    Args:
        first: One person's outcome of each question, 1, 0 or -1, shape ``(n,)``.
        second: Another person's. Questions that either called a tie are left out.

    Returns:
        With no pair at all 0.1; the prior weighs as much as ten pairs. Disagreement is taken
        as at most 0.48.

    Raises:
        ShapeError: shapes differ or an outcome is not 1, 0 or -1.
    """
    one = _checks.vector(first, "first", np.int8)
    other = _checks.vector(second, "second", np.int8, length=len(one))
    if not np.isin(np.concatenate([one, other]), (-1, 0, 1)).all():
        raise ShapeError("outcomes must be 1, 0 or -1")
    decided = (one != 0) & (other != 0)
    n, differ = int(decided.sum()), int((one != other)[decided].sum())
    a, b = _PRIOR_DISAGREED + differ, _PRIOR_PAIRS - _PRIOR_DISAGREED + n - differ
    ends = np.array([a / (a + b), *beta.ppf([0.025, 0.975], a, b)])
    value, low, high = slip_rate(np.minimum(ends, _MOST_DISAGREEMENT))
    return HumanError(float(value), float(low), float(high), n)


def denoise(disagreement: Doubles, human: float) -> Doubles:
    """Return how often the judge is wrong, given how often it disagrees with one person.

    ``P(disagree) = e (1 - h) + (1 - e) h``, so ``e = (P - h) / (1 - 2 h)``, clipped to
    [0.02, 0.6].

    Args:
        disagreement: Shape ``(n,)``, in [0, 1].
        human: People's error ``h``, in [0, 1/2).

    Raises:
        ShapeError: ``h`` is out of range.
    """
    if not 0.0 <= human < 0.5:
        raise ShapeError(f"human error must lie in [0, 1/2), got {human}")
    return np.asarray(np.clip((disagreement - human) / (1.0 - 2.0 * human), LOWEST, HIGHEST))


@dataclass(frozen=True, slots=True, eq=False)
class ErrorModel:
    """Predicts where the judge is wrong; see :func:`fit_error`.

    Attributes:
        columns: What the weights belong to: ``intercept``, ``tag 0`` ..., then the signs.
        found: The fitted logistic regression of *disagreement with one person*.
        human: People's error that predictions are freed of.
        rows: How many audited questions it has seen.
    """

    columns: tuple[str, ...]
    found: _logistic.Fit
    human: float
    rows: int

    def disagreement(self, signs: Signs) -> Doubles:
        """Return how often one person would disagree with the judge; ``(n,)``, in (0, 1).

        Raises:
            ShapeError: other signs than it was fitted on.
        """
        x, columns = table(signs)
        if columns != self.columns:
            raise ShapeError(f"fitted on {len(self.columns)} signs, got {len(columns)} others")
        return _logistic.predict(self.found, x)

    def predict(self, signs: Signs) -> Doubles:
        """Return P(the judge is wrong), shape ``(n,)``, in [0.02, 0.6].

        One half where the judge named no winner.
        """
        error = denoise(self.disagreement(signs), self.human)
        return np.where(signs.answered, error, NO_LABEL)

    def effects(self) -> dict[str, tuple[float, float]]:
        """Return each sign's effect on the log odds of an error, with its standard deviation."""
        sd = np.sqrt(np.square(self.found.root).sum(axis=1))
        both = zip(self.found.mean, sd, strict=True)
        return {name: (float(m), float(s)) for name, (m, s) in zip(self.columns, both, strict=True)}


def fit_error(signs: Signs, wrong: ArrayLike, *, human: float = 0.1) -> ErrorModel:
    """Learn from the audit where the judge is wrong.

    A logistic regression with every effect shrunk towards 0, and so every question's error
    towards the mean. How much, for tags and for the other signs, is what makes the audit most
    probable (Laplace evidence): where tags say nothing they get little say. The mean itself has a
    prior at one in five, so no audit, or one in which the judge is always right, is an
    ordinary case.

    Args:
        signs: Audited questions, ``n`` of them; the judge named a winner in each.
        wrong: 1 where a person disagreed with the judge, 0 where they agreed, shape ``(n,)``;
            the share of people where several answered. Questions that people called a tie
            say nothing of it and are left out.
        human: People's error ``h``, in [0, 1/2).

    Raises:
        ShapeError: shapes differ, a value is out of range, or the judge named no winner.
    """
    wrong = finite(wrong, "wrong", length=len(signs))
    if ((wrong < 0) | (wrong > 1)).any():
        raise ShapeError("wrong must lie in [0, 1]")
    if not signs.answered.all():
        raise ShapeError(f"the judge named no winner in {int((~signs.answered).sum())} questions")
    denoise(np.empty(0), human)  # refuses a human error out of range
    x, columns = table(signs)
    tagged = np.array([name.startswith("tag ") for name in columns])
    spreads = product(_OF_TAGS if tagged.any() else _OF_TAGS[:1], _OF_SIGNS)
    fits = [_fit(x, wrong, tagged, *spread) for spread in spreads]
    # Of equal evidence (no audit) the first, which shrinks most; rounding must not decide.
    best = max(fits, key=lambda one: round(one.evidence, 6))
    return ErrorModel(columns, best, human, len(wrong))


def table(signs: Signs) -> tuple[Doubles, tuple[str, ...]]:
    """Return what the regression sees, ``(n, c)``, with the names of the columns.

    Signs have fixed units, so that nothing has to be estimated to scale them: the judge's
    margin in 2 logits, lengths in factors of e. Length gap and head margin are seen from the
    judge's winner: *it chose the longer one*, *the head thinks so too*.
    """
    side = signs.outcome.astype(np.float64)
    columns = {
        "intercept": np.ones(len(signs)),
        **{f"tag {place}": column for place, column in enumerate(signs.tags.T)},
        "margin": signs.margin / 2.0 - 1.0,
        "inconsistent": signs.inconsistent.astype(np.float64),
        "chose longer": side * signs.length_gap,
        "length gap": np.abs(signs.length_gap),
        "similarity": signs.similarity,
    }
    if signs.head_margin is not None and signs.head_sd is not None:
        moderated = signs.head_margin / np.sqrt(1.0 + np.pi * np.square(signs.head_sd) / 8.0)
        columns["head agrees"] = side * moderated
        columns["head sd"] = signs.head_sd
    return np.stack(list(columns.values()), axis=1), tuple(columns)


def _fit(
    x: Doubles, y: Doubles, tagged: NDArray[np.bool_], of_tags: float, of_signs: float
) -> _logistic.Fit:
    sd = np.where(tagged, of_tags, of_signs)
    sd[0] = _USUAL_SD
    mean = np.zeros(len(sd))
    mean[0] = _USUAL_LOGIT
    return _logistic.fit(x, y, mean=mean, precision=1.0 / np.square(sd))
