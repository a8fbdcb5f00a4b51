"""What an ensemble of adapters is to acquisition functions, given its rewards; without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from learning.data import Ensemble, Networks
from learning.heads._likelihood import AnswerModel

WEIGHTS: Final = "adapters.safetensors"  # what lies in an ensemble's folder
RECORD: Final = "adapters.json"


def answers_of(said: Mapping[str, Any]) -> AnswerModel:
    """Return how margins become answers, from ``tie``, ``slope`` and ``cuts`` of a record."""
    low, high = said["cuts"]
    return AnswerModel(float(said["tie"]), float(said["slope"]), (float(low), float(high)))


def belief_of(
    members: int, scale: float, answers: AnswerModel, *, n_comparisons: int, after: int = 0
) -> Ensemble:
    """Return the belief of members whose rewards are features.

    A member's network takes its own reward and hands it on: ``x = relu(x) - relu(-x)``.

    Args:
        members: How many.
        scale: Factor on all rewards.
        answers: How margins become answers.
        n_comparisons: How many comparisons they have seen.
        after: How many features come before the rewards and are not looked at.
    """
    return Ensemble(
        passing(members, after=after),
        scale=scale,
        tie=answers.tie,
        strength_slope=answers.slope,
        strength_cuts=answers.cuts,
        n_comparisons=n_comparisons,
    )


def passing(members: int, *, after: int = 0) -> Networks:
    """Return networks of which the ``k``-th hands on feature ``after + k``."""
    first = np.zeros((after + members, members, 2), dtype=np.float32)
    own = np.arange(members)
    first[after + own, own] = (1.0, -1.0)
    one = np.ones((members, 1), dtype=np.float32)
    return Networks(
        first=first,
        first_bias=np.zeros((members, 2), dtype=np.float32),
        second=np.broadcast_to(np.eye(2, dtype=np.float32), (members, 2, 2)),
        second_bias=np.zeros((members, 2), dtype=np.float32),
        last=np.concatenate([one, -one], axis=1),
    )
