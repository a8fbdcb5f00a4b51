"""Where an ensemble starts and what it is pulled back to: networks drawn from the prior.

Each member minimises its negative log-likelihood plus ``1/2 sum ((W - W0) / sd)^2`` around
its own draw ``W0``. Where answers say nothing it stays at its draw, so that members differ
there by as much as the prior allows.

Source:
    Pearce, Leibfried and Brintrup (2020), arXiv:1810.05546, anchored ensembling.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.data import Comparisons, Networks
from learning.heads._likelihood import AnswerModel

PRIOR_MARGIN_VARIANCE: Final = 1.0  # logits^2 of a typical pair before any answer
_FIRST_BIAS, _SECOND_BIAS = 0.5, 0.1
_PROBES: Final = 500  # pairs on which the prior's variance is measured


@dataclass(frozen=True, slots=True)
class Anchors:
    """Networks drawn from a Gaussian prior, with its standard deviations.

    Attributes:
        networks: The draws.
        sd: Of every weight of each array, by name.
    """

    networks: Networks
    sd: dict[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is learnt from.

    Attributes:
        features: One row a response, shape ``(m, d)``.
        data: The comparisons, ``n``.
        kept: Whether a member may see a comparison, shape ``(K, n)``.
        model: How margins become answers.
        anchors: What the members are pulled back to.
        precision: Factor on the pull.
    """

    features: NDArray[np.floating[Any]]
    data: Comparisons
    kept: NDArray[np.bool_]
    model: AnswerModel
    anchors: Anchors
    precision: float


def draw_anchors(
    features: NDArray[np.floating[Any]],
    pairs: NDArray[np.int64],
    *,
    members: int,
    width: int,
    seed: int,
) -> Anchors:
    """Draw members whose margins on ``pairs`` have the prior variance on average.

    Hidden layers get inputs of unit variance and keep it (He et al., 2015). The draw depends on
    ``features`` and ``pairs`` by two scales only, so that a later round with other data draws
    nearly the same networks.

    Args:
        features: One row a response, shape ``(m, d)``.
        pairs: Pairs that are typical, shape ``(n, 2)``, at least one.
        members: How many networks.
        width: Units in each hidden layer.
        seed: Decides the draw.
    """
    rng = np.random.default_rng(seed)
    spread = max(1, len(pairs) // _PROBES)
    used, place = np.unique(pairs[::spread], return_inverse=True)
    phi = features[used].astype(np.float32)
    size = float(np.sqrt(np.square(phi, dtype=np.float64).sum(axis=1).mean()))
    sd = {
        "first": 1.0 / size if size > 0 else 1.0,
        "first_bias": _FIRST_BIAS,
        "second": float(np.sqrt(2.0 / width)),
        "second_bias": _SECOND_BIAS,
        "last": float(np.sqrt(1.0 / width)),
    }
    shapes = Networks.shapes(features.shape[1], members, width)
    drawn = {name: sd[name] * rng.standard_normal(shape) for name, shape in shapes.items()}
    networks = Networks(**{name: values.astype(np.float32) for name, values in drawn.items()})
    left, right = place.reshape(-1, 2).T
    rewards = networks.rewards(phi).astype(np.float64)
    variance = float(np.square(rewards[left] - rewards[right]).mean())
    by = np.sqrt(PRIOR_MARGIN_VARIANCE / variance) if variance > 0 else 1.0
    scaled = replace(networks, last=(networks.last * by).astype(np.float32))
    return Anchors(scaled, {**sd, "last": sd["last"] * float(by)})


def folds_of(data: Comparisons, folds: int) -> NDArray[np.int64]:
    """Return the fold of every comparison, ``(n,)``: the same for all answers about one pair.

    A hash of the two rows, so that a pair keeps its fold from round to round: a member that
    was trained on it once must never be asked what it would have said without.
    """
    low, high = np.sort(data.pairs, axis=1).astype(np.uint64).T
    mixed = low * np.uint64(0x9E3779B97F4A7C15) + high  # splitmix64; wraps around as it should
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    found = (mixed ^ (mixed >> np.uint64(31))) % np.uint64(folds)
    return np.asarray(found, dtype=np.int64)


def batches(n: int, size: int, steps: int, seed: int) -> NDArray[np.int64]:
    """Return the comparisons of every training step, shape ``(steps, min(size, n))``.

    Every comparison is in one of the steps before any is in a second one.
    """
    rng = np.random.default_rng(seed)
    size = min(size, n)
    passes = -(-steps * size // n)
    order = np.concatenate([rng.permutation(n) for _ in range(passes)])
    return np.asarray(order[: steps * size].reshape(steps, size))
