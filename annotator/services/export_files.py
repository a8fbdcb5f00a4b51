"""Exports as files: rows, provenance and manifest, written whole or not at all."""

from __future__ import annotations

import gc
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from annotator.errors import InvalidInput
from annotator.exporters import Question
from annotator.exporters.card import card
from annotator.exporters.quick import dumps
from annotator.models import Campaign
from annotator.services import containers, exports

PROVENANCE, README = "provenance.jsonl", "README.md"
FEW = 100  # rows; with fewer, the manifest says so
EVERY = 1.0  # seconds between two reports of progress
Progress = Callable[[int, int], None]  # questions done, rows written


@contextmanager
def _frozen_view() -> Iterator[None]:
    """One view of the database for the whole file: answers that come in meanwhile stay out."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """A batch has no cycles and is freed by itself; looking for some takes a third of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass
class _Seen:
    """What passed by, for the manifest."""

    progress: Progress
    questions: int = 0
    answers: int = 0
    rows: int = 0
    holdout_rows: int = 0
    agreement: float = 0.0
    agreed: int = 0
    people: set[int] = field(default_factory=set)
    judges: set[int] = field(default_factory=set)
    guidelines: set[int] = field(default_factory=set)
    models: set[int] = field(default_factory=set)
    newest: str = ""
    told: float = field(default_factory=time.monotonic)

    def question(self, question: Question) -> None:
        """Count it, and report once a second."""
        self.questions += 1
        self.answers += len(question.answers)
        for said in question.answers:
            (self.people if said.kind == "human" else self.judges).add(said.annotator_id)
            self.guidelines.add(said.guidelines_version)
            self.newest = max(self.newest, said.recorded_at)
        for query in question.queries:
            if query.model_round is not None:
                self.models.add(query.model_round)
        if (now := time.monotonic()) - self.told > EVERY:
            self.told = now
            self.progress(self.questions, self.rows)

    def row(self, question: Question, about: dict[str, Any]) -> None:
        """Count it."""
        self.rows += 1
        self.holdout_rows += question.is_holdout
        if (agreement := about.get("agreement")) is not None:
            self.agreement += agreement
            self.agreed += 1


def write_files(
    *,
    campaign: Campaign,
    format_name: str,
    options: exports.ExportOptions,
    folder: Path,
    container: str = "",
    progress: Progress = lambda questions, rows: None,
) -> dict[str, Any]:
    """Stream an export into an empty folder; returns the manifest, which is not written.

    Raises:
        InvalidInput: format, option or container are wrong, or there is nothing to export.
    """
    kind = exports.checked_format(format_name, options)
    container = containers.checked(container, kind.columns is not None, kind.container)
    seen = _Seen(progress)
    with _frozen_view(), _no_search_for_cycles():
        export = exports.prepare(campaign=campaign, format_name=format_name, options=options)
        files = _write_rows(export, container, folder, seen)
        manifest = _manifest(export, container, seen)
        newest = campaign.guidelines.order_by("-version").first()
    _refuse_empty(export, seen)
    if kind.companions is not None:
        for name, text in kind.companions(export.context, newest.text if newest else "").items():
            files[name] = _written(folder / name, text)
    manifest["files"] = files
    manifest["data"] = [containers.file_name(container, split) for split in export.splits]
    if container == "datasets" and kind.columns is not None:
        said = card(kind, manifest, kind.columns(export.context), f"{campaign.slug} {format_name}")
        files[README] = _written(folder / README, said)
    return manifest


def _write_rows(
    export: exports.Export, container: str, folder: Path, seen: _Seen
) -> dict[str, dict[str, Any]]:
    """The rows of every split, and the provenance of each row."""
    kind = export.format
    columns = kind.columns(export.context) if kind.columns is not None else None
    names = {split: containers.file_name(container, split) for split in export.splits}
    for name in names.values():
        (folder / name).parent.mkdir(exist_ok=True)
    data = {
        split: containers.writer(container, folder / name, columns) for split, name in names.items()
    }
    side = containers.Lines(folder / PROVENANCE)
    for question, row, about in export.rows(seen.question):
        line = dumps(row)
        data[question.split].add(row, line)
        about["row"] = hashlib.sha256(line).hexdigest()[:16]
        side.add(about, dumps(about))
        seen.row(question, about)
    files = {names[split]: one.close() for split, one in data.items()}
    return files | {PROVENANCE: side.close()}


def _written(path: Path, text: str) -> dict[str, Any]:
    data = text.encode()
    path.write_bytes(data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _manifest(export: exports.Export, container: str, seen: _Seen) -> dict[str, Any]:
    """Everything that decides the bytes, and what came of it; no time and no name of its own."""
    campaign = export.campaign
    guidelines = campaign.guidelines.aggregate(newest=Max("version"))["newest"]
    model = campaign.model_versions.filter(kind="all").order_by("-round__number").first()
    return {
        "campaign": campaign.slug,
        "format": export.format.name,
        "container": container,
        "options": export.options.as_json(),
        "consensus": export.options.consensus,
        "rows": seen.rows,
        "counts": {
            "questions": seen.questions,
            "answers": seen.answers,
            "people": len(seen.people),
            "judges": len(seen.judges),
            "holdout_rows": seen.holdout_rows,
        },
        "left_out": dict(export.context.left_out.most_common()),
        "curation_report": str(export.report.pk) if export.report else None,
        "mean_agreement": round(seen.agreement / seen.agreed, 6) if seen.agreed else None,
        "warnings": _warnings(seen),
        "newest_answer": seen.newest or None,
        "guidelines_version": guidelines,
        "guidelines_versions": sorted(seen.guidelines - {0}),
        "model_round": model.round.number if model else None,
        "model_rounds": sorted(seen.models),
        "pictures": {"in_campaign": campaign.pictures.count(), "included": False},
        "code_version": settings.VERSION,
    }


def _warnings(seen: _Seen) -> list[str]:
    said = []
    if seen.holdout_rows:
        said.append(
            f"{seen.holdout_rows:,} of {seen.rows:,} rows are of held-out prompts: never train on "
            "them, or the campaign's figures no longer mean anything."
        )
    if seen.rows < FEW:
        said.append(f"Only {seen.rows:,} rows: too few to train on, or to measure anything with.")
    return said


def _refuse_empty(export: exports.Export, seen: _Seen) -> None:
    if seen.rows:
        return
    start = f"nothing to export as {export.format.name!r} from {export.campaign.slug!r}: "
    if not seen.questions:
        raise InvalidInput(start + "no standing answers outside the holdout give a row")
    why = ", ".join(f"{n:,} {reason}" for reason, n in export.context.left_out.most_common())
    looked = f"{seen.questions:,} questions were looked at and gave no row"
    raise InvalidInput(f"{start}{looked}{f' ({why})' if why else ''}")


# --- into a file ---------------------------------------------------------------------------


def export_to_file(
    *,
    campaign: Campaign,
    format_name: str,
    out: Path,
    options: exports.ExportOptions,
    container: str = "",
) -> dict[str, Any]:
    """Write `out` and `out.provenance.jsonl`; neither appears before both are complete.

    A test file stands beside as `STEM.test.SUFFIX`; a `datasets` folder is `out` itself.

    Raises:
        InvalidInput: as `write_files`, or a file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as name:
            folder = Path(name)
            manifest = write_files(
                campaign=campaign,
                format_name=format_name,
                options=options,
                folder=folder,
                container=container,
            )
            _move(folder, out, manifest)
    except OSError as error:
        raise InvalidInput(f"{out}: {error.strerror or error}") from error
    return manifest


def _move(folder: Path, out: Path, manifest: dict[str, Any]) -> None:
    """The side files first: where the data is, everything is."""
    (folder / PROVENANCE).replace(out.with_name(f"{out.name}.{PROVENANCE}"))
    if manifest["container"] == "datasets":
        out.mkdir()
        for path in list(folder.iterdir()):
            path.replace(out / path.name)
        return
    names = [name for name in manifest["files"] if name != PROVENANCE]
    main = manifest["data"][0]
    for name in reversed(names):
        target = out.with_name(f"{out.name}.{name}")
        if name.startswith("test."):
            target = out.with_name(f"{out.stem}.test{out.suffix}")
        (folder / name).replace(out if name == main else target)
