"""Importing: streamed, idempotent by id, all or nothing unless asked otherwise.

Rows of any format become native ones (`annotator.importers`), which are checked here and stored:
there is one way into the pool.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import IO, Any, BinaryIO

from django.conf import settings
from django.db import transaction

from annotator import dispatch
from annotator.errors import ImportRejected, InvalidInput, RowProblem
from annotator.forms import sizes
from annotator.importers import IMPORTERS, Importer, detect
from annotator.importers.base import Made, Misfit, Reading, Source, Unit
from annotator.importers.base import digest as digest
from annotator.importers.columns import check_columns
from annotator.models import Campaign
from annotator.services import gold, history
from annotator.services.cards import request_card
from annotator.services.language import add_figures
from annotator.services.locks import lock_pool
from annotator.services.native import NativeRow, parse_row
from annotator.services.pictures import Known
from annotator.services.rows import Rows, open_rows
from annotator.services.storing import draw_lot as draw_lot
from annotator.services.storing import store, tell_apart

CHUNK = 500  # rows stored at once, or fewer when they are long:
CHUNK_CHARS = 16_000_000
MOST_PROBLEMS = 1000
LOOKED_AT = 20  # rows, to tell the format, or fewer when they are long:
LOOKED_AT_CHARS = 4_000_000


@dataclass
class ImportReport:
    """What an import did, or would do."""

    format: str = ""
    container: str = ""
    read: int = 0
    items: int = 0
    unchanged: int = 0
    prompts: int = 0
    responses: int = 0
    annotations: int = 0
    gold: int = 0
    language_features: int = 0
    rejected: int = 0
    problems: list[RowProblem] = field(default_factory=list)

    def __str__(self) -> str:
        known = f" {self.gold:,} of them with a known answer," if self.gold else ""
        told = self.language_features
        more = f" {told:,} got language-model features," if told else ""
        return (
            f"{self.read:,} rows read: {self.items:,} new items ({self.prompts:,} new prompts, "
            f"{self.responses:,} new responses),{known} {self.unchanged:,} known already,{more} "
            f"{self.annotations:,} annotations recorded, {self.rejected:,} rejected"
        )


@dataclass(frozen=True)
class ImportOptions:
    """How to treat a file.

    Attributes:
        keep_good: Store the good rows even when others are bad.
        history: Record the annotations in the file, too.
        strength_max: Strength that means "much better" in the file; without it, what the format
            fixes; else the numbers are kept as they are and not used as strength.
        rejects: Where bad rows go, one JSON object a line, with what is wrong in each.
        format: Name of an importer; without it, the one that recognises the rows.
        columns: What the native fields are called in a table.
        llm: Name of the model that gave the answers, where the format does not say who did.
    """

    keep_good: bool = False
    history: bool = False
    strength_max: float | None = None
    rejects: IO[str] | None = None
    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    llm: str = ""


Progress = Callable[[int], None]


def import_items(
    *,
    campaign: Campaign,
    stream: BinaryIO | None = None,
    rows: Rows | None = None,
    options: ImportOptions = ImportOptions(),
    progress: Progress = lambda read: None,
) -> ImportReport:
    """Read a file, or rows that are open already, into a campaign's pool, in one transaction.

    Raises:
        ImportRejected: rows are bad and `keep_good` is off; nothing was stored.
        InvalidInput: the file as a whole cannot be read; nothing was stored.
    """
    report = ImportReport()
    with transaction.atomic():
        lock_pool(campaign)
        campaign.refresh_from_db()  # it may have been started while we waited
        reader = _Reader(campaign, _opened(stream, rows), options, report)
        for chunk in reader.chunks():
            progress(report.read)
            if report.rejected and not options.keep_good:
                continue  # read on, to name every bad row; nothing more is stored
            fresh, same = tell_apart(campaign, chunk, report, reader.reject_row)
            store(campaign, fresh, report)
            report.language_features += sum(row.figures is not None for row in fresh)
            report.language_features += add_figures(campaign, same)
            if options.history:
                report.annotations += history.record(
                    campaign=campaign, rows=[*fresh, *same], strength_max=reader.strength_max
                )
        if report.rejected and not options.keep_good:
            raise ImportRejected(report.problems, total=report.rejected)
        dispatch.embed_wanted(campaign)
        if report.annotations:  # before people are paid: say what the encoder can learn
            request_card(campaign=campaign)
    return report


def check_items(
    *,
    campaign: Campaign,
    stream: BinaryIO | None = None,
    rows: Rows | None = None,
    options: ImportOptions = ImportOptions(),
    progress: Progress = lambda read: None,
    shown: int = 5,
) -> tuple[ImportReport, list[dict[str, Any]]]:
    """What an import would do, and the first items as they would be stored; stores nothing.

    Raises:
        InvalidInput: the file as a whole cannot be read.
    """
    report, first = ImportReport(), list[dict[str, Any]]()
    reader = _Reader(campaign, _opened(stream, rows), options, report)
    for chunk in reader.chunks():
        progress(report.read)
        fresh, same = tell_apart(campaign, chunk, report, reader.reject_row)
        report.items += len(fresh)
        for row in (*fresh, *same):
            report.annotations += len(row.annotations)
            report.gold += row.gold is not None
            report.language_features += row.figures is not None
            if len(first) < shown:
                first.append(_shown(row))
    return report, first


def _shown(row: NativeRow) -> dict[str, Any]:
    names = ("id", "task", "prompt", "context", "responses", "source", "group", "annotations")
    return {name: getattr(row, name) for name in names} | {"extra": row.extra}


def fewest_responses(campaign: Campaign) -> int:
    """How many responses an item must have to be asked about by itself."""
    if campaign.candidates != Campaign.Candidates.ITEM:
        return 1  # others join it
    return sizes((campaign.form, *campaign.follow_ups))[0]


def _opened(stream: BinaryIO | None, rows: Rows | None) -> Rows:
    if rows is not None:
        return rows
    if stream is None:
        raise TypeError("expected a stream or rows")
    return open_rows(stream)


class _Reader:
    """Rows of a file to checked native rows; counts and names what is wrong on the way."""

    def __init__(
        self, campaign: Campaign, rows: Rows, options: ImportOptions, report: ImportReport
    ) -> None:
        self.campaign, self.rows, self.options, self.report = campaign, rows, options, report
        self.longest, self.fewest = settings.MAX_FIELD_CHARS, fewest_responses(campaign)
        self.pictures = Known(campaign)
        self.reading = Reading(options.columns, options.llm)
        report.container = rows.container
        try:
            check_columns(options.columns)
        except Misfit as misfit:
            raise InvalidInput(f"column {misfit}") from misfit
        self.sources, self.importer = self._told(rows.rows)
        report.format = self.importer.name

    @property
    def strength_max(self) -> float | None:
        """What is said, or else what the format fixes."""
        said = self.options.strength_max
        return self.importer.strength_max if said is None else said

    def _told(self, sources: Iterator[Source]) -> tuple[Iterator[Source], Importer]:
        """The rows from the first on, and the format that they have."""
        first: list[Source] = []
        size = 0
        for source in sources:
            first.append(source)
            size += len(source.written)
            if len(first) == LOOKED_AT or size > LOOKED_AT_CHARS:
                break
        if not first:
            raise InvalidInput("the file has no rows; expected one item a row")
        if self.options.format:
            return chain(first, sources), named_importer(self.options.format)
        found = detect([source.value for source in first], self.options.columns)
        good = next((source.value for source in first if not source.trouble), None)
        if found is None and isinstance(good, dict):
            raise InvalidInput(_unknown(good))
        return chain(first, sources), found or IMPORTERS["native"]

    def chunks(self) -> Iterator[list[NativeRow]]:
        """Rows by the chunk: bounded in number and in size, so that memory is."""
        chunk: list[NativeRow] = []
        size = 0
        for row in self._good():
            chunk.append(row)
            size += len(row.raw)
            if len(chunk) >= CHUNK or size >= CHUNK_CHARS:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _good(self) -> Iterator[NativeRow]:
        for unit in self.importer.convert(self._sound(), self.reading):
            rows, problems = self._checked(unit)
            if problems:
                self._reject(problems, _raw(unit.sources), len(unit.sources))
            else:
                yield from rows

    def _sound(self) -> Iterator[Source]:
        for source in self.sources:
            self.report.read += 1
            if source.trouble:
                problem = self._problem(source.line, "(row)", source.trouble)
                self._reject([problem], source.text or source.written, 1)
            else:
                yield source

    def _checked(self, unit: Unit) -> tuple[list[NativeRow], list[RowProblem]]:
        if unit.misfit is not None:
            source, misfit = unit.misfit
            return [], [self._problem(source.line, misfit.field, misfit.message)]
        rows: list[NativeRow] = []
        problems: list[RowProblem] = []
        raw = _raw(unit.sources)
        for made in unit.made:
            row, found = self._parsed(unit.sources[0].line, made, raw)
            problems += [self._named(problem, made) for problem in found]
            if row is not None:
                rows.append(row)
        return rows, problems

    def _parsed(self, line: int, made: Made, raw: str) -> tuple[NativeRow | None, list[RowProblem]]:
        row, problems = parse_row(line, made.native, raw, longest=self.longest, fewest=self.fewest)
        if row is not None and row.gold is not None:  # it must not stand out among the others
            said = gold.misfit(campaign=self.campaign, responses=len(row.responses))
            problems = [RowProblem(line, "responses", said, row.id)] if said else []
        if row is not None and not problems:
            problems = self.pictures.problems(row)
        return (None if problems else row), problems

    def _named(self, problem: RowProblem, made: Made) -> RowProblem:
        """As the file names it; an id that was made here is none."""
        known = problem.item_id if not made.names or "id" in made.names else ""
        field_name = made.foreign(problem.field)
        return replace(problem, field=field_name, item_id=known, unit=self.rows.unit)

    def _problem(self, line: int, field_name: str, message: str) -> RowProblem:
        return RowProblem(line, field_name, message, unit=self.rows.unit)

    def reject_row(self, row: NativeRow, problem: RowProblem) -> None:
        """A row that was good by itself."""
        self._reject([replace(problem, unit=self.rows.unit)], row.raw, 1)

    def _reject(self, problems: Sequence[RowProblem], raw: str, rows: int) -> None:
        report = self.report
        report.rejected += rows
        report.problems += problems[: MOST_PROBLEMS - len(report.problems)]
        if self.options.rejects is not None:
            said = [str(problem) for problem in problems]
            row = {"line": problems[0].line, "problems": said, "row": raw.strip()}
            self.options.rejects.write(json.dumps(row, ensure_ascii=False) + "\n")


def _raw(sources: Sequence[Source]) -> str:
    return "\n".join(source.written for source in sources)


def named_importer(name: str) -> Importer:
    """A format by its name.

    Raises:
        InvalidInput: there is none.
    """
    if name not in IMPORTERS:
        known = ", ".join(IMPORTERS)
        raise InvalidInput(f"format: {name!r:.40} is not known; expected one of {known}")
    return IMPORTERS[name]


def _unknown(row: Mapping[str, Any]) -> str:
    fields = ", ".join(list(row)[:20]) + (", …" if len(row) > 20 else "")
    return (
        f"no known format has these fields: {fields:.400}; expected one of {', '.join(IMPORTERS)}, "
        "or names for the columns with prompt and responses (prompt=…, response_1=…, response_2=…)"
    )
