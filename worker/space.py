"""A campaign as arrays: texts, features on one scale, and the pairs that may be asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign
from learning.features import Standardizer, assemble
from learning.line import with_line
from worker import embedding, pool, store, textindex
from worker.embedding import Progress, Source
from worker.jobs import PermanentFailure
from worker.pool import Candidates, Ints
from worker.textindex import TextIndex


@dataclass(frozen=True)
class Space:
    """What a round computes with.

    Attributes:
        index: The responses; rows of everything else are its rows.
        encoder_key: Encoder of the embeddings.
        embedded: Embeddings, shape ``(m, e)``.
        phi: Features that a head sees, shape ``(m, d)``, float32; with a row and a column for the
            line of good enough once somebody speaks of it, ``(m + 1, d + 1)``.
        standardizer: From the one to the other.
        candidates: Pairs of rows.
        precision: Of the head's prior, where the encoder was trained on the same answers: what
            the evidence would choose trusts such features too much.
    """

    index: TextIndex
    encoder_key: str
    embedded: NDArray[np.float32]
    phi: NDArray[np.float32]
    standardizer: Standardizer
    candidates: Candidates
    precision: float | None = None

    @property
    def trainable(self) -> Ints:
        """The pairs of responses that are not held out, whatever has become of them, ``(n, 2)``."""
        found = self.candidates
        return found.pairs[~found.holdout & ~found.alone]

    @property
    def has_line(self) -> bool:
        """Whether the line has a row in `phi`."""
        return len(self.phi) > len(self.index.ids)

    @property
    def width(self) -> int:
        """Dimensions of `phi` without the line's column."""
        return int(self.phi.shape[1]) - int(self.has_line)

    @property
    def surface(self) -> NDArray[np.float32]:
        """Surface features of all rows of `phi`; the line is the average response."""
        known = self.index.surface
        average = known.mean(axis=0, keepdims=True, dtype=np.float64).astype(known.dtype)
        return np.concatenate([known, average]) if self.has_line else known


def load(campaign: Campaign, *, progress: Progress, source: Source | None = None) -> Space:
    """Embed what is missing and put everything together.

    Args:
        campaign: Whose texts and pairs.
        progress: Told how many texts are embedded, of how many.
        source: The encoder; the one in use where nothing is given.

    Raises:
        PermanentFailure: there is nothing to ask.
    """
    source = source or Source.of(campaign)
    index = textindex.refresh(campaign.pk, recipe=source.recipe)
    features = embedding.ensure_features(campaign, index, progress=progress, source=source)
    embedded = features.lookup(index.keys())
    found = pool.candidates(campaign, index)
    if not len(found.pairs):
        raise PermanentFailure(_nothing(campaign))
    standardizer = Standardizer.fit(embedded, index.surface, _typical(found))
    phi = assemble(embedded, index.surface, standardizer)
    if found.alone.any() or store.says_good_enough(campaign):
        phi = with_line(phi)
    return Space(index, features.encoder_key, embedded, phi, standardizer, found, source.precision)


def _typical(found: Candidates) -> Ints:
    """Pairs whose differences set the scale: those of the pool, or where responses stand alone,
    neighbours among them."""
    together = found.pairs[~found.alone]
    if len(together):
        return together
    rows = found.pairs[:, 0]
    return np.stack([rows[:-1], rows[1:]], axis=1) if len(rows) > 1 else rows[:, None][:, [0, 0]]


def _nothing(campaign: Campaign) -> str:
    least, _, _ = pool.shown(campaign)
    if campaign.candidates == Campaign.Candidates.ANY:
        wanted = "no two different responses to different prompts"
        if least > 2:
            wanted = f"a question shows at least {least} responses, pairs across prompts have two"
        return f"there is nothing to ask: {wanted}; import more items, or change the candidates"
    words = {1: "a response", 2: "two different responses"}
    need = words.get(least, f"the {least} different responses that the form shows")
    where = "item" if campaign.candidates == Campaign.Candidates.ITEM and least > 2 else "prompt"
    return f"there is nothing to ask: no {where} of the pool has {need}; import more items"
