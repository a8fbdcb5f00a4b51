"""Which responses recur in many pairs, and which head suits that."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# Log-loss against linear_bt on held-out pairs, five folds (pairs a response in brackets):
# tulu1 -0.001 (1.5), lamp_rankings +0.001 (2.0, held-out groups), pandalm -0.026 (2.4),
# community_alignment -0.014 (2.9), llmfao 0.000 (5.5), tournesol -0.058 (6.4), wmt23_mqm
# -0.033 (8.2), ukp_convarg1 -0.032 (32).
_PAIRS_PER_RESPONSE: Final = 2.0
MAX_ITEMS: Final = 2_048  # the posterior of these and 401 features takes 48 MB


def recurring(pairs: NDArray[np.int64], least: int = 2) -> NDArray[np.int64]:
    """Return the rows that occur in at least ``least`` different pairs ``(N, 2)``, ascending."""
    return np.flatnonzero(_pairs_per_row(pairs) >= least)


def choose(pairs: NDArray[np.int64]) -> str:
    """Return the name of the head that suits candidate pairs ``(N, 2)``.

    ``item_bt`` where a response occurs in two different pairs or more on average, so that
    answers about one pair say something about others beyond the features; ``linear_bt``
    elsewhere.
    """
    count = _pairs_per_row(pairs)
    count = count[count > 0]
    often = len(count) > 0 and count.mean() >= _PAIRS_PER_RESPONSE
    return "item_bt" if often else "linear_bt"


def recurrence(pairs: NDArray[np.int64]) -> float:
    """Return in how many different pairs ``(N, 2)`` a response occurs: the median; 0 of none."""
    count = _pairs_per_row(pairs)
    return float(np.median(count[count > 0])) if count.any() else 0.0


def _pairs_per_row(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return in how many different pairs every row occurs, shape ``(largest row + 1,)``."""
    if not len(pairs):
        return np.zeros(0, dtype=np.int64)
    low, high = np.sort(pairs, axis=1).T
    distinct = np.unique(low * (int(high.max()) + 1) + high)
    low, high = np.divmod(distinct, int(high.max()) + 1)
    return np.bincount(np.concatenate([low, high]))
