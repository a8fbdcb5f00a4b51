"""Which questions people's time is best spent on: a model of what a mix of labels is worth.

Made of questions that people and a judge have both answered. Many mixes are tried: people's
labels on some questions, the judge's on the rest, a small reward model fitted on each and
measured on held-out answers. A regression from what people answered (by tag, and how much) to
that score says what one more answer would add *at the mix one has*, which is not what it would
add to none.

Source: Miranda et al. (2025), "Hybrid Preferences" (HyPER), arXiv:2410.19133. Different here:
tags have fixed edges, so that a tag means the same in every mix; the mix is described by shares
and the logarithm of the budget, by ridge regression, instead of thousands of products of counts;
gains are marginal; and a model that cannot order mixes it has not seen is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta, spearmanr
from sklearn.linear_model import RidgeCV

from learning import _checks
from learning.errors import NotEnoughData, ShapeError

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_MIXES: Final = 20
LEAST_RANK: Final = 0.3  # held-out rank correlation below which the model is not used
_FOLDS: Final = 5
_STEPS: Final = 20  # in which answers are spent
_PENALTIES: Final = np.logspace(-3, 3, 13)


@dataclass(frozen=True, slots=True)
class TagGain:
    """What people's answers are worth on one tag, against the judge's.

    Attributes:
        tag: Its number.
        questions: Double-labelled questions of it.
        judge_error: Share on which the judge contradicts people's consensus.
        low: Lower end of its exact 95 % interval (Clopper-Pearson).
        high: Upper end.
        gain: Labels put right by a person's answer in place of the judge's, a question:
            judge's error minus that of one person; below 0 where the judge is better.
        gain_low: The same at the lower end.
        gain_high: At the upper end.
    """

    tag: int
    questions: int
    judge_error: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


def tag_gains(tags: ArrayLike, wrong: ArrayLike, *, human: float) -> list[TagGain]:
    """Return the gain on every tag that has a double-labelled question.

    Args:
        tags: Membership, 0 or 1, shape ``(n, t)``.
        wrong: Whether the judge contradicts people's consensus, shape ``(n,)``.
        human: How often one person contradicts it, in [0, 1/2).

    Raises:
        ShapeError: shapes differ.
    """
    member = _checks.matrix(tags, "tags")
    errors = _checks.vector(wrong, "wrong", np.bool_, length=len(member))
    found = []
    for tag, column in enumerate(member.T > 0):
        n, k = int(column.sum()), int(errors[column].sum())
        if n:
            low = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
            high = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
            gains = [share - human for share in (k / n, low, high)]
            found.append(TagGain(tag, n, k / n, low, high, *gains))
    return found


def bin_tags(values: ArrayLike, edges: Sequence[float]) -> Doubles:
    """Return indicators of bins with fixed edges, each with its left one, ``(n, bins)``.

    Args:
        values: Shape ``(n,)``, finite.
        edges: Inner edges, ascending; ``k`` of them make ``k + 1`` bins.

    Raises:
        ShapeError: edges do not ascend.
    """
    inner = np.asarray(edges, dtype=np.float64)
    if (np.diff(inner) <= 0).any():
        raise ShapeError(f"edges must ascend, got {list(edges)}")
    place = np.searchsorted(inner, _checks.vector(values, "values", np.float64), side="right")
    return np.eye(len(inner) + 1)[place]


def draw_mixes(tags: ArrayLike, mixes: int, *, rng: np.random.Generator) -> Flags:
    """Draw mixes with budgets from one question to all, tag by tag in random order.

    Lopsided on purpose: in evenly drawn mixes all tags grow together, and nothing tells their
    effects apart.

    Args:
        tags: Membership, 0 or 1, shape ``(n, t)``, ``n`` at least 1.
        mixes: How many.
        rng: Draws budgets, tags and questions.

    Returns:
        Whether people answer each question, shape ``(mixes, n)``.
    """
    member = _checks.matrix(tags, "tags") > 0
    n = len(member)
    found = np.zeros((mixes, n), np.bool_)
    for mix in found:
        first = np.full(n, member.shape[1])  # place of a question's first tag in the order
        for place, tag in enumerate(rng.permutation(member.shape[1])):
            first[member[:, tag] & (first == member.shape[1])] = place
        order = np.lexsort((rng.random(n), first))
        mix[order[: rng.integers(1, n + 1)]] = True
    return found


def marginal(predict: Callable[[Doubles], float], counts: ArrayLike, item: ArrayLike) -> float:
    """Return what one more answer adds at a mix: ``f(counts + item) - f(counts)``.

    Args:
        predict: Score of a mix, from people's answers by tag, shape ``(t,)``.
        counts: The mix there is, shape ``(t,)``.
        item: Tags of the question, shape ``(t,)``.
    """
    now = np.asarray(counts, dtype=np.float64)
    return float(predict(now + np.asarray(item, dtype=np.float64)) - predict(now))


@dataclass(frozen=True, slots=True, eq=False)
class GainModel:
    """Predicts the score of a mix; see :func:`fit_gain`.

    Attributes:
        weights: Of the shares of people's answers by tag, then of ``log(1 + b)``, ``(t + 1,)``.
        intercept: Score with no answer of people.
        rank: Rank correlation with held-out mixes, in [-1, 1].
        residual: Standard deviation of held-out errors.
        mixes: How many it was fitted on.
    """

    weights: Doubles
    intercept: float
    rank: float
    residual: float
    mixes: int

    @property
    def usable(self) -> bool:
        """Whether it orders mixes that it has not seen; otherwise its gains mean nothing."""
        return self.rank >= LEAST_RANK

    def predict(self, counts: ArrayLike) -> float:
        """Return the score of a mix from people's answers by tag, shape ``(t,)``."""
        row = _described(np.atleast_2d(np.asarray(counts, dtype=np.float64)))
        return float(self.intercept + (row @ self.weights)[0])

    def gains(self, counts: ArrayLike) -> Doubles:
        """Return what one more answer on each tag would add at this mix, shape ``(t,)``."""
        now = np.asarray(counts, dtype=np.float64)
        return np.array([marginal(self.predict, now, one) for one in np.eye(len(now))])

    def frontier(self, capacity: ArrayLike, budgets: Sequence[int]) -> list[Bought]:
        """Return what budgets would buy, each answer spent where it adds most.

        Args:
            capacity: Questions there are of each tag, shape ``(t,)``.
            budgets: Answers of people, ascending.

        Raises:
            NotEnoughData: the model is not usable.
        """
        if not self.usable:
            raise NotEnoughData(f"rank correlation {self.rank:.2f} on mixes it has not seen")
        room = np.asarray(capacity, dtype=np.float64)
        counts, found = np.zeros(len(room)), []
        for budget in budgets:
            while counts.sum() < min(budget, room.sum()):
                gain = np.where(counts < room, self.gains(counts), -np.inf)
                counts[int(gain.argmax())] += 1
            score = self.predict(counts)
            half = 1.96 * self.residual
            spent = tuple(int(count) for count in counts)
            found.append(Bought(int(counts.sum()), score, score - half, score + half, spent))
        return found


def choose(model: GainModel, tags: ArrayLike, answers: int, *, rng: np.random.Generator) -> Flags:
    """Give people the questions on which their next answer adds most, a twentieth at a time.

    A question adds what its tags add at the mix there is by then; of equal ones lots decide.

    Args:
        model: What a mix is worth.
        tags: Membership, shape ``(n, t)``.
        answers: Of people, at most ``n``.
        rng: Draws the lots.

    Returns:
        Whether people answer each question, shape ``(n,)``.

    Raises:
        ShapeError: more answers than questions.
    """
    member = np.asarray(_checks.matrix(tags, "tags"), dtype=np.float64)
    if not 0 <= answers <= len(member):
        raise ShapeError(f"answers must be between 0 and {len(member)}, got {answers}")
    people = np.zeros(len(member), np.bool_)
    for end in np.unique(np.linspace(0, answers, _STEPS + 1).round().astype(int))[1:]:
        worth = member @ model.gains(member[people].sum(axis=0))
        worth[people] = -np.inf
        order = np.lexsort((rng.random(len(worth)), -worth))
        people[order[: end - int(people.sum())]] = True
    return people


@dataclass(frozen=True, slots=True)
class Bought:
    """A point of the frontier.

    Attributes:
        answers: Of people.
        score: Predicted.
        low: Lower end of the 95 % prediction interval.
        high: Upper end.
        by_tag: How the answers are spent.
    """

    answers: int
    score: float
    low: float
    high: float
    by_tag: tuple[int, ...]


def fit_gain(counts: ArrayLike, scores: ArrayLike, *, rng: np.random.Generator) -> GainModel:
    """Fit the model on tried mixes, and try it on mixes held out, five folds.

    Args:
        counts: People's answers by tag in each mix, shape ``(k, t)``.
        scores: What a model trained on the mix reached, shape ``(k,)``.
        rng: Deals the folds.

    Raises:
        NotEnoughData: fewer than 20 mixes.
        ShapeError: shapes differ or a value is not finite.
    """
    table = np.asarray(_checks.matrix(counts, "counts"), dtype=np.float64)
    y = _checks.vector(scores, "scores", np.float64, length=len(table))
    if len(y) < LEAST_MIXES:
        raise NotEnoughData(f"a gain model needs {LEAST_MIXES} mixes, got {len(y)}")
    x = _described(table)
    fold = rng.permutation(len(y)) % _FOLDS
    held = np.empty(len(y))
    for one in range(_FOLDS):
        held[fold == one] = _ridge(x[fold != one], y[fold != one]).predict(x[fold == one])
    # Of one score for all there is no order to find.
    rank = float(spearmanr(held, y).statistic) if np.ptp(y) > 0 and np.ptp(held) > 0 else 0.0
    final = _ridge(x, y)
    return GainModel(
        weights=np.asarray(final.coef_, dtype=np.float64),
        intercept=float(final.intercept_),
        rank=rank,
        residual=float(np.sqrt(np.square(held - y).mean())),
        mixes=len(y),
    )


def _described(counts: Doubles) -> Doubles:
    """Shares of people's answers by tag and the logarithm of their number, ``(k, t + 1)``."""
    total = counts.sum(axis=1, keepdims=True)
    return np.hstack([counts / np.maximum(total, 1.0), np.log1p(total)])


def _ridge(x: Doubles, y: Doubles) -> Any:
    return RidgeCV(alphas=_PENALTIES).fit(x, y)
