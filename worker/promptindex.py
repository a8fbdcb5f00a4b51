"""What is known of prompts, for acquisition functions that look at them.

As points: only campaigns whose function asks for it pay. The digests are kept beside those of the
responses, the vectors in the same feature store. And how open they are: the entropies that a
language model gave to items (`meta.language_features`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from annotator.models import Prompt
from learning.features import text_digest
from learning.text import last_user_turn
from worker import arrays
from worker.textindex import CHUNK, Digests


@dataclass(frozen=True)
class PromptIndex(Digests):
    """A campaign's prompts; a chat stands for its last user turn."""

    noun: ClassVar[str] = "prompt"

    def texts(self, rows: NDArray[np.int64]) -> list[str]:
        """See `Digests.texts`."""
        found = dict(_read(self.ids[rows]))
        return [found[pk] for pk in self.ids[rows].tolist()]


def _path(campaign_id: int) -> Path:
    return arrays.path_of(f"campaign-{campaign_id}-prompts")


def _load(campaign_id: int) -> PromptIndex:
    stored = arrays.read(_path(campaign_id))
    if not {"ids", "digests"} <= stored.keys():
        return PromptIndex(np.empty(0, np.int64), np.empty((0, 16), np.uint8))
    return PromptIndex(stored["ids"], stored["digests"])


def refresh(campaign_id: int) -> PromptIndex:
    """Bring the index up to date with the database and return it; only new prompts are read."""
    stored = Prompt.objects.filter(campaign_id=campaign_id).order_by("pk")
    wanted = np.fromiter(stored.values_list("pk", flat=True).iterator(chunk_size=CHUNK), np.int64)
    index = _load(campaign_id)
    new = np.setdiff1d(wanted, index.ids, assume_unique=True)
    if not len(new) and len(wanted) == len(index.ids):
        return index
    digests = [
        text_digest(text)
        for start in range(0, len(new), CHUNK)
        for _, text in _read(new[start : start + CHUNK])
    ]
    added = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)
    ids = np.concatenate([index.ids, new])
    order = np.argsort(ids, kind="stable")
    order = order[np.isin(ids[order], wanted)]
    index = PromptIndex(ids[order], np.concatenate([index.digests, added])[order])
    arrays.save(_path(campaign_id), {"ids": index.ids, "digests": index.digests})
    return index


# What is no number or names no model says nothing: rows may be older than the check of imports.
ENTROPIES = """
SELECT figures ->> 'model', figures ->> 'max_new_tokens', prompt_id,
    avg((figures ->> 'entropy_per_token')::float8), max(id)
FROM (
    SELECT id, prompt_id, extra #> '{meta,language_features}' AS figures
    FROM annotator_item WHERE campaign_id = %s
) AS told
WHERE jsonb_typeof(figures -> 'entropy_per_token') = 'number'
    AND jsonb_typeof(figures -> 'model') = 'string'
GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class Entropies:
    """A language model's predictive entropies of prompts.

    Attributes:
        model: Names it.
        values: Nats a token, shape ``(P,)``; NaN where it says nothing.
    """

    model: str
    values: NDArray[np.float64]


def entropies(campaign_id: int, ids: NDArray[np.int64]) -> Entropies | None:
    """How open a language model finds some prompts; nothing where none says anything of them.

    Answers of two models, or of two lengths, are not compared: of several, the one counts that
    knows most of these prompts, and among equals the one whose items are the newest. Of several
    figures of one prompt it is the mean.
    """
    wanted = {pk: place for place, pk in enumerate(ids.tolist())}
    found: dict[tuple[str, str | None], list[tuple[int, float, int]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(ENTROPIES, [campaign_id])
        for model, longest, prompt, entropy, newest in cursor:
            if prompt in wanted:
                told = (wanted[prompt], entropy, newest)
                found.setdefault((model, longest), []).append(told)
    if not found:
        return None
    best = max(found, key=lambda one: (len(found[one]), max(item for _, _, item in found[one])))
    values = np.full(len(ids), np.nan)
    for place, entropy, _ in found[best]:
        values[place] = entropy
    return Entropies(best[0], values)


def _read(ids: NDArray[np.int64]) -> list[tuple[int, str]]:
    """(prompt id, text) of these prompts, by id."""
    rows = Prompt.objects.filter(pk__in=ids.tolist()).order_by("pk").values_list("pk", "content")
    return [(pk, last_user_turn(content)) for pk, content in rows]
