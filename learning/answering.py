"""What a question costs: how likely people answer it, and how many seconds it takes them.

Fitted on what became of the questions that people were shown: a logistic regression for
*answered or not*, a linear one for the logarithm of the seconds, both on a few features of the
pair and with a ridge. Each must beat its constant out of sample, by more than a standard error
and on at least ``MIN_EVENTS`` events; otherwise the constant stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from learning import _checks
from learning.errors import ShapeError
from learning.surface import NAMES as SURFACE

NAMES: Final = ("length", "contrast", "code")
MIN_EVENTS: Final = 50
MIN_OF_EACH: Final = 8  # answers, and refusals: a slope needs some of both
_FOLDS: Final = 5
_RIDGE: Final = 1.0  # prior precision of a slope per standard deviation of its feature
_MOST: Final = 4.0  # no pair is worth more than this, or less than its inverse, of a typical one
_FAR: Final = 4.0  # standard deviations; beyond, a pair is treated as if it were there
_TAIL: Final = 0.01  # of the times at each end, pulled in: somebody went for coffee

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """What became of the questions that people were shown, one row a person and question.

    Attributes:
        features: Of the pair, as :func:`pair_features` gives them, shape ``(n, k)``, finite.
        answered: Whether the person judged it; ``False`` for a skip or a flag, ``(n,)`` bool.
        seconds: Of attention, whatever became of it; NaN where nobody measured, ``(n,)``.
    """

    features: Doubles
    answered: NDArray[np.bool_]
    seconds: Doubles

    def __post_init__(self) -> None:
        features = _checks.matrix(self.features, "features")
        n = len(features)
        answered = _checks.vector(self.answered, "answered", np.bool_, length=n)
        seconds = _checks.vector(self.seconds, "seconds", np.float64, length=n)
        if (seconds[~np.isnan(seconds)] < 0).any() or np.isinf(seconds).any():
            raise ShapeError("seconds must be finite and at least 0, or NaN")
        object.__setattr__(self, "features", features.astype(np.float64))
        object.__setattr__(self, "answered", answered)
        object.__setattr__(self, "seconds", seconds)

    def __len__(self) -> int:
        return len(self.answered)


@dataclass(frozen=True, slots=True, eq=False)
class Answering:
    """The fitted chance of an answer and the expected seconds.

    Attributes:
        centre: Mean of each feature among the events, shape ``(k,)``.
        scale: Its standard deviation, positive, shape ``(k,)``.
        odds: Log-odds of an answer: constant, then a slope for each standardised feature, shape
            ``(k + 1,)``; slopes of 0 where the constant stands.
        log_seconds: Logarithm of the expected seconds, likewise.
        events: Number of events.
        timed: Of these, with a time.
        odds_gain: Nats an event that the slopes save out of sample against the constant; ``None``
            where there were too few events to tell.
        seconds_gain: Share of the variance of the logarithm that they explain out of sample,
            likewise.
    """

    centre: Doubles
    scale: Doubles
    odds: Doubles
    log_seconds: Doubles
    events: int
    timed: int
    odds_gain: float | None
    seconds_gain: float | None

    def chance(self, features: Doubles) -> Doubles:
        """Return P(answered), shape ``(n,)``, for pair features ``(n, k)``."""
        return np.asarray(expit(self._design(features) @ self.odds))

    def seconds(self, features: Doubles) -> Doubles:
        """Return the expected seconds, shape ``(n,)``, for pair features ``(n, k)``."""
        return np.asarray(np.exp(self._design(features) @ self.log_seconds))

    def rate(self, features: Doubles) -> Doubles:
        """Return answers a second relative to the mean of these pairs, shape ``(n,)``.

        At most four times, and at least a quarter of, the median before the mean is set to 1: an
        extrapolation to texts of another length must not decide everything.
        """
        if not len(features):
            return np.ones(0)
        raw = self.chance(features) / self.seconds(features)
        middle = np.median(raw)
        raw = np.clip(raw, middle / _MOST, middle * _MOST)
        return np.asarray(raw / raw.mean())

    def to_json(self) -> dict[str, Any]:
        """Return what it found, for a report: slopes by feature, and how it did."""
        return {
            "events": self.events,
            "timed": self.timed,
            "chance": round(float(expit(self.odds[0])), 4),
            "seconds": round(float(np.exp(self.log_seconds[0])), 2),
            "odds": _slopes(self.odds),
            "log_seconds": _slopes(self.log_seconds),
            "odds_gain": _rounded(self.odds_gain),
            "seconds_gain": _rounded(self.seconds_gain),
        }

    def _design(self, features: Doubles) -> Doubles:
        standard = np.clip((features - self.centre) / self.scale, -_FAR, _FAR)
        return _with_constant(standard)


def pair_features(surface: NDArray[np.floating[Any]], pairs: ArrayLike) -> Doubles:
    """Return what of a pair may decide on answer and time; the sides may be swapped.

    Args:
        surface: Surface features of responses, shape ``(m, len(surface.NAMES))``.
        pairs: Rows of left and right response, shape ``(n, 2)``.

    Returns:
        Shape ``(n, 3)``: log of the characters of both, how far the two logs of the lengths are
        apart, and log of the code fences of both.
    """
    rows = _checks.pairs(pairs, "pairs", rows=len(surface))
    chars, code = (surface[:, SURFACE.index(name)] for name in ("log_chars", "code_fences"))
    left, right = (chars[rows[:, side]].astype(np.float64) for side in (0, 1))
    fences = np.expm1(code[rows].astype(np.float64)).sum(axis=1)
    length = np.log1p(np.expm1(left) + np.expm1(right))
    return np.stack([length, np.abs(left - right), np.log1p(fences)], axis=1)


def fit(events: Events, *, rng: np.random.Generator) -> Answering:
    """Fit both parts; constants where the features do not help.

    Args:
        events: What became of questions; may be empty.
        rng: Draws the folds.
    """
    features = events.features
    centre = features.mean(axis=0) if len(events) else np.zeros(features.shape[1])
    scale = features.std(axis=0) if len(events) else np.ones(features.shape[1])
    scale = np.where(scale > 1e-9, scale, 1.0)
    X = _with_constant((features - centre) / scale)
    y = events.answered.astype(np.float64)
    timed = events.seconds > 0  # False for NaN
    log_s = _pulled_in(np.log(events.seconds[timed]))
    odds, odds_gain = _odds(X, y, rng)
    log_seconds, seconds_gain = _log_seconds(X[timed], log_s, rng)
    return Answering(
        centre=centre,
        scale=scale,
        odds=odds,
        log_seconds=log_seconds,
        events=len(events),
        timed=len(log_s),
        odds_gain=odds_gain,
        seconds_gain=seconds_gain,
    )


def _odds(X: Doubles, y: Doubles, rng: np.random.Generator) -> tuple[Doubles, float | None]:
    constant = np.zeros(X.shape[1])
    constant[0] = np.log((y.sum() + 1.0) / (len(y) - y.sum() + 1.0))
    if len(y) < MIN_EVENTS or min(y.sum(), len(y) - y.sum()) < MIN_OF_EACH:
        return constant, None
    gain = np.empty(len(y))
    for test, train in _folds(len(y), rng):
        p = (y[train].sum() + 1.0) / (train.sum() + 2.0)
        guess = y[test] * np.log(p) + (1 - y[test]) * np.log1p(-p)
        gain[test] = _log_likelihood(X[test] @ logistic(X[train], y[train]), y[test]) - guess
    return (logistic(X, y) if _beats(gain) else constant), float(gain.mean())


def _log_seconds(
    X: Doubles, log_s: Doubles, rng: np.random.Generator
) -> tuple[Doubles, float | None]:
    """The weights give the expected logarithm; the constant is raised to expected seconds."""
    weights = np.zeros(X.shape[1])
    if len(log_s) < MIN_EVENTS:
        weights[0] = np.log(np.exp(log_s).mean()) if len(log_s) else 0.0
        return weights, None
    gain = np.empty(len(log_s))
    for test, train in _folds(len(log_s), rng):
        constant = np.square(log_s[test] - log_s[train].mean())
        gain[test] = constant - np.square(log_s[test] - X[test] @ ridge(X[train], log_s[train]))
    if _beats(gain):
        weights = ridge(X, log_s)
    else:
        weights[0] = log_s.mean()
    left_over = np.exp(log_s - X @ weights).mean()  # Duan (1983), smearing estimate
    weights[0] += np.log(left_over)
    return weights, float(gain.mean() / max(log_s.var(), 1e-12))


def logistic(X: Doubles, y: Doubles) -> Doubles:
    """Return the weights that maximise the likelihood with a ridge on all but the first.

    Args:
        X: Design, first column 1, shape ``(n, k + 1)``.
        y: 0 or 1, shape ``(n,)``.
    """

    def loss(weights: Doubles) -> tuple[float, Doubles]:
        slopes = np.concatenate([[0.0], weights[1:]])
        margin = X @ weights
        value = 0.5 * _RIDGE * slopes @ slopes - _log_likelihood(margin, y).sum()
        return float(value), _RIDGE * slopes - X.T @ (y - expit(margin))

    found = minimize(loss, np.zeros(X.shape[1]), jac=True, method="L-BFGS-B")
    return np.asarray(found.x)


def ridge(X: Doubles, y: Doubles) -> Doubles:
    """Return the least-squares weights ``(k + 1,)`` with a ridge on all but the first."""
    penalty = np.diag([0.0, *[_RIDGE] * (X.shape[1] - 1)])
    return np.asarray(np.linalg.solve(X.T @ X + penalty, X.T @ y))


def _log_likelihood(margin: Doubles, y: Doubles) -> Doubles:
    return np.asarray(y * log_expit(margin) + (1 - y) * log_expit(-margin))


def _folds(n: int, rng: np.random.Generator) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    fold = rng.permutation(n) % _FOLDS
    return [(fold == i, fold != i) for i in range(_FOLDS)]


def _beats(gain: Doubles) -> bool:
    """Whether a gain over the constant is more than its standard error."""
    return bool(gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain)))


def _pulled_in(values: Doubles) -> Doubles:
    if not len(values):
        return values
    return np.asarray(np.clip(values, *np.quantile(values, [_TAIL, 1 - _TAIL])))


def _with_constant(features: Doubles) -> Doubles:
    return np.column_stack([np.ones(len(features)), features])


def _slopes(weights: Doubles) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in zip(NAMES, weights[1:], strict=True)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
