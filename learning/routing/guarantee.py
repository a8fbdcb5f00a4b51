"""How sure a judge must be for its answers to stand: a threshold with a promise.

Source: Jung et al. (2025), "Trust or Escalate", arXiv:2407.18370: fixed-sequence testing of
thresholds with exact binomial bounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta

from learning import _checks
from learning.errors import ConfigError, ShapeError
from learning.routing.data import finite

Doubles = NDArray[np.float64]

STEPS: Final = 20  # thresholds tried: one for each twentieth of the questions
_HOPED: Final = 0.25  # share of the errors allowed with which the first test has to pass


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Audited questions, as a guarantee needs them.

    Attributes:
        confidence: How sure the judge was, shape ``(n,)``, finite. Must not depend on
            ``wrong``: a model fitted on the same answers makes the promise void.
        wrong: Whether people's answer was another one, shape ``(n,)``.

    Raises:
        ShapeError: shapes differ, or a value is not finite.
    """

    confidence: Doubles
    wrong: NDArray[np.bool_]

    def __post_init__(self) -> None:
        confidence = finite(self.confidence, "confidence")
        wrong = _checks.vector(self.wrong, "wrong", np.bool_, length=len(confidence))
        object.__setattr__(self, "confidence", confidence)
        object.__setattr__(self, "wrong", wrong)

    @classmethod
    def none(cls) -> Calibration:
        """Nothing audited yet."""
        return cls(np.empty(0), np.empty(0, np.bool_))

    def __len__(self) -> int:
        return len(self.wrong)


@dataclass(frozen=True, slots=True)
class Threshold:
    """The least confidence with which a judge's answer stands.

    Attributes:
        least: Answers at least so confident stand; infinite where nothing can be promised.
        bound: Upper bound on their share of errors, at the level asked for; 1 for none.
        calibrated: How many audited questions the bound is from.
        wrong: How many of these the judge had wrong.
    """

    least: float
    bound: float
    calibrated: int
    wrong: int

    @property
    def certified(self) -> bool:
        """Whether there is a promise at all."""
        return bool(np.isfinite(self.least))


@dataclass(frozen=True, slots=True, eq=False)
class RiskCoverage:
    """Errors among the most confident answers, as more of them are let stand.

    Attributes:
        coverage: Shares of the questions, ascending, shape ``(k,)``; equally confident
            questions come together.
        risk: Share of errors among them, shape ``(k,)``.
        aurc: Mean risk over all questions in order of confidence.
    """

    coverage: Doubles
    risk: Doubles
    aurc: float


def upper_bound(wrong: ArrayLike, n: ArrayLike, delta: float) -> Doubles:
    """Return the Clopper-Pearson upper bound on a share: above it with chance at most delta.

    Args:
        wrong: Errors, whole numbers in [0, n].
        n: Out of so many; 0 gives 1.
        delta: In (0, 1).

    Returns:
        In [0, 1]; 3 of 100 at 0.1 give 0.0656, 0 of 22 give 0.0994.
    """
    k, total = np.asarray(wrong, dtype=np.float64), np.asarray(n, dtype=np.float64)
    clean = np.minimum(k, np.maximum(total - 1, 0))  # beta(., 0) is not defined
    found = beta.ppf(1.0 - delta, clean + 1.0, np.maximum(total - clean, 1.0))
    return np.asarray(np.where(k >= total, 1.0, found))


def threshold(
    calibration: Calibration, pool: ArrayLike, *, alpha: float, delta: float
) -> Threshold:
    """Return the lowest threshold whose errors are at most ``alpha``, sure to ``1 - delta``.

    Thresholds are tried from strict to loose, each with an exact test at level ``delta``,
    until one fails; because they are tried in a fixed order, the whole search errs with
    chance at most ``delta``. The thresholds are quantiles of the confidence of the questions
    to be routed, and the first one is the strictest with so many calibrated questions that
    a quarter of the errors allowed would pass: neither looks at errors. (Begun with fewer,
    the search mostly ends at once, at an error by chance.)

    The promise is about questions like the calibrated ones, all together: it holds on average,
    not within each tag, and not after the judge has changed.

    Args:
        calibration: A random sample of questions with the truth about the judge.
        pool: Confidence of the questions to be routed, shape ``(m,)``.
        alpha: Share of errors allowed among answers that stand, in (0, 1).
        delta: Chance of breaking that, in (0, 1).

    Raises:
        ConfigError: ``alpha`` or ``delta`` is out of range.
        ShapeError: a confidence is not finite.
    """
    if not (0 < alpha < 1 and 0 < delta < 1):
        raise ConfigError(f"alpha and delta must lie in (0, 1), got {alpha} and {delta}")
    candidates = finite(pool, "pool")
    found = Threshold(float("inf"), 1.0, 0, 0)
    if not len(candidates):
        return found
    shares = np.arange(STEPS - 1, -1, -1) / STEPS
    least = np.unique(np.quantile(candidates, shares, method="inverted_cdf"))[::-1]
    for one in least:
        stands = calibration.confidence >= one
        n, wrong = int(stands.sum()), int(calibration.wrong[stands].sum())
        few = upper_bound(np.ceil(_HOPED * alpha * n), n, delta) > alpha
        if few and one > least[-1]:
            continue  # not a test: whether it is made depends on numbers alone
        bound = float(upper_bound(wrong, n, delta))
        if bound > alpha:
            break
        found = Threshold(float(one), bound, n, wrong)
    return found


def risk_coverage(confidence: ArrayLike, wrong: ArrayLike) -> RiskCoverage:
    """Return the risk-coverage curve of a judge.

    Args:
        confidence: Shape ``(n,)``, at least one.
        wrong: Whether it was wrong, 0 to 1, same shape.

    Returns:
        Equally confident questions enter together, with their mean risk.

    Raises:
        ShapeError: shapes differ or there is nothing.
    """
    sure = finite(confidence, "confidence")
    errors = finite(wrong, "wrong", length=len(sure))
    if not len(sure):
        raise ShapeError("a curve needs at least one question")
    values, place = np.unique(-sure, return_inverse=True)
    size = np.bincount(place, minlength=len(values)).astype(np.float64)
    total = np.bincount(place, weights=errors, minlength=len(values))
    mean = np.repeat(total / size, size.astype(np.int64))  # equals are in no order
    order = np.cumsum(mean) / np.arange(1, len(sure) + 1)
    reached = np.cumsum(size)
    risk = np.cumsum(total) / reached
    return RiskCoverage(reached / len(sure), risk, float(order.mean()))
