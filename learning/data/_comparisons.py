"""Judged pairs: what heads are fitted on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import _checks
from learning.errors import ShapeError

LEFT: Final = 1
TIE: Final = 0
RIGHT: Final = -1
UNKNOWN_STRENGTH: Final = 0


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """Pairs of responses with their outcome, one row a judgement.

    Attributes:
        left: Row of the left response in the feature matrix, shape ``(n,)``, int64.
        right: Row of the right response, shape ``(n,)``, int64.
        outcome: ``+1`` left is better, ``0`` tie, ``-1`` right is better; ``(n,)`` int8.
        strength: ``1`` slightly to ``3`` much better, ``0`` not known; ``(n,)`` int8. Must be
            ``0`` where the outcome is a tie.
        weight: How much the judgement counts, positive; ``(n,)`` float64. ``1`` is one
            ordinary judgement.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    outcome: NDArray[np.int8]
    strength: NDArray[np.int8]
    weight: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(np.atleast_1d(np.asarray(self.left)))
        types = {"left": np.int64, "right": np.int64, "outcome": np.int8, "strength": np.int8}
        for name, dtype in {**types, "weight": np.float64}.items():
            values = _checks.vector(getattr(self, name), name, dtype, length=n)
            object.__setattr__(self, name, values)
        self._check_values()

    def _check_values(self) -> None:
        if n_negative := int(((self.left < 0) | (self.right < 0)).sum()):
            raise ShapeError(f"left and right must be row numbers, {n_negative} are negative")
        if (self.left == self.right).any():
            raise ShapeError("a response is compared with itself")
        if not np.isin(self.outcome, (LEFT, TIE, RIGHT)).all():
            raise ShapeError(f"outcome must be -1, 0 or 1, got {np.unique(self.outcome)}")
        if not np.isin(self.strength, (0, 1, 2, 3)).all():
            raise ShapeError(f"strength must be 0, 1, 2 or 3, got {np.unique(self.strength)}")
        if (self.strength[self.outcome == TIE] != UNKNOWN_STRENGTH).any():
            raise ShapeError("a tie cannot have a strength")
        if not (np.isfinite(self.weight) & (self.weight > 0)).all():
            raise ShapeError("weight must be finite and positive")

    @classmethod
    def of(
        cls,
        left: ArrayLike,
        right: ArrayLike,
        outcome: ArrayLike,
        *,
        strength: ArrayLike | None = None,
        weight: ArrayLike | None = None,
    ) -> Comparisons:
        """Build from anything array-like; strength defaults to unknown and weight to 1."""
        n = len(np.atleast_1d(np.asarray(left)))
        no_strength = np.zeros(n, dtype=np.int8)
        return cls(
            left=np.asarray(left),
            right=np.asarray(right),
            outcome=np.asarray(outcome),
            strength=no_strength if strength is None else np.asarray(strength),
            weight=np.ones(n) if weight is None else np.asarray(weight),
        )

    @classmethod
    def none(cls) -> Comparisons:
        """No judgements at all: what a campaign starts with."""
        return cls.of([], [], [])

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def decisive(self) -> NDArray[np.bool_]:
        """Where one side won; shape ``(n,)``."""
        return np.asarray(self.outcome != TIE)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Left and right row of each judgement, shape ``(n, 2)``."""
        return np.stack([self.left, self.right], axis=1)

    def subset(self, rows: NDArray[Any]) -> Comparisons:
        """Return the judgements that a boolean mask ``(n,)`` or an index array picks."""
        columns = (self.left, self.right, self.outcome, self.strength, self.weight)
        return Comparisons(*(column[rows] for column in columns))

    def joined(self, other: Comparisons) -> Comparisons:
        """Return these judgements and then the others."""
        return Comparisons(
            left=np.concatenate([self.left, other.left]),
            right=np.concatenate([self.right, other.right]),
            outcome=np.concatenate([self.outcome, other.outcome]),
            strength=np.concatenate([self.strength, other.strength]),
            weight=np.concatenate([self.weight, other.weight]),
        )

    def swapped(self) -> Comparisons:
        """Return the same judgements with left and right exchanged."""
        return Comparisons(
            left=self.right,
            right=self.left,
            outcome=-self.outcome,
            strength=self.strength,
            weight=self.weight,
        )
