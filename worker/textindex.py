"""What is known of every response's text: digest and surface features, computed once.

A round must not read a million texts to learn that nothing is new. The index lies beside the
feature store; responses that are not in it yet are found by their ids. There is one for each
recipe: what an encoder is given of prompt and response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from annotator.models import Response
from learning import surface
from learning.encoders import pair_text
from learning.features import text_digest
from learning.text import RECIPE, Prompt, joined
from worker import arrays

CHUNK = 2000


@dataclass(frozen=True)
class Digests:
    """Texts of a campaign by the ids of their rows.

    Attributes:
        ids: Ids, ascending, shape ``(m,)``.
        digests: Text digests for the feature store, shape ``(m, 16)``, uint8.
    """

    noun: ClassVar[str] = "row"
    ids: NDArray[np.int64]
    digests: NDArray[np.uint8]

    def keys(self) -> list[bytes]:
        """Digests as the feature store wants them."""
        return [row.tobytes() for row in self.digests]

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each id; -1 for ids that are not here."""
        return find(self.ids, ids)

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """What is embedded for these rows, read from the database."""
        raise NotImplementedError


@dataclass(frozen=True)
class TextIndex(Digests):
    """Responses, and besides:

    Attributes:
        surface: Surface features, shape ``(m, s)``.
        recipe: What is embedded of them.
    """

    noun: ClassVar[str] = "response"
    surface: NDArray[np.float32]
    recipe: str = RECIPE

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """See `Digests.texts`."""
        found = {
            pk: embedded_text(self.recipe, prompt, response)
            for pk, prompt, response in read_texts(self.ids[rows])
        }
        return [found[pk] for pk in self.ids[rows].tolist()]


def find(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place of each wanted id among ascending ids; -1 for those that are not there."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1).astype(np.int64)


def embedded_text(recipe: str, prompt: Prompt, response: str) -> str:
    """What an encoder is given: the response alone, or both."""
    return pair_text(prompt, response) if recipe == RECIPE else joined(prompt, response)


def _path(campaign_id: int, recipe: str) -> Path:
    own = "" if recipe == RECIPE else f"-{recipe}"
    return arrays.path_of(f"campaign-{campaign_id}{own}")


def _empty(recipe: str) -> TextIndex:
    return TextIndex(
        np.empty(0, np.int64),
        np.empty((0, 16), np.uint8),
        np.empty((0, len(surface.NAMES)), np.float32),
        recipe,
    )


def _load(campaign_id: int, recipe: str) -> TextIndex:
    """The stored index; anything unreadable or of another feature set is built anew."""
    stored = arrays.read(_path(campaign_id, recipe))
    if not {"ids", "digests", "surface"} <= stored.keys():
        return _empty(recipe)
    index = TextIndex(stored["ids"], stored["digests"], stored["surface"], recipe)
    fits = index.surface.shape == (len(index.ids), len(surface.NAMES))
    return index if fits else _empty(recipe)


def refresh(campaign_id: int, *, recipe: str = RECIPE) -> TextIndex:
    """Bring the index up to date with the database and return it."""
    index = _load(campaign_id, recipe)
    stored = Response.objects.filter(prompt__campaign_id=campaign_id).order_by("pk")
    wanted = np.fromiter(stored.values_list("pk", flat=True).iterator(chunk_size=CHUNK), np.int64)
    new = np.setdiff1d(wanted, index.ids, assume_unique=True)
    if not len(new) and len(wanted) == len(index.ids):
        return index
    parts = [index, *(_describe(new[i : i + CHUNK], recipe) for i in range(0, len(new), CHUNK))]
    ids = np.concatenate([part.ids for part in parts])
    order = np.argsort(ids, kind="stable")
    order = order[np.isin(ids[order], wanted)]
    index = TextIndex(
        ids[order],
        np.concatenate([part.digests for part in parts])[order],
        np.concatenate([part.surface for part in parts])[order],
        recipe,
    )
    _save(campaign_id, index)
    return index


def _describe(ids: NDArray[np.int64], recipe: str) -> TextIndex:
    texts = list(read_texts(ids))
    digests = [text_digest(embedded_text(recipe, prompt, said)) for _, prompt, said in texts]
    return TextIndex(
        np.array([pk for pk, _, _ in texts], np.int64),
        np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16),
        surface.features([t[1] for t in texts], [t[2] for t in texts]).astype(np.float32),
        recipe,
    )


def read_texts(ids: NDArray[np.int64]) -> Iterator[tuple[int, str | list[dict[str, str]], str]]:
    """(response id, prompt, response text) of these responses, by id."""
    rows = Response.objects.filter(pk__in=ids.tolist()).order_by("pk")
    yield from rows.values_list("pk", "prompt__content", "text")


def _save(campaign_id: int, index: TextIndex) -> None:
    kept: arrays.Arrays = {"ids": index.ids, "digests": index.digests}
    arrays.save(_path(campaign_id, index.recipe), {**kept, "surface": index.surface})
