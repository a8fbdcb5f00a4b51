"""A campaign as arrays: texts, features on one scale, and the pairs that may be asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign
from learning.features import Standardizer, assemble
from worker import embedding, store, textindex
from worker.embedding import Progress
from worker.jobs import PermanentFailure
from worker.store import Candidates, Ints
from worker.textindex import TextIndex


@dataclass(frozen=True)
class Space:
    """What a round computes with.

    Attributes:
        index: The responses; rows of everything else are its rows.
        encoder_key: Encoder of the embeddings.
        embedded: Embeddings, shape ``(m, e)``.
        phi: Features that a head sees, shape ``(m, d)``, float32.
        standardizer: From the one to the other.
        candidates: Pairs of rows.
    """

    index: TextIndex
    encoder_key: str
    embedded: NDArray[np.float32]
    phi: NDArray[np.float32]
    standardizer: Standardizer
    candidates: Candidates

    @property
    def trainable(self) -> Ints:
        """The pairs that are not held out, whatever has become of them, shape ``(n, 2)``."""
        return self.candidates.pairs[~self.candidates.holdout]


def load(campaign: Campaign, *, progress: Progress) -> Space:
    """Embed what is missing and put everything together.

    Raises:
        PermanentFailure: there is not one pair of different responses.
    """
    index = textindex.refresh(campaign.pk)
    features = embedding.ensure_features(campaign, index, progress=progress)
    embedded = features.lookup(index.keys())
    found = store.candidates(campaign, index)
    if not len(found.pairs):
        raise PermanentFailure(
            "there is nothing to ask: no prompt of the pool has two different responses; import "
            "more items"
        )
    standardizer = Standardizer.fit(embedded, index.surface, found.pairs)
    phi = assemble(embedded, index.surface, standardizer)
    return Space(index, features.encoder_key, embedded, phi, standardizer, found)
