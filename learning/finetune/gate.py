"""Whether a new reward model may take the place of the one in use.

Both models have said what they think of the same held-out answers. The new one is used only if
its log-loss is lower with certainty, and neither its calibration nor its taste for long
responses has become worse with certainty. Everything is paired, and redrawn by prompt.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from learning.errors import ShapeError

Doubles = NDArray[np.float64]

FEWEST: Final = 30  # prompts with an answer: with fewer, an interval says little
DRAWS: Final = 2000
_BINS: Final = 15
_SIMULATED: Final = 400
_CELLS: Final = 2_000_000  # of redrawn answers at a time: 16 MB
_STEPS: Final = 25
_LARGEST: Final = 20.0  # logits a standard deviation: beyond, the answers are separated
_RIDGE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of the new and the old model, and the difference new - old with its interval."""

    new: float
    old: float
    value: float
    low: float
    high: float

    @property
    def better(self) -> bool:
        """The whole interval is below 0."""
        return bool(self.high < 0)

    @property
    def worse(self) -> bool:
        """The whole interval is above 0."""
        return bool(self.low > 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says.

    Attributes:
        promoted: Whether the new model is to be used.
        reason: Why, in a sentence.
        log_loss: Of the winner among decisive answers, in nats; None with too few prompts.
        ece: Expected calibration error, 15 bins, beyond what chance alone would show.
        length: How far each model misses what length is worth to people: the size of the logits
            that one standard deviation of log length deserves besides its margin.
        accuracy: Share of winners with the higher reward; shown, decides nothing.
        n: Decisive answers.
        prompts: Prompts that they are about.
    """

    promoted: bool
    reason: str
    log_loss: Difference | None
    ece: Difference | None
    length: Difference | None
    accuracy: Difference | None
    n: int
    prompts: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the verdict itself."""
        found = asdict(self)
        return {name: one for name, one in found.items() if name not in ("promoted", "reason")}


def examine(
    new: ArrayLike,
    old: ArrayLike,
    outcome: ArrayLike,
    length: ArrayLike,
    prompt: ArrayLike,
    *,
    rng: np.random.Generator,
) -> Verdict:
    """Compare two models on answers that neither was trained on.

    Args:
        new: Logit of P(left is better) by the new model, shape ``(n,)``.
        old: The same by the model in use.
        outcome: ``+1`` if left won, ``-1`` if right won, ``0`` for a tie, which is left out.
        length: Log length of left minus right, any unit.
        prompt: Which prompt each is about; any labels.
        rng: Redraws the prompts.

    Raises:
        ShapeError: arrays of different lengths, or a logit that is not finite.
    """
    margins = np.stack([_floats(new, "new"), _floats(old, "old")])  # (2, n)
    sign, gap, prompts = np.asarray(outcome), _floats(length, "length"), np.asarray(prompt)
    n = margins.shape[1]
    for name, one in {"outcome": sign, "length": gap, "prompt": prompts}.items():
        if one.shape != (n,):
            raise ShapeError(f"{name} must be ({n},), got {one.shape}")
    decisive = sign != 0
    towards = margins[:, decisive] * sign[decisive]  # of the winner
    gap = gap[decisive] * sign[decisive]
    _, group = np.unique(prompts[decisive], return_inverse=True)
    k = int(group.max()) + 1 if len(group) else 0
    if k < FEWEST:
        return _too_few(int(decisive.sum()), k)
    times = rng.multinomial(k, np.full(k, 1.0 / k), size=DRAWS)  # (draws, prompts)
    spread = float(gap.std())
    found = {
        "log_loss": _means(np.logaddexp(0.0, -towards), group, times),
        "ece": _calibration(towards, group, times, rng),
        "length": _length(towards, gap / spread if spread else gap, group, times),
        "accuracy": _means(_hits(towards), group, times),
    }
    promoted, reason = _decide(found["log_loss"], found["ece"], found["length"], k)
    return Verdict(promoted, reason, **found, n=int(decisive.sum()), prompts=k)


def needed(difference: Difference, prompts: int) -> int:
    """About how many prompts would show that a difference below 0 is no chance.

    An interval shrinks with the root of the number of prompts.
    """
    reach = difference.high - difference.value
    return int(np.ceil(prompts * (reach / -difference.value) ** 2))


def _too_few(n: int, prompts: int) -> Verdict:
    few = "too few held-out prompts have a decisive answer to tell"
    reason = f"{few}: {prompts}, and it takes at least {FEWEST}"
    return Verdict(False, reason, None, None, None, None, n, prompts)


def _decide(
    log_loss: Difference, ece: Difference, length: Difference, prompts: int
) -> tuple[bool, str]:
    said = f"log-loss {log_loss.new:.3f} against {log_loss.old:.3f}"
    span = f"difference {log_loss.low:+.3f} to {log_loss.high:+.3f}"
    if not log_loss.better:
        if log_loss.value >= 0:
            return False, f"it is not better on the holdout: {said}, {span}"
        return False, (
            f"that it is better on the holdout may be chance: {said}, {span}; if it is as much "
            f"better, about {needed(log_loss, prompts):,} held-out prompts would show it"
        )
    if ece.worse:
        return False, (
            f"better on the holdout ({said}), but it says worse how sure it may be: calibration "
            f"error {ece.new:.3f} against {ece.old:.3f}, difference {ece.low:+.3f} to "
            f"{ece.high:+.3f}"
        )
    if length.worse:
        return False, (
            f"better on the holdout ({said}), but further from what length is worth to people: "
            f"off by {length.new:.2f} logits a standard deviation against {length.old:.2f}, "
            f"difference {length.low:+.2f} to {length.high:+.2f}"
        )
    return True, (
        f"better on the holdout: {said}, {span}; not worse calibrated, and not more partial to "
        "length"
    )


def _floats(values: ArrayLike, name: str) -> Doubles:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or not np.isfinite(found).all():
        raise ShapeError(f"{name} must be finite numbers, (n,), got {found.shape}")
    return found


def _difference(values: Doubles, drawn: Doubles) -> Difference:
    """From the two figures, ``(2,)``, and the same on redrawn prompts, ``(draws, 2)``."""
    low, high = np.quantile(drawn[:, 0] - drawn[:, 1], [0.025, 0.975])
    new, old = float(values[0]), float(values[1])
    return Difference(new, old, new - old, float(low), float(high))


def _sums(values: Doubles, group: NDArray[np.int64], k: int) -> Doubles:
    return np.asarray(np.bincount(group, weights=values, minlength=k), dtype=np.float64)


def _means(values: Doubles, group: NDArray[np.int64], times: NDArray[np.int64]) -> Difference:
    """Of means over answers; `values` is ``(2, n)``."""
    k = times.shape[1]
    size = times @ _sums(np.ones(len(group)), group, k)
    drawn = np.stack([times @ _sums(one, group, k) / size for one in values], axis=1)
    return _difference(values.mean(axis=1), drawn)


def _calibration(
    towards: Doubles,
    group: NDArray[np.int64],
    times: NDArray[np.int64],
    rng: np.random.Generator,
) -> Difference:
    """Of expected calibration errors beyond chance.

    Within a bin, hits and confidence add up by prompt. Redrawing adds noise to what is noisy
    already, and an error cannot be negative: so redrawn values count from their own mean.
    """
    k, n = times.shape[1], len(group)
    size = times @ _sums(np.ones(n), group, k)
    drawn, whole, seed = [], [], int(rng.integers(2**31))  # the same luck for both
    for one in towards:
        sure = expit(np.abs(one))
        place = _bin(sure)
        cells = np.bincount(group * _BINS + place, weights=_hits(one) - sure, minlength=k * _BINS)
        by_prompt = cells.reshape(k, _BINS)
        chance = by_chance(sure, np.random.default_rng(seed))
        error = float(np.abs(by_prompt.sum(axis=0)).sum() / n) - chance
        redrawn = np.abs(times @ by_prompt).sum(axis=1) / size
        whole.append(error)
        drawn.append(redrawn - redrawn.mean() + error)
    return _difference(np.array(whole), np.stack(drawn, axis=1))


def by_chance(sure: Doubles, rng: np.random.Generator) -> float:
    """Expected calibration error that perfectly calibrated answers would show by chance.

    It grows with the number of bins that a model uses, so that plain errors flatter the model
    that is never sure.

    Args:
        sure: Probability given to the predicted side, shape ``(n,)``, in [0.5, 1].
        rng: Draws the answers.

    Source:
        Roelofs et al. (2022), arXiv:2012.08668, section 3: the bias of binned estimators.
    """
    inside = np.eye(_BINS)[_bin(sure)]  # (n, bins)
    step = max(1, _CELLS // len(sure))
    found = []
    for start in range(0, _SIMULATED, step):
        rows = min(step, _SIMULATED - start)
        # A side that is no likelier than the other counts half, as in the metrics.
        hit = np.where(sure == 0.5, 0.5, rng.random((rows, len(sure))) < sure)
        found.append(np.abs((hit - sure) @ inside).sum(axis=1) / len(sure))
    return float(np.concatenate(found).mean())


def _bin(sure: Doubles) -> NDArray[np.int64]:
    """As `learning.metrics.ece`: 0.6 / 0.1 is 5.999...: the rounding keeps it in its bin."""
    return np.minimum(np.floor(np.round(sure * _BINS, 9)).astype(np.int64), _BINS - 1)


def _hits(towards: Doubles) -> Doubles:
    return np.asarray(np.where(towards == 0, 0.5, towards > 0), dtype=np.float64)


def _length(
    towards: Doubles, gap: Doubles, group: NDArray[np.int64], times: NDArray[np.int64]
) -> Difference:
    """Of the sizes of what length deserves besides the margin, by weighted logistic regression."""
    draws, n = len(times), len(group)
    drawn = np.empty((draws, 2))
    step = max(1, _CELLS // n)
    for start in range(0, draws, step):
        weight = times[start : start + step][:, group].astype(np.float64)  # (rows, n)
        for model in (0, 1):
            drawn[start : start + step, model] = np.abs(missing(towards[model], gap, weight))
    whole = np.array([np.abs(missing(one, gap, np.ones((1, n))))[0] for one in towards])
    return _difference(whole, drawn)


def missing(towards: Doubles, gap: Doubles, weight: Doubles) -> Doubles:
    """What length deserves besides a model's margin: ``b`` of P(winner) = sigmoid(m + b gap).

    Args:
        towards: Margin of the winner, in logits, shape ``(n,)``.
        gap: How much longer the winner is, in standard deviations, shape ``(n,)``.
        weight: Of each answer, one row a fit, shape ``(fits, n)``.

    Returns:
        Shape ``(fits,)``, within -20 to 20; negative where the model likes length too much. A
        tiny ridge keeps answers apart that length alone separates.
    """
    if weight.shape[1] != len(towards) or len(gap) != len(towards):
        raise ShapeError(f"{len(towards)} margins, {len(gap)} gaps, {weight.shape} weights")
    b = np.zeros(len(weight))
    for _ in range(_STEPS):
        p = expit(-(towards + b[:, None] * gap))  # of the loser, (fits, n)
        slope = (weight * p) @ gap - _RIDGE * b
        bend = (weight * p * (1 - p)) @ np.square(gap) + _RIDGE
        moved = np.clip(b + np.clip(slope / bend, -2.0, 2.0), -_LARGEST, _LARGEST)
        if np.abs(moved - b).max() < 1e-8:
            return np.asarray(moved)
        b = moved
    return b
