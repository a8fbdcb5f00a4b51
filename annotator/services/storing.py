"""Putting checked rows into a campaign's pool: prompts once by content, items once by id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from annotator.errors import RowProblem
from annotator.importers.base import digest
from annotator.models import Campaign, Item, ItemResponse, Prompt, Response
from annotator.services import gold
from annotator.services.copying import copy_in, new_ids
from annotator.services.native import NativeRow


def draw_lot(*, seed: int, prompt_digest: str) -> float:
    """A number in [0, 1) that only the campaign's seed and the prompt decide."""
    drawn = hashlib.sha256(f"{seed}:{prompt_digest}".encode()).digest()
    return float(int.from_bytes(drawn[:6], "big") / 2**48)


class Counts(Protocol):
    """What is counted while rows are stored."""

    items: int
    unchanged: int
    prompts: int
    responses: int
    gold: int


Reject = Callable[[NativeRow, RowProblem], None]


PROMPT = ("id", "campaign", "digest", "content", "context", "lot", "is_holdout")
RESPONSE = ("id", "prompt", "digest", "text", "model", "extra")
ITEM = ("id", "campaign", "prompt", "external_id", "digest", "task", "source", "group", "extra")
PLACE = ("item", "response", "position")


def store(campaign: Campaign, rows: Sequence[NativeRow], counts: Counts) -> None:
    """Store rows whose ids are new, with their prompts and responses."""
    prompts = _store_prompts(campaign, rows, counts)
    keys = [[(prompts[row.prompt_digest], digest(r)) for r in row.responses] for row in rows]
    responses = _store_responses(rows, keys, counts)
    ids = new_ids(Item, len(rows))
    copy_in(
        Item,
        ITEM,
        (
            (
                *(pk, campaign.pk, prompts[row.prompt_digest], row.id, row.digest),
                *(row.task, row.source, row.group, row.extra),
            )
            for pk, row in zip(ids, rows, strict=True)
        ),
    )
    copy_in(
        ItemResponse,
        PLACE,
        (
            (pk, responses[key], position)
            for pk, its in zip(ids, keys, strict=True)
            for position, key in enumerate(its)
        ),
    )
    counts.items += len(ids)
    _store_gold({pk: row for pk, row in zip(ids, rows, strict=True) if row.gold}, counts)


def _store_gold(rows: dict[int, NativeRow], counts: Counts) -> None:
    for item in Item.objects.filter(pk__in=rows).order_by("pk"):
        gold.add_from_row(item=item, gold=rows[item.pk].gold or {})
        counts.gold += 1


def tell_apart(
    campaign: Campaign, rows: Sequence[NativeRow], counts: Counts, reject: Reject
) -> tuple[list[NativeRow], list[NativeRow]]:
    """Rows whose id is new, and those that are known with the same content."""
    known = dict(
        Item.objects.filter(
            campaign=campaign, external_id__in=[row.id for row in rows]
        ).values_list("external_id", "digest")
    )
    fresh, same = [], []
    for row in rows:
        before = known.setdefault(row.id, "")
        if not before:
            known[row.id] = row.digest
            fresh.append(row)
        elif row.is_known_as(before):
            counts.unchanged += 1
            same.append(row)
        else:
            said = "was imported before with different content; use a new id"
            reject(row, RowProblem(row.line, "id", said, row.id))
    return fresh, same


def _store_prompts(campaign: Campaign, rows: Sequence[NativeRow], counts: Counts) -> dict[str, int]:
    """Ids of the chunk's prompts by digest; new ones are stored, and join the holdout by lot."""
    wanted = {row.prompt_digest: row for row in rows}
    stored = Prompt.objects.filter(campaign=campaign, digest__in=wanted)
    known = dict(stored.values_list("digest", "pk"))
    new = [key for key in wanted if key not in known]
    ids = dict(zip(new, new_ids(Prompt, len(new)), strict=True))
    copy_in(Prompt, PROMPT, (_prompt(campaign, ids[key], wanted[key]) for key in new))
    counts.prompts += len(new)
    return known | ids


def _prompt(campaign: Campaign, pk: int, row: NativeRow) -> tuple[Any, ...]:
    lot = draw_lot(seed=campaign.seed, prompt_digest=row.prompt_digest)
    held = campaign.started_at is not None and lot < campaign.holdout_prompts
    return pk, campaign.pk, row.prompt_digest, row.prompt, row.context, lot, held


Key = tuple[int, str]  # prompt and digest of a response


def _store_responses(
    rows: Sequence[NativeRow], keys: Sequence[Sequence[Key]], counts: Counts
) -> dict[Key, int]:
    """Ids of the chunk's responses by prompt and digest; new ones are stored."""
    wanted = {
        key: response
        for row, its in zip(rows, keys, strict=True)
        for key, response in zip(its, row.responses, strict=True)
    }
    stored = Response.objects.filter(
        prompt_id__in={prompt for prompt, _ in wanted}, digest__in={d for _, d in wanted}
    )
    known: dict[Key, int] = {
        (p, d): pk for p, d, pk in stored.values_list("prompt_id", "digest", "pk")
    }
    new = [key for key in wanted if key not in known]
    ids = dict(zip(new, new_ids(Response, len(new)), strict=True))
    copy_in(Response, RESPONSE, (_response(ids[key], key, wanted[key]) for key in new))
    counts.responses += len(new)
    return known | ids


def _response(pk: int, key: Key, said: dict[str, Any]) -> tuple[Any, ...]:
    extra = {name: value for name, value in said.items() if name not in ("text", "model")}
    return pk, *key, said["text"], said.get("model") or "", extra
