"""Means anchored in people's answers, made tighter by a judge's (prediction-powered inference).

A judge answers everything, people a random part. The mean of the judge's answers is precise
and biased; what people correct it by is unbiased and noisy. Their sum is unbiased, and its
interval is narrower than that of people's answers alone as far as the judge is any good.

All of it needs a *random* sample with known chances. Questions that were chosen because the
judge seemed unsure are no such sample.

Sources: Angelopoulos et al. (2023), arXiv:2301.09633 (PPI); Angelopoulos, Duchi and Zrnic
(2023), arXiv:2311.01453 (PPI++, the weight ``lam``); Gligoric et al. (2024), arXiv:2408.15204
(unequal chances).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from learning import _checks
from learning.errors import ConfigError, NotEnoughData, ShapeError

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mean:
    """An estimated mean.

    Attributes:
        value: The estimate.
        se: Its standard error.
        low: Lower end of the interval.
        high: Upper end.
        n: People's answers it is from.
        lam: How far the judge was relied on, 0 (not at all) to 1.
        effective_n: How many answers of people alone would give this standard error.
    """

    value: float
    se: float
    low: float
    high: float
    n: int
    lam: float
    effective_n: float


def classical_mean(people: ArrayLike, *, level: float = 0.95) -> Mean:
    """Return the mean of people's answers with its normal interval.

    Args:
        people: Answers of a simple random sample, shape ``(n,)``.
        level: Coverage aimed at, in (0, 1).

    Raises:
        NotEnoughData: no answer.
        ShapeError: an answer is not finite.
    """
    y = _finite(people, "people")
    _enough(y)
    return _mean(float(y.mean()), float(y.var()) / len(y), level, n=len(y), lam=0.0, ratio=1.0)


def anchored_mean(
    people: ArrayLike,
    judge: ArrayLike,
    judge_elsewhere: ArrayLike,
    *,
    lam: float | None = None,
    level: float = 0.95,
) -> Mean:
    """Return the mean over all questions from people's answers and a judge's.

    ``lam mean(judge elsewhere) + mean(people - lam judge)``, with variance ``Var(people - lam
    judge) / n + lam^2 Var(judge elsewhere) / N``.

    Args:
        people: Answers of a simple random sample, shape ``(n,)``.
        judge: The judge's answers to the same questions, shape ``(n,)``.
        judge_elsewhere: Its answers to the other questions, shape ``(N,)``.
        lam: How far to rely on the judge. By default the weight that makes the variance least,
            ``Cov(people, judge) / ((1 + n / N) Var(judge))``, clipped to [0, 1].
        level: Coverage aimed at, in (0, 1).

    Raises:
        NotEnoughData: no answer of people, or none of the judge elsewhere.
        ShapeError: shapes differ or a value is not finite.
        ConfigError: ``lam`` is not in [0, 1].
    """
    y = _finite(people, "people")
    f = _finite(judge, "judge", length=len(y))
    rest = _finite(judge_elsewhere, "judge_elsewhere")
    _enough(y)
    _enough(rest)
    weight = _best_weight(y, f, rest) if lam is None else lam
    if not 0.0 <= weight <= 1.0:
        raise ConfigError(f"lam must lie in [0, 1], got {weight}")
    value = weight * rest.mean() + (y - weight * f).mean()
    variance = float((y - weight * f).var()) / len(y) + weight**2 * float(rest.var()) / len(rest)
    alone = float(y.var()) / len(y)
    return _mean(float(value), variance, level, n=len(y), lam=weight, ratio=_ratio(alone, variance))


def weighted_mean(
    people: ArrayLike,
    asked: ArrayLike,
    chance: ArrayLike,
    judge: ArrayLike | None = None,
    *,
    lam: float | None = None,
    level: float = 0.95,
) -> Mean:
    """Return the mean over all questions when some were likelier to be asked than others.

    ``mean(lam judge) + mean of (people - lam judge) over the asked, each weighing 1 / chance``,
    with the variance of its linearised terms for independent draws; a simple random sample
    does not vary more. Without a judge it is people's weighted mean alone (Hajek's estimator).

    Args:
        people: Answers, shape ``(N,)``; where nobody was asked the value does not matter.
        asked: Whether people were asked, shape ``(N,)``.
        chance: With what probability, shape ``(N,)``, in (0, 1].
        judge: The judge's answers, shape ``(N,)``.
        lam: How far to rely on the judge; by default what makes the variance least, clipped
            to [0, 1].
        level: Coverage aimed at.

    Raises:
        NotEnoughData: nobody was asked anything.
        ShapeError: shapes differ, a chance is out of range or a value is not finite.
        ConfigError: ``lam`` is not in [0, 1].
    """
    drawn = _checks.vector(asked, "asked", np.bool_)
    total = len(drawn)
    given = np.asarray(people, dtype=np.float64)
    if given.shape != (total,):
        raise ShapeError(f"people must have shape ({total},), got {given.shape}")
    y = _finite(np.where(drawn, given, 0.0), "people")
    pi = _finite(chance, "chance", length=total)
    if ((pi <= 0) | (pi > 1)).any():
        raise ShapeError("chance must lie in (0, 1]")
    if not drawn.any():
        raise NotEnoughData("nobody was asked anything")
    f = np.zeros(total) if judge is None else _finite(judge, "judge", length=total)
    share = drawn / pi
    share = share / share.sum()  # weights of the asked, sum 1
    alone, corrected = float(share @ y), float(share @ f)
    # Linearised terms are a + lam b, so that the variance is a quadratic in lam.
    a = total * share * (y - alone)
    b = (f - f.mean()) - total * share * (f - corrected)
    weight = _least(a, b) if lam is None else lam
    if not 0.0 <= weight <= 1.0:
        raise ConfigError(f"lam must lie in [0, 1], got {weight}")
    value = alone + weight * (float(f.mean()) - corrected)
    variance = float(np.square(a + weight * b).mean()) / total
    ratio = _ratio(float(np.square(a).mean()) / total, variance)
    return _mean(value, variance, level, n=int(drawn.sum()), lam=weight, ratio=ratio)


@dataclass(frozen=True, slots=True)
class WinRate:
    """How often one model's response was preferred; a tie is half a win.

    Attributes:
        model: Its number.
        questions: Questions it took part in.
        anchored: From people's answers and the judge's.
        classical: From people's answers alone.
    """

    model: int
    questions: int
    anchored: Mean
    classical: Mean


def win_rates(
    models: ArrayLike,
    outcome: ArrayLike,
    asked: ArrayLike,
    chance: ArrayLike,
    probability: ArrayLike,
    *,
    level: float = 0.95,
) -> list[WinRate]:
    """Return the win rate of every model that people were asked about.

    Args:
        models: Number of the left and the right response's model, shape ``(N, 2)``; -1 for
            one that is not known.
        outcome: People's answer, 1 left, 0 tie, -1 right; any where nobody was asked, ``(N,)``.
        asked: Whether people were asked *at random*, shape ``(N,)``.
        chance: With what probability, shape ``(N,)``.
        probability: The judge's P(left is better), shape ``(N,)``, in [0, 1].
        level: Coverage aimed at.

    Returns:
        In the order of the models' numbers. Questions of a model against itself are left out.

    Raises:
        ShapeError: shapes differ or a value is out of range.
    """
    sides = np.asarray(models)
    drawn = _checks.vector(asked, "asked", np.bool_)
    if sides.shape != (len(drawn), 2):
        raise ShapeError(f"models must have shape ({len(drawn)}, 2), got {sides.shape}")
    said = (1.0 + _finite(outcome, "outcome", length=len(drawn))) / 2.0
    judged = _finite(probability, "probability", length=len(drawn))
    pi = _finite(chance, "chance", length=len(drawn))
    found = []
    for model in np.unique(sides[sides >= 0]):
        left = sides[:, 0] == model
        rows = np.flatnonzero(left ^ (sides[:, 1] == model))
        if not drawn[rows].any():
            continue
        turned = ~left[rows]
        y = np.where(turned, 1.0 - said[rows], said[rows])
        f = np.where(turned, 1.0 - judged[rows], judged[rows])
        both = [weighted_mean(y, drawn[rows], pi[rows], one, level=level) for one in (f, None)]
        found.append(WinRate(int(model), len(rows), *both))
    return found


def best_chances(
    squared_error: ArrayLike, budget: float, *, lowest: float = 0.05, cost: ArrayLike | None = None
) -> Doubles:
    """Return with what chance to ask people each question, for the narrowest interval.

    ``chance ~ sqrt(E[(people - judge)^2 | question] / cost)``, clipped to [lowest, 1] and
    scaled so that the expected cost is the budget.

    Args:
        squared_error: Expected squared error of the judge, at least 0, shape ``(n,)``.
        budget: Expected cost, positive.
        lowest: Least chance; above 0, or nothing could be estimated.
        cost: Of asking each question, positive, shape ``(n,)``; 1 by default.

    Returns:
        Shape ``(n,)``. All ``lowest`` where the budget pays no more, all 1 where it pays all.

    Raises:
        ConfigError: ``budget`` or ``lowest`` is out of range.
        ShapeError: a value is negative or not finite.
    """
    error = _finite(squared_error, "squared_error")
    price = np.ones(len(error)) if cost is None else _finite(cost, "cost", length=len(error))
    if (error < 0).any() or (price <= 0).any():
        raise ShapeError("squared_error must be at least 0 and cost positive")
    if not (0.0 < lowest <= 1.0 and budget > 0.0):
        raise ConfigError(f"lowest must lie in (0, 1] and budget be positive, got {lowest}")
    want = np.sqrt(np.maximum(error, 1e-12) / price)

    def chances(log_scale: float) -> Doubles:
        return np.asarray(np.clip(np.exp(log_scale) * want, lowest, 1.0))

    # Expected cost rises with the scale: halve the interval until it is the budget.
    low, high = -np.log(want.max(initial=1.0)) - 40.0, -np.log(want.min(initial=1.0)) + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if price @ chances(middle) < budget:
            low = middle
        else:
            high = middle
    return chances(high)


def _best_weight(y: Doubles, f: Doubles, rest: Doubles) -> float:
    spread = float(np.concatenate([f, rest]).var())
    if spread == 0.0:
        return 0.0
    shared = float(((y - y.mean()) * (f - f.mean())).mean())
    return float(np.clip(shared / ((1.0 + len(y) / len(rest)) * spread), 0.0, 1.0))


def _least(a: Doubles, b: Doubles) -> float:
    """Return the weight in [0, 1] that makes the variance of ``a + lam b`` least."""
    spread = float(b.var())
    if spread == 0.0:
        return 0.0
    shared = float(((a - a.mean()) * (b - b.mean())).mean())
    return float(np.clip(-shared / spread, 0.0, 1.0))


def _ratio(alone: float, variance: float) -> float:
    return alone / variance if variance > 0 else 1.0


def _mean(value: float, variance: float, level: float, *, n: int, lam: float, ratio: float) -> Mean:
    if not 0.0 < level < 1.0:
        raise ConfigError(f"level must lie in (0, 1), got {level}")
    se = float(np.sqrt(variance))
    half = float(norm.ppf((1.0 + level) / 2.0)) * se
    return Mean(value, se, value - half, value + half, n, float(lam), n * ratio)


def _enough(values: Doubles) -> None:
    if not len(values):
        raise NotEnoughData("a mean needs at least one answer")


def _finite(values: ArrayLike, name: str, *, length: int | None = None) -> Doubles:
    array = _checks.vector(values, name, np.float64, length=length)
    if not np.isfinite(array).all():
        raise ShapeError(f"{name} has NaN or infinite values")
    return np.asarray(array)
