"""How far people agree with each other, and what that allows a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.data import Comparisons
from learning.metrics import Estimate, bootstrap_interval


def agree(
    comparisons: Comparisons, groups: NDArray[Any], rng: np.random.Generator
) -> tuple[Estimate, int]:
    """Return how often two decisive answers about one pair agree, and on how many pairs.

    A pair with ``a`` answers for one side and ``b`` for the other counts
    ``(a(a-1) + b(b-1)) / (n(n-1))``, which is unbiased; every pair counts once.
    """
    decisive = comparisons.decisive
    said = comparisons.subset(decisive)
    pairs = np.sort(said.pairs, axis=1)
    lower_won = (said.outcome > 0) == (said.left < said.right)
    distinct, at, place = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    place = place.reshape(-1)
    n = np.bincount(place, minlength=len(distinct))
    a = np.bincount(place, weights=lower_won, minlength=len(distinct))
    several = n >= 2
    a, n = a[several], n[several]
    if not len(n):
        return Estimate(float("nan")), 0
    share = (a * (a - 1) + (n - a) * (n - a - 1)) / (n * (n - 1))
    ends = bootstrap_interval(share, groups[decisive][at][several], rng=rng)
    return Estimate(float(share.mean()), *ends), len(n)


def best_possible(agreement: float) -> float:
    """Return an upper bound on the accuracy of predicting single answers; NaN gives NaN.

    If a pair's answers are for one side with probability ``p``, two of them agree with ``p^2 +
    (1-p)^2`` and the best guess is right with ``max(p, 1-p)``: a concave function of the
    former, so that Jensen's inequality bounds its mean.
    """
    return float((1.0 + np.sqrt(np.maximum(2.0 * agreement - 1.0, 0.0))) / 2.0)
