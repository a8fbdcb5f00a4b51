"""Making the card of a set of answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import heads
from learning._checks import matrix
from learning.card._agreement import agree, best_possible
from learning.card._card import EncoderCard
from learning.card._trial import Found, Trial
from learning.card._words import FEWEST, FEWEST_GROUPS, words
from learning.data import Comparisons
from learning.errors import ShapeError
from learning.features import Standardizer, assemble
from learning.heads import Head

MOST: Final = 10_000  # comparisons looked at with the default head
MOST_OTHERWISE: Final = 5_000  # with one that takes longer
MOST_EFFECTS: Final = 1_000  # responses with an effect of their own
_COIN: Final = float(np.log(2.0))


def encoder_card(
    embeddings: NDArray[np.floating[Any]],
    surface: NDArray[np.floating[Any]],
    comparisons: Comparisons,
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
    head: Head | None = None,
) -> EncoderCard:
    """Find out what can be learnt from these features.

    Five folds by group; the head of each is fitted on an eighth, a quarter, half and all of
    the answers of the other folds, and on surface features alone. Of more than ``MOST``
    comparisons (``MOST_OTHERWISE`` with another head than the default) a random part is looked at.

    Args:
        embeddings: One row a response, shape ``(m, e)``, as the encoder gives them.
        surface: Surface features of the same responses, shape ``(m, s)``.
        comparisons: All answers; their rows point into both.
        groups: What must not be torn apart, such as the prompt of each comparison, shape
            ``(n,)``; any labels.
        rng: Draws folds, subsets and bootstrap.
        head: What learns; by default the one that suits the pairs (:func:`suited`).

    Raises:
        ShapeError: arrays that do not belong together, or NaN.
    """
    embeddings, surface = matrix(embeddings, "embeddings"), matrix(surface, "surface")
    member = np.asarray(groups)
    if member.shape != (len(comparisons),):
        raise ShapeError(f"groups must be ({len(comparisons)},), got {member.shape}")
    agreement, repeated = agree(comparisons, member, rng)
    labels, chosen = len(comparisons), head or suited(comparisons)
    most = MOST if chosen.name == heads.DEFAULT_HEAD else MOST_OTHERWISE
    if labels > most:
        kept = np.sort(rng.choice(labels, size=most, replace=False))
        comparisons, member = comparisons.subset(kept), member[kept]
    decisive = int(comparisons.decisive.sum())
    _, member = np.unique(member, return_inverse=True)
    known: dict[str, Any] = {
        "labels": labels,
        "used": len(comparisons),
        "decisive": decisive,
        "groups": int(member.max(initial=-1)) + 1,
        "head": chosen.name,
        "majority_accuracy": _majority(comparisons),
        "agreement": agreement,
        "repeated": repeated,
        "human_ceiling": best_possible(agreement.value),
    }
    if decisive < FEWEST or known["groups"] < 2:
        return _told(known, Found.nothing())
    scaling = Standardizer.fit(embeddings, surface, comparisons.pairs)
    features = assemble(embeddings, surface, scaling)
    trial = Trial(comparisons, member, chosen, rng)
    return _told(known, trial.find(features, embeddings.shape[1]))


def suited(comparisons: Comparisons) -> Head:
    """Return the head that :func:`learning.heads.choose` names, but the default one where more
    than ``MOST_EFFECTS`` responses recur: a card is to be there in seconds."""
    many = len(heads.recurring(comparisons.pairs)) > MOST_EFFECTS
    return heads.get() if many else heads.get(heads.choose(comparisons.pairs))


def _told(known: dict[str, Any], found: Found) -> EncoderCard:
    enough = known["decisive"] >= FEWEST and known["groups"] >= FEWEST_GROUPS
    card = EncoderCard(
        **known,
        **{name: getattr(found, name) for name in found.__slots__},
        enough=enough,
        learnable=enough and found.accuracy.low > 0.5 and found.log_loss.high < _COIN,
        sentence="",
    )
    return replace(card, sentence=" ".join(words(card)))


def _majority(comparisons: Comparisons) -> float:
    outcome = comparisons.outcome[comparisons.decisive]
    return max(float((outcome > 0).mean()), float((outcome < 0).mean())) if len(outcome) else 0.5
