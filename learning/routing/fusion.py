"""Learning from people and judges at once: every label is as true as it turns out to be.

Each label is taken as wrong with a chance of its own, and the head is fitted by EM. In the
E-step the chance that a label is right is weighed against what the head thinks of the pair; in
the M-step the head is fitted on the label with that weight and on its mirror image with the
rest. Any head will do, because both are ordinary comparisons.

Source: RE-PO (2025), arXiv:2509.24159, with a rate for each label in place of one for each
annotator, where none is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import _checks
from learning.data import Belief, Comparisons
from learning.errors import ShapeError
from learning.heads import Head, LinearBT
from learning.routing.data import finite

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

ROUNDS: Final = 12
_SETTLED: Final = 1e-2  # largest move of a weight that is not worth another fit
_NOTHING: Final = 1e-12  # of weight: such a mirror image is left out
_PRIOR_LABELS: Final = 5.0  # labels that an annotator's first rate is worth


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A head fitted on noisy labels.

    Attributes:
        belief: The head of the last round. It takes every label as one answer, so it is a
            little too sure of itself; its means are what EM gives.
        correct: P(the label is right) given everything, shape ``(n,)``; 1 for ties.
        epsilon: The rate of wrong labels that each was taken with, shape ``(n,)``.
        rounds: Fits it took.
    """

    belief: Belief
    correct: Doubles
    epsilon: Doubles
    rounds: int


def correctness(p: Doubles, epsilon: Doubles) -> Doubles:
    """Return P(a label is right): ``p (1 - e) / (p (1 - e) + (1 - p) e)``.

    Args:
        p: What the head gives the label's winner, shape ``(n,)``, in [0, 1].
        epsilon: P(wrong) of a label before the head is asked, same shape, in [0, 1).

    Returns:
        Same shape. With ``e = 0`` it is 1, whatever the head thinks.
    """
    right, wrong = p * (1.0 - epsilon), (1.0 - p) * epsilon
    total = right + wrong
    # Both are 0 where the head is certain of the other side and no label is ever wrong.
    return np.where(wrong > 0, right / np.where(total > 0, total, 1.0), 1.0)


def fuse(
    features: NDArray[np.floating[Any]],
    labels: Comparisons,
    epsilon: ArrayLike,
    *,
    head: Head | None = None,
    annotator: ArrayLike | None = None,
    start: Belief | None = None,
    recurring: Ints | None = None,
    rounds: int = ROUNDS,
) -> Fused:
    """Fit a head on labels that are wrong with known, or about known, chances.

    A tie is taken as said: its mirror image is itself. The strength of a label is about its
    own direction and left off its mirror image. With every ``epsilon`` 0 this is one plain
    fit, exactly.

    Args:
        features: One row a response, shape ``(m, d)``.
        labels: People's and judges' answers, ``n``; weights count as in a plain fit.
        epsilon: P(wrong) of each label, shape ``(n,)``, in [0, 1). More than 1/2 says that
            the other side is likelier.
        head: What is fitted; the default head where nothing is given.
        annotator: Who gave each label, shape ``(n,)``, -1 for a rate that stays as given. The
            rates of others are estimated too: ``epsilon`` is where each begins, worth five
            labels.
        start: An earlier belief; saves time.
        recurring: Passed on to the head.
        rounds: Fits at most.

    Raises:
        ShapeError: shapes differ or a rate is out of range.
    """
    given = finite(epsilon, "epsilon", length=len(labels))
    if ((given < 0) | (given >= 1)).any():
        raise ShapeError("epsilon must lie in [0, 1)")
    if rounds < 1:
        raise ShapeError(f"rounds must be at least 1, got {rounds}")
    who = _who(annotator, len(labels))
    fit = (head or LinearBT()).fit
    noisy = bool((labels.decisive & ((given > 0) | (who >= 0))).any())
    rate, correct = given, np.where(labels.decisive, 1.0 - given, 1.0)
    belief = fit(features, mirrored(labels, correct), start=start, recurring=recurring)
    done = 1
    while noisy and done < rounds:
        before = correct
        correct = _expect(belief, features, labels, rate)
        rate = _rates(rate, given, correct, who, labels)
        if np.abs(correct - before).max() < _SETTLED:
            break
        belief = fit(features, mirrored(labels, correct), start=belief, recurring=recurring)
        done += 1
    return Fused(belief, correct, rate, done)


def mirrored(labels: Comparisons, correct: Doubles) -> Comparisons:
    """Return each label with weight ``w`` and its mirror image with ``1 - w``.

    Args:
        labels: ``n`` comparisons.
        correct: ``w``, shape ``(n,)``, in [0, 1]; 1 for ties.
    """
    as_said, turned = np.flatnonzero(correct > _NOTHING), np.flatnonzero(correct < 1.0 - _NOTHING)
    share = np.where(correct > 1.0 - _NOTHING, 1.0, correct)
    rows = np.concatenate([as_said, turned])
    sign = np.repeat([1, -1], [len(as_said), len(turned)]).astype(np.int8)
    weight = np.concatenate([share[as_said], 1.0 - share[turned]])
    return Comparisons(
        left=labels.left[rows],
        right=labels.right[rows],
        outcome=labels.outcome[rows] * sign,
        strength=np.where(sign > 0, labels.strength[rows], 0).astype(np.int8),
        weight=labels.weight[rows] * weight,
    )


def weighted(labels: Comparisons, epsilon: Doubles) -> Comparisons:
    """Return labels that weigh what they tell, ``(1 - 2 e)^2``; likelier wrong ones turned.

    One fit on these is the short way to learn from noisy labels, without rounds. Its
    covariance counts a coin's label as none, which is what choosing questions needs.

    Args:
        labels: ``n`` comparisons; ties keep their weight.
        epsilon: P(wrong) of each, shape ``(n,)``.
    """
    turned = labels.decisive & (epsilon > 0.5)
    share = np.where(labels.decisive, np.square(1.0 - 2.0 * epsilon), 1.0)
    found = Comparisons(
        left=labels.left,
        right=labels.right,
        outcome=np.where(turned, -labels.outcome, labels.outcome).astype(np.int8),
        strength=np.where(turned, 0, labels.strength).astype(np.int8),
        weight=labels.weight * np.maximum(share, _NOTHING),
    )
    return found.subset(share > _NOTHING)


def _expect(
    belief: Belief, features: NDArray[np.floating[Any]], labels: Comparisons, rate: Doubles
) -> Doubles:
    """The E-step: how likely each label is right, given the head."""
    mu, s2 = belief.margin(features, labels.pairs)
    p = belief.preference(mu * labels.outcome, s2)
    return np.where(labels.decisive, correctness(p, rate), 1.0)


def _rates(
    rate: Doubles, given: Doubles, correct: Doubles, who: Ints, labels: Comparisons
) -> Doubles:
    """Each annotator's rate: mean share of wrong labels, begun with a few imagined ones."""
    counted = (who >= 0) & labels.decisive
    if not counted.any():
        return rate
    group = who[counted]
    weight = labels.weight[counted]
    n = np.bincount(group, weights=weight)
    first = np.bincount(group, weights=weight * given[counted]) / np.maximum(n, _NOTHING)
    wrong = np.bincount(group, weights=weight * (1.0 - correct[counted]))
    found = (wrong + _PRIOR_LABELS * first) / (n + _PRIOR_LABELS)
    return np.where(counted, found[np.where(counted, who, 0)], rate)


def _who(annotator: ArrayLike | None, n: int) -> Ints:
    if annotator is None:
        return np.full(n, -1, dtype=np.int64)
    who = _checks.vector(annotator, "annotator", np.int64, length=n)
    if n and who.min() < -1:
        raise ShapeError(f"annotator must be at least -1, got {who.min()}")
    return np.asarray(who)
