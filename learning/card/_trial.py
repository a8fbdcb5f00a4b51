"""Cross-validation by group of one head on one set of answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning import heads
from learning.card._card import CurvePoint
from learning.data import Belief, Comparisons
from learning.heads import Head
from learning.metrics import Estimate, bootstrap_interval

_FOLDS: Final = 5
_SHARES: Final = (0.125, 0.25, 0.5, 1.0)
_SMALLEST: Final = 1e-9  # as in metrics

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Found:
    """What cross-validation found."""

    accuracy: Estimate
    log_loss: Estimate
    surface_accuracy: Estimate
    surface_log_loss: Estimate
    gain: Estimate
    curve: tuple[CurvePoint, ...]
    late_gain: Estimate
    still_rising: bool
    ceiling: float

    @classmethod
    def nothing(cls) -> Found:
        none = Estimate(float("nan"))
        return cls(none, none, none, none, none, (), none, False, float("nan"))


class Trial:
    """Cross-validation of one head on one set of answers."""

    def __init__(
        self,
        comparisons: Comparisons,
        member: NDArray[np.int64],
        head: Head,
        rng: np.random.Generator,
    ) -> None:
        self.data, self.member, self.head = comparisons, member, head
        self.recurring = heads.recurring(comparisons.pairs)
        self.fold = folds(member, _FOLDS, rng)[member]
        self.order = rng.permutation(len(comparisons))  # one, so that subsets are nested

    def find(self, features: NDArray[np.float32], width: int) -> Found:
        """Compare embedding and surface (the columns from ``width`` on) with surface alone."""
        curve = [self._predict(features, share) for share in _SHARES]
        alone = self._predict(features[:, width:], 1.0)
        full, half = curve[-1], curve[-2]
        late = self._estimate(_surprise(half) - _surprise(full))
        labels = [round(share * len(self.data) * (1 - 1 / _FOLDS)) for share in _SHARES]
        points = tuple(
            CurvePoint(count, float(_hits(p).mean()), float(_surprise(p).mean()))
            for count, p in zip(labels, curve, strict=True)
        )
        rising = late.low > 0
        return Found(
            accuracy=self._estimate(_hits(full)),
            log_loss=self._estimate(_surprise(full)),
            surface_accuracy=self._estimate(_hits(alone)),
            surface_log_loss=self._estimate(_surprise(alone)),
            gain=self._estimate(_surprise(alone) - _surprise(full)),
            curve=points,
            late_gain=late,
            still_rising=rising,
            ceiling=drawn_on(points) if rising else points[-1].accuracy,
        )

    def _predict(self, features: NDArray[np.float32], share: float) -> Floats:
        """Return the winner's probability for every decisive answer, by a head that has not
        seen its group, trained on this share of the other groups' answers."""
        winner = np.empty(len(self.data))
        start: Belief | None = None
        for fold in range(_FOLDS):
            tested = self.fold == fold
            if not tested.any():
                continue
            others = self.order[~tested[self.order]]
            seen = others[: max(1, round(share * len(others)))]
            known = self.data.subset(seen)
            belief = self.head.fit(features, known, start=start, recurring=self.recurring)
            start = belief
            mu, s2 = belief.margin(features, self.data.pairs[tested])
            winner[tested] = belief.preference(mu * self.data.outcome[tested], s2)
        return winner[self.data.decisive]

    def _estimate(self, values: Floats) -> Estimate:
        """The mean with its interval over groups."""
        groups = self.member[self.data.decisive]
        # The same redrawn groups for every figure: a fixed seed of its own.
        ends = bootstrap_interval(values, groups, rng=np.random.default_rng(0))
        return Estimate(float(values.mean()), *ends)


def folds(member: NDArray[np.int64], k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the fold of each group: large groups first, each into the smallest fold so far.

    Args:
        member: Group of each comparison, ``0 .. G - 1``, shape ``(n,)``.
        k: Number of folds.
        rng: Orders groups of equal size.
    """
    size = np.bincount(member)
    order = np.lexsort((rng.random(len(size)), -size))
    filled = np.zeros(k, dtype=np.int64)
    fold = np.empty(len(size), dtype=np.int64)
    for group in order:
        fold[group] = filled.argmin()
        filled[fold[group]] += size[group]
    return fold


def drawn_on(points: tuple[CurvePoint, ...]) -> float:
    """Return the accuracy a rising curve tends to: a line through its last three points against
    ``1 / sqrt(labels)``, at 0; at least the last point and at most 1."""
    last = points[-3:]
    x = np.array([point.labels for point in last], dtype=np.float64) ** -0.5
    _, at_infinity = np.polyfit(x, [point.accuracy for point in last], 1)
    return float(np.clip(at_infinity, points[-1].accuracy, 1.0))


def _hits(winner: Floats) -> Floats:
    return np.where(winner == 0.5, 0.5, winner > 0.5).astype(np.float64)


def _surprise(winner: Floats) -> Floats:
    return np.asarray(-np.log(np.clip(winner, _SMALLEST, 1.0)))
