"""Putting checked rows into a campaign's pool: prompts once by content, items once by id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from annotator.errors import RowProblem
from annotator.importers.base import digest
from annotator.models import Campaign, Item, ItemResponse, Prompt, Response
from annotator.services import gold
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


def store(campaign: Campaign, rows: Sequence[NativeRow], counts: Counts) -> None:
    """Store rows whose ids are new, with their prompts and responses."""
    prompts = _store_prompts(campaign, rows, counts)
    responses = _store_responses(rows, prompts, counts)
    items = Item.objects.bulk_create(
        Item(
            campaign=campaign,
            prompt_id=prompts[row.prompt_digest],
            external_id=row.id,
            digest=row.digest,
            task=row.task,
            source=row.source,
            group=row.group,
            extra=row.extra,
        )
        for row in rows
    )
    ItemResponse.objects.bulk_create(
        ItemResponse(item=item, response_id=responses[_response_key(row, prompts, r)], position=i)
        for item, row in zip(items, rows, strict=True)
        for i, r in enumerate(row.responses)
    )
    counts.items += len(items)
    for item, row in zip(items, rows, strict=True):
        if row.gold is not None:
            gold.add_from_row(item=item, gold=row.gold)
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
        elif before == row.digest:
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
    ids = dict(stored.values_list("digest", "pk"))
    new = Prompt.objects.bulk_create(
        _new_prompt(campaign, key, row) for key, row in wanted.items() if key not in ids
    )
    counts.prompts += len(new)
    return ids | {prompt.digest: prompt.pk for prompt in new}


def _new_prompt(campaign: Campaign, key: str, row: NativeRow) -> Prompt:
    lot = draw_lot(seed=campaign.seed, prompt_digest=key)
    return Prompt(
        campaign=campaign,
        digest=key,
        content=row.prompt,
        context=row.context,
        lot=lot,
        is_holdout=campaign.started_at is not None and lot < campaign.holdout_prompts,
    )


Key = tuple[int, str]


def _response_key(row: NativeRow, prompts: dict[str, int], response: dict[str, Any]) -> Key:
    return prompts[row.prompt_digest], digest(response)


def _store_responses(
    rows: Sequence[NativeRow], prompts: dict[str, int], counts: Counts
) -> dict[Key, int]:
    """Ids of the chunk's responses by prompt and digest; new ones are stored."""
    wanted = {_response_key(row, prompts, r): r for row in rows for r in row.responses}
    stored = Response.objects.filter(
        prompt_id__in={prompt for prompt, _ in wanted}, digest__in={d for _, d in wanted}
    )
    ids: dict[Key, int] = {
        (p, d): pk for p, d, pk in stored.values_list("prompt_id", "digest", "pk")
    }
    new = Response.objects.bulk_create(
        Response(
            prompt_id=key[0],
            digest=key[1],
            text=response["text"],
            model=response.get("model") or "",
            extra={k: v for k, v in response.items() if k not in ("text", "model")},
        )
        for key, response in wanted.items()
        if key not in ids
    )
    counts.responses += len(new)
    return ids | {(r.prompt_id, r.digest): r.pk for r in new}
