"""What members of an ensemble say of comparisons that were kept from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from learning.data import Comparisons, moderate
from learning.heads._laplace import Array
from learning.heads._likelihood import AnswerModel, terms

_LOG_SD: Final = 0.5  # of the scale around 1; a few dozen comparisons overrule it
_LOG_RANGE: Final = float(np.log(4.0))


@dataclass(frozen=True, slots=True, eq=False)
class OutOfBag:
    """Margins of comparisons by the members that have not seen them.

    Attributes:
        mean: Shape ``(n,)``.
        variance: Over these members, shape ``(n,)``.
        excess: By how much the mean of these members varies more than that of all, as a share
            of the variance, shape ``(n,)``.
    """

    mean: Array
    variance: Array
    excess: Array

    @classmethod
    def of(cls, margins: Array, kept: NDArray[np.bool_]) -> OutOfBag:
        """Summarise members' margins ``(K, n)``; ``kept`` says who has seen which."""
        out = ~kept
        count = out.sum(axis=0)
        mean = (margins * out).sum(axis=0) / count
        variance = (np.square(margins - mean) * out).sum(axis=0) / (count - 1)
        return cls(mean, variance, 1.0 / count - 1.0 / len(kept))

    def log_likelihood(self, scale: float, data: Comparisons, model: AnswerModel) -> Array:
        """Return what the whole ensemble would probably have said of each comparison, ``(n,)``.

        A few members' mean is noisier than that of all. Where the log-likelihood bends by
        ``w``, noise of variance ``v`` costs ``w v / 2``, which is given back.
        """
        variance = scale**2 * self.variance
        now = terms(moderate(scale * self.mean, variance), data, model)
        bend = now.curvature / (1.0 + np.pi * variance / 8.0)
        return np.asarray(now.value + 0.5 * bend * variance * self.excess)


def choose_scale(bag: OutOfBag, data: Comparisons, model: AnswerModel) -> float:
    """Return the factor on all rewards that is most probable out of bag, between 1/4 and 4."""

    def loss(log_scale: float) -> float:
        value = bag.log_likelihood(float(np.exp(log_scale)), data, model)
        return float(0.5 * (log_scale / _LOG_SD) ** 2 - data.weight @ value)

    bounds = (-_LOG_RANGE, _LOG_RANGE)
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))
