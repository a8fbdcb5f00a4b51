"""The picks so far, and what they leave open."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data import Pool, Selection
from learning.design._scored import Doubles, Scored


@dataclass(frozen=True, slots=True)
class Design:
    """What a greedy chose.

    Attributes:
        indices: Indices into the pool in the order of choice, shape ``(b,)``.
        gain: Value of each pick when it was made, times its rate, shape ``(b,)``.
        score: Value of every pair of the pool before the first pick, ``-inf`` for those that
            may not be chosen, shape ``(N,)``.
        info: How the choice went, for the log.
    """

    indices: NDArray[np.int64]
    gain: Doubles
    score: Doubles
    info: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def none(cls, pool: Pool) -> Design:
        """Nothing to choose from."""
        return cls(np.empty(0, np.int64), np.empty(0), np.full(len(pool), -np.inf))


class Picks:
    """Picks with their gains, as positions in ``scored.rows``; closes what is full.

    Attributes:
        open: Which rows may still be picked, shape ``(n,)``.
        rows: The picks in order.
        gains: What each was worth.
    """

    def __init__(self, scored: Scored, per_prompt: int | None) -> None:
        n = len(scored.rows)
        self.open = np.ones(n, dtype=np.bool_)
        self.rows: list[int] = []
        self.gains: list[float] = []
        self._scored = scored
        self._limited = per_prompt is not None
        self._prompt: NDArray[np.int64] = scored.pool.prompt[scored.rows]
        self._room = per_prompt or n
        self._used: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, row: int, gain: float) -> None:
        """Add a pick."""
        self.rows.append(row)
        self.gains.append(gain)
        self.open[row] = False
        if self._limited:
            prompt = int(self._prompt[row])
            self._used[prompt] = self._used.get(prompt, 0) + 1
            if self._used[prompt] == self._room:
                self.open[self._prompt == prompt] = False

    def design(self, score: Doubles, info: dict[str, Any]) -> Design:
        """The result, in indices of the pool."""
        return Design(self._scored.rows[self.rows], np.array(self.gains), score, info)


def as_selection(design: Design, **info: Any) -> Selection:
    """Return a design as what an acquisition function answers with."""
    return Selection(
        indices=design.indices, gain=design.gain, score=design.score, info={**design.info, **info}
    )
