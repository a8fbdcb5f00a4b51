"""Importing native files: streamed, idempotent by id, all or nothing unless asked otherwise."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TextIO

from django.conf import settings
from django.db import transaction

from annotator import dispatch
from annotator.errors import ImportRejected, InvalidInput, RowProblem
from annotator.forms import sizes
from annotator.models import Campaign, Item, ItemResponse, Prompt, Response
from annotator.services import gold, history
from annotator.services.cards import request_card
from annotator.services.files import numbered_lines
from annotator.services.locks import lock_pool
from annotator.services.native import NativeRow, parse_line
from annotator.services.pictures import Known

CHUNK = 500  # rows stored at once, or fewer when they are long:
CHUNK_CHARS = 16_000_000
MOST_PROBLEMS = 1000


@dataclass
class ImportReport:
    """What an import did."""

    read: int = 0
    items: int = 0
    unchanged: int = 0
    prompts: int = 0
    responses: int = 0
    annotations: int = 0
    gold: int = 0
    rejected: int = 0
    problems: list[RowProblem] = field(default_factory=list)

    def __str__(self) -> str:
        known = f" {self.gold:,} of them with a known answer," if self.gold else ""
        return (
            f"{self.read:,} rows read: {self.items:,} new items ({self.prompts:,} new prompts, "
            f"{self.responses:,} new responses),{known} {self.unchanged:,} known already, "
            f"{self.annotations:,} annotations recorded, {self.rejected:,} rejected"
        )


@dataclass(frozen=True)
class ImportOptions:
    """How to treat a file.

    Attributes:
        keep_good: Store the good rows even when others are bad.
        history: Record the annotations in the file, too.
        strength_max: Strength that means "much better" in the file; without it the numbers are
            kept as they are and not used as strength, since every source has its own scale.
        rejects: Where bad rows go, one JSON object a line, with what is wrong in each.
    """

    keep_good: bool = False
    history: bool = False
    strength_max: float | None = None
    rejects: TextIO | None = None


def digest(value: Any) -> str:
    """Content address of JSON data: 128 bits of SHA-256 over the canonical form."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def draw_lot(*, seed: int, prompt_digest: str) -> float:
    """A number in [0, 1) that only the campaign's seed and the prompt decide."""
    drawn = hashlib.sha256(f"{seed}:{prompt_digest}".encode()).digest()
    return float(int.from_bytes(drawn[:6], "big") / 2**48)


def import_items(
    *, campaign: Campaign, stream: BinaryIO, options: ImportOptions = ImportOptions()
) -> ImportReport:
    """Read a native file into a campaign's pool, in one transaction.

    Raises:
        ImportRejected: rows are bad and `keep_good` is off; nothing was stored.
        InvalidInput: the file as a whole cannot be read; nothing was stored.
    """
    report = ImportReport()
    with transaction.atomic():
        lock_pool(campaign)
        campaign.refresh_from_db()  # it may have been started while we waited
        for chunk in _chunks(_good_rows(campaign, stream, options, report)):
            if report.rejected and not options.keep_good:
                continue  # read on, to name every bad row; nothing more is stored
            _store(campaign, chunk, options, report)
        if report.rejected and not options.keep_good:
            raise ImportRejected(report.problems, total=report.rejected)
        if report.read == 0:
            raise InvalidInput("the file has no rows; expected one JSON object a line")
        dispatch.embed_wanted(campaign)
        if report.annotations:  # before people are paid: say what the encoder can learn
            request_card(campaign=campaign)
    return report


def fewest_responses(campaign: Campaign) -> int:
    """How many responses an item must have to be asked about by itself."""
    if campaign.candidates != Campaign.Candidates.ITEM:
        return 1  # others join it
    return sizes((campaign.form, *campaign.follow_ups))[0]


def _good_rows(
    campaign: Campaign, stream: BinaryIO, options: ImportOptions, report: ImportReport
) -> Iterator[NativeRow]:
    longest = settings.MAX_FIELD_CHARS
    fewest = fewest_responses(campaign)
    pictures = Known(campaign)
    for line, raw in numbered_lines(stream, longest_line=40 * longest):
        report.read += 1
        row, problems = parse_line(line, raw, longest=longest, fewest=fewest)
        if row is not None and row.gold is not None:
            row, problems = _asked_like_others(campaign, row)
        if row is not None and (problems := pictures.problems(row)):
            row = None
        if row is not None:
            yield row
        else:
            _reject(report, options, problems, raw)


def _asked_like_others(
    campaign: Campaign, row: NativeRow
) -> tuple[NativeRow | None, list[RowProblem]]:
    """A question with a known answer must not stand out among the others."""
    said = gold.misfit(campaign=campaign, responses=len(row.responses))
    return (None, [RowProblem(row.line, "responses", said, row.id)]) if said else (row, [])


def _reject(
    report: ImportReport, options: ImportOptions, problems: list[RowProblem], raw: str = ""
) -> None:
    report.rejected += 1
    report.problems += problems[: MOST_PROBLEMS - len(report.problems)]
    if options.rejects is not None:
        said = {
            "line": problems[0].line,
            "problems": [str(p) for p in problems],
            "row": raw.strip(),
        }
        options.rejects.write(json.dumps(said, ensure_ascii=False) + "\n")


def _chunks(rows: Iterator[NativeRow]) -> Iterator[list[NativeRow]]:
    """Rows by the chunk: bounded in number and in bytes, so that memory is."""
    chunk: list[NativeRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.raw)
        if len(chunk) >= CHUNK or size >= CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _store(
    campaign: Campaign, rows: list[NativeRow], options: ImportOptions, report: ImportReport
) -> None:
    fresh = list(_unknown(campaign, rows, options, report))
    prompts = _store_prompts(campaign, fresh, report)
    responses = _store_responses(fresh, prompts, report)
    items = Item.objects.bulk_create(
        Item(
            campaign=campaign,
            prompt_id=prompts[_prompt_digest(row)],
            external_id=row.id,
            digest=_row_digest(row),
            task=row.task,
            source=row.source,
            group=row.group,
            extra=row.extra,
        )
        for row in fresh
    )
    ItemResponse.objects.bulk_create(
        ItemResponse(item=item, response_id=responses[_response_key(row, prompts, r)], position=i)
        for item, row in zip(items, fresh, strict=True)
        for i, r in enumerate(row.responses)
    )
    report.items += len(items)
    for item, row in zip(items, fresh, strict=True):
        if row.gold is not None:
            gold.add_from_row(item=item, gold=row.gold)
            report.gold += 1
    if options.history:
        report.annotations += history.record(
            campaign=campaign, rows=rows, strength_max=options.strength_max
        )


def _unknown(
    campaign: Campaign, rows: list[NativeRow], options: ImportOptions, report: ImportReport
) -> Iterator[NativeRow]:
    """Rows whose id is new; a known id must come with the same content."""
    known = dict(
        Item.objects.filter(
            campaign=campaign, external_id__in=[row.id for row in rows]
        ).values_list("external_id", "digest")
    )
    for row in list(rows):
        before, now = known.get(row.id), _row_digest(row)
        if before is None:
            known[row.id] = now
            yield row
        elif before == now:
            report.unchanged += 1
        else:
            rows.remove(row)
            problem = RowProblem(
                row.line, "id", "was imported before with different content; use a new id", row.id
            )
            _reject(report, options, [problem], row.raw)


def _row_digest(row: NativeRow) -> str:
    return digest(
        [row.task, row.prompt, row.context, row.responses, row.source, row.group, row.extra]
    )


def _prompt_digest(row: NativeRow) -> str:
    return digest([row.prompt, row.context])


def _store_prompts(
    campaign: Campaign, rows: list[NativeRow], report: ImportReport
) -> dict[str, int]:
    """Ids of the chunk's prompts by digest; new ones are stored, and join the holdout by lot."""
    wanted = {_prompt_digest(row): row for row in rows}
    stored = Prompt.objects.filter(campaign=campaign, digest__in=wanted)
    ids = dict(stored.values_list("digest", "pk"))
    new = Prompt.objects.bulk_create(
        _new_prompt(campaign, key, row) for key, row in wanted.items() if key not in ids
    )
    report.prompts += len(new)
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
    return prompts[_prompt_digest(row)], digest(response)


def _store_responses(
    rows: list[NativeRow], prompts: dict[str, int], report: ImportReport
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
    report.responses += len(new)
    return ids | {(r.prompt_id, r.digest): r.pk for r in new}
