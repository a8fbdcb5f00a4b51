"""The card itself: figures with their intervals, and one sentence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from learning.metrics import Estimate


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How good the head is after so many answers (mean over folds)."""

    labels: int
    accuracy: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What an encoder can learn from a set of answers.

    Accuracy and log-loss (nats) are about decisive answers on groups that were not trained on.

    Attributes:
        labels: Comparisons there are, ties included.
        used: How many of them were looked at.
        decisive: Those of them that are not ties.
        groups: Groups of prompts.
        head: Name of what learnt.
        accuracy: Of the head on embedding and surface features.
        log_loss: Of the same head.
        surface_accuracy: Of the head on surface features alone: length, lists, refusals, ...
        surface_log_loss: Of the same head.
        gain: Log-loss that the embedding saves over surface features alone.
        majority_accuracy: Of always naming the side that wins more often: what answering
            without reading gives, near one half where sides are drawn.
        curve: After an eighth, a quarter, half and all of the answers.
        late_gain: Log-loss saved by the second half of the answers.
        still_rising: More answers of this kind help: the interval of ``late_gain`` is above 0.
        ceiling: Accuracy that these features may reach with many more answers: the curve drawn
            on against ``1 / sqrt(labels)`` while it rises, otherwise where it stands.
        agreement: How often two people who both chose agree on a pair; NaN where no pair has
            two answers.
        repeated: Pairs with at least two decisive answers.
        human_ceiling: Accuracy that no model can pass on single answers, people disagreeing as
            they do: ``(1 + sqrt(2 agreement - 1)) / 2``; NaN where not known.
        enough: There are enough answers and groups for the intervals to mean something; without
            them nothing is called learnable.
        learnable: There is something to learn: the interval of the accuracy lies above one half
            and that of the log-loss below ln 2. Choosing questions can pay.
        sentence: The finding in plain words.
    """

    labels: int
    used: int
    decisive: int
    groups: int
    head: str
    accuracy: Estimate
    log_loss: Estimate
    surface_accuracy: Estimate
    surface_log_loss: Estimate
    gain: Estimate
    majority_accuracy: float
    curve: tuple[CurvePoint, ...]
    late_gain: Estimate
    still_rising: bool
    ceiling: float
    agreement: Estimate
    repeated: int
    human_ceiling: float
    enough: bool
    learnable: bool
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values: an estimate by its name, its ends under ``intervals``."""
        plain: dict[str, Any] = {}
        intervals: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Estimate):
                intervals[name] = [_finite(value.low), _finite(value.high)]
                value = value.value
            plain[name] = _finite(value) if isinstance(value, float) else value
        plain["curve"] = [asdict(point) for point in self.curve]
        return {**plain, "intervals": intervals}


def _finite(value: float) -> float | None:
    """JSON has no NaN."""
    return float(value) if np.isfinite(value) else None
