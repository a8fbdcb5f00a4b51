"""What goes into an acquisition function besides the pool, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning import _checks
from learning.errors import ShapeError


def _no_rows() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def _no_pairs() -> NDArray[np.int64]:
    return np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Where the campaign stands when a batch is chosen.

    Attributes:
        round: Number of the round, from 0.
        labelled_prompts: Prompt numbers that already have an answer, shape ``(k,)``.
        pending: Pairs that are handed out and not answered yet, as rows of the pool's feature
            matrix, shape ``(p, 2)``. Functions that look at a batch as a whole condition on
            them; they are not eligible again anyway.
        targets: Pairs the reward model should get right, same rows, shape ``(t, 2)``; empty
            means the pool itself.
        budget_left: Answers that may still be bought; ``None`` is unlimited.
    """

    round: int = 0
    labelled_prompts: NDArray[np.int64] = field(default_factory=_no_rows)
    pending: NDArray[np.int64] = field(default_factory=_no_pairs)
    targets: NDArray[np.int64] = field(default_factory=_no_pairs)
    budget_left: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """The picks of one acquisition function.

    Attributes:
        indices: Indices into the pool, best first, without repeats, shape ``(B,)``.
        gain: What each pick was worth when it was made, shape ``(B,)``, in the unit of the
            function (named in ``info["unit"]`` where there is one).
        score: First-step score of every pair in the pool, ``-inf`` where not eligible, shape
            ``(N,)``; ``None`` where the function does not score.
        info: Facts for the log and the dashboard.
        propensity: Probability with which each pick was drawn, shape ``(B,)``; ``None`` for a
            deterministic rule.
    """

    indices: NDArray[np.int64]
    gain: NDArray[np.float64]
    score: NDArray[np.float64] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    propensity: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        indices = _checks.vector(self.indices, "indices", np.int64)
        object.__setattr__(self, "indices", indices)
        gain = _checks.vector(self.gain, "gain", np.float64, length=len(indices))
        object.__setattr__(self, "gain", gain)
        if len(np.unique(indices)) != len(indices):
            raise ShapeError("a selection holds each pair at most once")

    def __len__(self) -> int:
        return len(self.indices)

    @classmethod
    def empty(cls, **info: Any) -> Selection:
        """Nothing to choose from."""
        return cls(indices=_no_rows(), gain=np.empty(0), info=info)
