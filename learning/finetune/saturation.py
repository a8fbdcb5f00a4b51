"""Whether a head has learnt what it can on its features: then the features have to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from learning.errors import ShapeError
from learning.metrics import bootstrap_interval

FEWEST: Final = 30  # held-out prompts: with fewer, nothing can be said to have stopped


@dataclass(frozen=True, slots=True)
class Saturation:
    """What the last doubling of the labels brought.

    Attributes:
        gain: Log-loss with half of the labels minus log-loss with all, in nats.
        low: Lower end of its 95 % interval.
        high: Upper end.
        prompts: Held-out prompts that it was measured on.
    """

    gain: float
    low: float
    high: float
    prompts: int

    @property
    def saturated(self) -> bool:
        """The gain is no larger than chance allows, on enough prompts to have shown one."""
        return self.prompts >= FEWEST and bool(self.low <= 0)


def saturation(
    half: ArrayLike, whole: ArrayLike, prompt: ArrayLike, *, rng: np.random.Generator
) -> Saturation:
    """Compare a head with the one that had half of its labels, on the same held-out answers.

    Args:
        half: Surprise of the earlier head at each decisive answer, in nats, shape ``(n,)``.
        whole: Surprise of the head of today.
        prompt: Which prompt each answer is about; any labels.
        rng: Redraws the prompts.

    Raises:
        ShapeError: arrays of different lengths.
    """
    before, after = np.asarray(half, np.float64), np.asarray(whole, np.float64)
    clusters = np.asarray(prompt)
    if not before.shape == after.shape == clusters.shape or before.ndim != 1:
        raise ShapeError(f"expected (n,) thrice, got {before.shape}, {after.shape}, and prompts")
    prompts = len(np.unique(clusters))
    if not prompts:
        return Saturation(float("nan"), float("nan"), float("nan"), 0)
    gain = before - after
    low, high = bootstrap_interval(gain, clusters, rng=rng)
    return Saturation(float(gain.mean()), low, high, prompts)
