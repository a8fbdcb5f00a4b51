"""What an answer is worth: a person's where the judge has given one, and the judge's itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from learning.acquisition.base import kappa_weight

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]


def advantage(error: Doubles, human: float) -> Doubles:
    """Return how much more a person's label tells than the judge's, as a share of a true one.

    A label that is wrong with chance ``e`` carries ``(1 - 2e)^2`` of the Fisher information of
    a right one, at a margin of 0. The difference is ``[(1 - 2h)^2 - (1 - 2e)^2]``, 0 where the
    judge is as good as a person. A judge that is known to be wrong more often than right
    tells as much as one that is right as often.

    Args:
        error: P(the judge is wrong), shape ``(n,)``; 1/2 where there is no label.
        human: P(a person is wrong), in [0, 1/2).

    Returns:
        Shape ``(n,)``, in [0, 1].
    """
    return np.maximum((1.0 - 2.0 * human) ** 2 - np.square(1.0 - 2.0 * error), 0.0)


def human_value(
    mu: Doubles, s2: Doubles, *, error: Doubles, human: float, seconds: Doubles
) -> Doubles:
    """Return the value of a person's answer per second: ``x' H^-1 x . pq . advantage / cost``.

    ``x' H^-1 x`` is the variance of the margin, how little the head knows; ``pq`` is the
    moderated Fisher weight of an answer (:func:`learning.acquisition.base.kappa_weight`).
    Twice the information gained, in nats, where that is small.

    Args:
        mu: Mean margin in logits, shape ``(n,)``.
        s2: Its variance, with all labels held already in it, shape ``(n,)``.
        error: P(the judge is wrong), shape ``(n,)``.
        human: P(a person is wrong).
        seconds: A person's time, positive, shape ``(n,)``.

    Returns:
        Shape ``(n,)``, at least 0, per second.
    """
    return np.asarray(s2 * kappa_weight(mu, s2) * advantage(error, human) / seconds)


def worth_asking(error: Doubles, usable: Flags, *, human: float, price: float) -> bool:
    """Return whether a judge's answer tells more for its price than a person's does for theirs.

    ``mean((1 - 2e)^2) / price > (1 - 2h)^2``, over questions drawn at random. Where the judge
    gave no usable answer it told nothing, and was paid all the same.

    Args:
        error: P(the judge is wrong), shape ``(n,)``.
        usable: Where it named a winner, and the same one in both orders, shape ``(n,)``.
        human: P(a person is wrong), in [0, 1/2).
        price: Of a judge's answer in both orders, in answers of a person, at least 0.

    Returns:
        ``True`` with no questions at all: nothing speaks against it.
    """
    if not len(error):
        return True
    told = np.where(usable, np.square(1.0 - 2.0 * error), 0.0)
    return bool(told.mean() > price * (1.0 - 2.0 * human) ** 2)
