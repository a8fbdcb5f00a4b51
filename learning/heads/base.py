"""What every head offers."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.data import Comparisons, Posterior


class Head(Protocol):
    """Turns comparisons into a posterior over rewards; deterministic."""

    @property
    def name(self) -> str:
        """Name in the registry."""

    def fit(
        self,
        features: NDArray[np.floating[Any]],
        comparisons: Comparisons,
        *,
        prior_precision: float | None = None,
        start: Posterior | None = None,
    ) -> Posterior:
        """Fit from scratch, or faster from ``start``; no comparisons give the prior.

        Args:
            features: One row a response, shape ``(m, d)``.
            comparisons: Judgements whose rows point into ``features``.
            prior_precision: Fix the prior's precision instead of estimating it.
            start: An earlier posterior of the same width; changes the time, not the answer.
        """
