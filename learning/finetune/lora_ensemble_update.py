"""What an ensemble makes of answers that came after it was trained.

Members are a sample of a Gaussian belief of rank ``K - 1``: the mean reward, and what each member
deviates from it. Later answers are taken in within that span, exactly as a linear head takes in
answers, with the deviations as features: the most probable coordinates, and the curvature there.
The result is a sample again, a mixture of the members' rewards.

Source:
    Zupanski (2005), Monthly Weather Review 133, the maximum likelihood ensemble filter: cost
    function in the ensemble's span, its minimum and its Hessian. The square root that keeps the
    members' mean is the symmetric one: Hunt, Kostelich and Szunyogh (2007), arXiv:physics/0511236.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning._checks import within
from learning.data import Comparisons, Ensemble
from learning.errors import ShapeError
from learning.heads._likelihood import AnswerModel, terms

_STEPS: Final = 100
_CLOSE: Final = 1e-9  # gradient in nats
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Update:
    """Members after later answers.

    Attributes:
        mixing: Rewards ``(m, K)`` times this are those of the members now, shape ``(K, K)``.
        left: Share of the members' variance that the answers have left, over all directions in
            which they differ, in (0, 1].
    """

    mixing: Doubles
    left: float


def update(rewards: NDArray[np.floating[Any]], belief: Ensemble, data: Comparisons) -> Update:
    """Return how members' rewards are to be mixed so that they know these answers, too.

    With ``mu`` and ``Z`` the mean margins and whitened rows of the pairs, the coordinates ``u``
    have the density ``exp(sum w log p(answer | mu + Z u) - |u|^2 / 2)``, which has one maximum.
    Its covariance there is ``T^2 = (I + Z^T W Z)^-1``.

    Args:
        rewards: Of every response by every member, unscaled, shape ``(m, K)``.
        belief: Of the members, whose features are ``rewards``.
        data: Answers that no member was trained on; rows point into ``rewards``.

    Raises:
        ShapeError: rewards of another number of members, or comparisons that point beyond them.
    """
    k = belief.members
    if rewards.ndim != 2 or rewards.shape[1] != k:
        raise ShapeError(f"rewards must be (m, {k}), got {rewards.shape}")
    if not len(data):
        return Update(np.eye(k), 1.0)
    within(data.pairs.ravel(), "comparisons", rows=len(rewards))
    answers = AnswerModel(belief.tie, belief.strength_slope, belief.strength_cuts)
    mu, z = belief.whiten(rewards, data.pairs, dtype=np.float64)
    at, hessian = _maximum(np.asarray(mu, np.float64), np.asarray(z, np.float64), data, answers)
    size, basis = np.linalg.eigh(hessian)  # all at least 1
    root = (basis / np.sqrt(size)) @ basis.T
    # Deviations add up to nothing, so 1 is an eigenvector of `root` of value 1.
    apart = np.eye(k) - 1.0 / k
    mean = np.full(k, 1.0 / k) + apart @ at / np.sqrt(k - 1)
    left = float(((1.0 / size).sum() - 1.0) / (k - 1))
    return Update(mean[:, None] + apart @ root, left)


def _maximum(
    mu: Doubles, z: Doubles, data: Comparisons, answers: AnswerModel
) -> tuple[Doubles, Doubles]:
    """Return the most probable coordinates ``(K,)`` and the Hessian there ``(K, K)``: Newton."""
    at = np.zeros(z.shape[1])

    def cost(where: Doubles) -> float:
        value = data.weight @ terms(mu + z @ where, data, answers).value
        return float(0.5 * where @ where - value)

    now = cost(at)
    for _ in range(_STEPS):
        found = terms(mu + z @ at, data, answers)
        hessian = np.eye(len(at)) + (z.T * (data.weight * found.curvature)) @ z
        gradient = at - z.T @ (data.weight * found.slope)
        if np.abs(gradient).max() < _CLOSE:
            break
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while (then := cost(at - size * step)) > now and size > 1e-6:
            size /= 2
        at, now = at - size * step, then
    return at, hessian
