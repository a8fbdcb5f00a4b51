"""What every head offers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.data import Belief, Comparisons


class Head(Protocol):
    """Turns comparisons into a belief about rewards; deterministic."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Belief | None = None,
        recurring: NDArray[np.int64] | None = None,
    ) -> Belief:
        """Fit from scratch, or faster from ``start``; no comparisons give the prior.

        Args:
            features: One row a response, shape ``(m, d)``.
            comparisons: Judgements whose rows point into ``features``.
            prior_precision: Fix the prior's precision instead of estimating it.
            start: An earlier belief of the same width; changes the time, not the answer. One
                of another kind is used as far as it helps.
            recurring: Rows of responses that occur in several candidate pairs, those of no
                comparison included, for heads that treat them specially. Such a head finds
                them in ``comparisons`` where nothing is given.
        """
