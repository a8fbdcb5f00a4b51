"""Figures of a reward model on judged pairs, and the same on slices of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from learning.errors import NotEnoughData
from learning.finetune.evaluate_length import Length, length_of
from learning.metrics import Estimate, bootstrap_interval, ece

BINS: Final = 15
LEAST: Final = 20  # decisive answers of a slice; fewer say nothing
_SMALLEST: Final = 1e-9  # as in metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Answers about pairs, one a row, with what the model makes of them.

    Attributes:
        margin: Reward left minus right in calibrated logits, shape ``(n,)``.
        outcome: 1 left is better, 0 tie, -1, shape ``(n,)``.
        length: ``log(1 + characters)`` left minus right, shape ``(n,)``.
        group: Number of what belongs together, shape ``(n,)``.
        slices: By kind of slice (``subset``, ``task`` ...) the names that each row falls
            under: one, none or several.
    """

    margin: Floats
    outcome: NDArray[np.int8]
    length: Floats
    group: NDArray[np.int64]
    slices: Mapping[str, Sequence[tuple[str, ...]]]

    def __len__(self) -> int:
        return len(self.margin)

    def part(self, rows: NDArray[np.int64]) -> Judged:
        """Return some of the rows, without their slices."""
        return Judged(
            self.margin[rows], self.outcome[rows], self.length[rows], self.group[rows], {}
        )


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability table: predictions of about the same confidence."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How good a reward model is; each answer counts once.

    Attributes:
        accuracy: Share of decisive answers whose winner has the higher reward; equal rewards
            count half.
        log_loss: Of the winner among decisive answers, in nats.
        ece: Expected calibration error, 15 bins, with the interval of redrawn groups.
        log_loss_ties: Of win, tie or loss under Davidson's model, over all answers, in nats;
            NaN where the model has no ``nu``.
        tie_auc: Chance that a tie has a smaller margin than a decisive answer; one half says
            that margins know nothing of ties. NaN without ties.
        ties: Share of ties.
        length: What length has to do with it.
        reliability: Bins that hold predictions.
        n, decisive, groups: How much there was to look at.
    """

    accuracy: Estimate
    log_loss: Estimate
    ece: Estimate
    log_loss_ties: Estimate
    tie_auc: Estimate
    ties: float
    length: Length
    reliability: tuple[Bin, ...]
    n: int
    decisive: int
    groups: int


def figures(judged: Judged, *, tie: float | None = None, seed: int = 0) -> Figures:
    """Measure a model.

    Args:
        judged: Its margins and the answers.
        tie: Davidson's ``nu``, where the model has one.
        seed: Of the bootstrap over groups: the same groups are redrawn for every figure.

    Raises:
        NotEnoughData: no decisive answer.
    """
    decisive = judged.outcome != 0
    if not decisive.any():
        raise NotEnoughData("there is no decisive answer to evaluate on")
    winner = expit(judged.margin * judged.outcome)[decisive]
    group = judged.group[decisive]
    hits = np.where(winner == 0.5, 0.5, winner > 0.5)
    sure = np.maximum(winner, 1.0 - winner)
    nothing = Estimate(float("nan"))
    return Figures(
        accuracy=_mean(hits, group, seed),
        log_loss=_mean(surprise(winner), group, seed),
        ece=_ece(sure, hits, group, seed),
        log_loss_ties=nothing if tie is None else _mean(_three(judged, tie), judged.group, seed),
        tie_auc=_tie_auc(judged, seed),
        ties=float(1.0 - decisive.mean()),
        length=length_of(
            judged.margin, judged.length, judged.outcome, judged.group,
            rng=np.random.default_rng(seed),
        ),
        reliability=reliability(sure, hits),
        n=len(judged),
        decisive=int(decisive.sum()),
        groups=len(np.unique(judged.group)),
    )  # fmt: skip


def sliced(
    judged: Judged, *, tie: float | None = None, least: int = LEAST, seed: int = 0
) -> dict[str, dict[str, Figures]]:
    """Return the figures of every slice with enough decisive answers, by kind and name.

    The largest slices come first. A row with several names (tags) counts in each.
    """
    found: dict[str, dict[str, Figures]] = {}
    for kind, names in judged.slices.items():
        rows: dict[str, list[int]] = {}
        for row, ours in enumerate(names):
            for name in ours:
                rows.setdefault(name, []).append(row)
        kept = sorted(rows.items(), key=lambda one: (-len(one[1]), one[0]))
        for name, places in kept:
            part = judged.part(np.array(places))
            if int((part.outcome != 0).sum()) >= least:
                found.setdefault(kind, {})[name] = figures(part, tie=tie, seed=seed)
    return found


def reliability(confidence: Floats, correct: Floats, *, bins: int = BINS) -> tuple[Bin, ...]:
    """Return the bins of :func:`learning.metrics.ece` that hold anything."""
    place = np.minimum(np.floor(np.round(confidence * bins, 9)).astype(np.int64), bins - 1)
    return tuple(
        Bin(
            low=float(at / bins),
            high=float((at + 1) / bins),
            n=int((place == at).sum()),
            confidence=float(confidence[place == at].mean()),
            accuracy=float(correct[place == at].mean()),
        )
        for at in np.unique(place)
    )


def surprise(probability: Floats) -> Floats:
    """Return ``-log p``, bounded, so that one answer cannot be infinite."""
    return np.asarray(-np.log(np.clip(probability, _SMALLEST, 1.0)))


def plain(value: Any) -> Any:
    """Return figures as JSON values: an estimate is ``{value, low, high}``, NaN is null."""
    if isinstance(value, Estimate | Length | Figures | Bin):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return round(float(value), 6) if np.isfinite(value) else None
    return value


def _mean(values: Floats, groups: NDArray[Any], seed: int) -> Estimate:
    ends = bootstrap_interval(values, groups, rng=np.random.default_rng(seed))
    return Estimate(float(values.mean()), *ends)


def _three(judged: Judged, tie: float) -> Floats:
    """The surprise at win, tie or loss: Davidson (1970)."""
    half = judged.margin / 2
    small = np.exp(-np.abs(half))
    total = 1.0 + small**2 + 2.0 * tie * small
    likelier = judged.outcome * half > 0
    decided = np.where(likelier | (half == 0), 1.0, small**2) / total
    return surprise(np.where(judged.outcome == 0, 2.0 * tie * small / total, decided))


_DRAWS: Final = 500


def _ece(confidence: Floats, hits: Floats, groups: NDArray[Any], seed: int) -> Estimate:
    """ECE, and its percentile interval over redrawn groups (which is biased upwards, as ECE is)."""
    value = ece(confidence, hits, bins=BINS)
    _, member = np.unique(groups, return_inverse=True)
    count = int(member.max()) + 1
    if count < 2:
        return Estimate(value)
    place = np.minimum(np.floor(np.round(confidence * BINS, 9)).astype(np.int64), BINS - 1)
    cells = np.zeros((count, BINS))
    np.add.at(cells, (member, place), hits - confidence)
    size = np.bincount(member).astype(np.float64)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(count, np.full(count, 1.0 / count), size=_DRAWS)
    drawn = np.abs(times @ cells).sum(axis=1) / (times @ size)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def _tie_auc(judged: Judged, seed: int) -> Estimate:
    """Mann and Whitney's statistic of margins' sizes, with an interval over redrawn groups."""
    tied = judged.outcome == 0
    if not tied.any() or tied.all():
        return Estimate(float("nan"))
    size = np.abs(judged.margin)
    _, member = np.unique(judged.group, return_inverse=True)
    count = int(member.max()) + 1
    value = _auc(size, tied, np.ones(len(size)))
    if count < 2:
        return Estimate(value)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(0, count, count), minlength=count)[member]
        if times[tied].any() and times[~tied].any():
            drawn.append(_auc(size, tied, times.astype(np.float64)))
    low, high = np.quantile(drawn, [0.025, 0.975]) if drawn else (float("nan"),) * 2
    return Estimate(value, float(low), float(high))


def _auc(size: Floats, tied: NDArray[np.bool_], weight: Floats) -> float:
    """P(a tie's margin is smaller than a decisive one's), equal ones half, rows weighted."""
    level = rankdata(size, method="dense").astype(np.int64) - 1
    ties = np.bincount(level, weights=weight * tied)
    others = np.bincount(level, weights=weight * ~tied, minlength=len(ties))
    below = np.cumsum(ties) - 0.5 * ties
    return float((others @ below) / (ties.sum() * others.sum()))
