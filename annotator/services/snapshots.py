"""Immutable exports on disk: data, provenance and manifest, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max
from django.utils import timezone

from annotator import dispatch
from annotator.errors import InvalidInput
from annotator.models import Campaign, Snapshot
from annotator.services import exports

State = Snapshot.State
DATA, PROVENANCE, MANIFEST = "data.jsonl", "provenance.jsonl", "manifest.json"
PARTS = (DATA, PROVENANCE, MANIFEST)


class _Hashing:
    """A file that knows its own checksum and number of rows."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.sha, self.rows, self.bytes = stream, hashlib.sha256(), 0, 0

    def write(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.stream.write(line)
        self.sha.update(line)
        self.rows += 1
        self.bytes += len(line)

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "bytes": self.bytes, "sha256": self.sha.hexdigest()}


@contextmanager
def _frozen_view() -> Iterator[None]:
    """One view of the database for the whole file: answers that come in meanwhile stay out."""
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def write_files(
    *,
    campaign: Campaign,
    format_name: str,
    options: exports.ExportOptions,
    data: BinaryIO,
    provenance: BinaryIO,
    progress: Callable[[int], None] = lambda rows: None,
) -> dict[str, Any]:
    """Stream all rows of a format, and the provenance of each; returns the manifest.

    Raises:
        InvalidInput: the format is not known, or there is nothing to export.
    """
    main, side = _Hashing(data), _Hashing(provenance)
    with _frozen_view():
        for row, about in exports.rows(campaign=campaign, format_name=format_name, options=options):
            main.write(row)
            side.write(about)
            if main.rows % 5000 == 0:
                progress(main.rows)
        guidelines = campaign.guidelines.aggregate(newest=Max("version"))["newest"]
        pictures = campaign.pictures.count()
        model = campaign.model_versions.filter(kind="all").order_by("-round__number").first()
    if main.rows == 0:
        raise InvalidInput(
            f"nothing to export as {format_name!r} from {campaign.slug!r}: "
            "no standing answers outside the holdout give a row"
        )
    return {
        "campaign": campaign.slug,
        "format": format_name,
        "options": options.as_json(),
        "files": {DATA: main.summary(), PROVENANCE: side.summary()},
        "guidelines_version": guidelines,
        "model_round": model.round.number if model else None,
        "pictures": {"in_campaign": pictures, "included": False},
        "code_version": settings.VERSION,
    }


def export_to_file(
    *, campaign: Campaign, format_name: str, out: Path, options: exports.ExportOptions
) -> dict[str, Any]:
    """Write `out` and `out.provenance.jsonl`; neither appears before both are complete."""
    side = out.with_name(out.name + ".provenance.jsonl")
    half, half_side = out.with_name(out.name + ".part"), side.with_name(side.name + ".part")
    try:
        with half.open("wb") as data, half_side.open("wb") as provenance:
            manifest = write_files(
                campaign=campaign,
                format_name=format_name,
                options=options,
                data=data,
                provenance=provenance,
            )
        half_side.replace(side)
        half.replace(out)
    except OSError as error:
        raise InvalidInput(f"{out}: {error.strerror or error}") from error
    finally:
        half.unlink(missing_ok=True)
        half_side.unlink(missing_ok=True)
    return manifest


@transaction.atomic
def request_snapshot(
    *, campaign: Campaign, format_name: str, options: exports.ExportOptions, user: User | None
) -> Snapshot:
    """Ask a worker to build an export.

    Raises:
        InvalidInput: the format is not known.
    """
    if format_name not in exports.FORMATS:
        known = ", ".join(exports.FORMATS)
        raise InvalidInput(f"format: {format_name!r} is not known; expected one of {known}")
    snapshot = Snapshot.objects.create(
        campaign=campaign, format=format_name, options=options.as_json(), created_by=user
    )
    dispatch.enqueue(
        kind="snapshot",
        key=f"snapshot:{snapshot.pk}",
        arguments={"snapshot": str(snapshot.pk)},
        campaign=campaign,
    )
    return snapshot


def build_snapshot(*, snapshot: Snapshot, progress: Callable[[int], None]) -> Path:
    """Write a snapshot's files into a folder of their own; `publish_snapshot` makes it count."""
    folder = Path(settings.VAR_DIR) / "snapshots" / f"{snapshot.pk}.{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    with (folder / DATA).open("wb") as data, (folder / PROVENANCE).open("wb") as provenance:
        manifest = write_files(
            campaign=snapshot.campaign,
            format_name=snapshot.format,
            options=exports.ExportOptions(**snapshot.options),
            data=data,
            provenance=provenance,
            progress=progress,
        )
    manifest |= {"snapshot": str(snapshot.pk), "created_at": snapshot.created_at.isoformat()}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return folder


def publish_snapshot(*, snapshot: Snapshot, folder: Path) -> bool:
    """Point the snapshot at its finished folder, once; a second finisher is turned away."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    unfinished = Snapshot.objects.filter(pk=snapshot.pk).exclude(state=State.READY)
    if unfinished.update(
        state=State.READY, manifest=manifest, path=folder.name, finished_at=timezone.now(), error=""
    ):
        return True
    shutil.rmtree(folder)
    return False


def fail_snapshot(*, snapshot_id: str, error: str) -> None:
    """Say why an export could not be built."""
    Snapshot.objects.filter(pk=snapshot_id).exclude(state=State.READY).update(
        state=State.FAILED, error=error, finished_at=timezone.now()
    )


def part_path(*, snapshot: Snapshot, part: str) -> Path:
    """Where a part of a finished snapshot lies.

    Raises:
        InvalidInput: not one of the parts, or the snapshot is not ready.
    """
    if part not in PARTS:
        raise InvalidInput(f"part: expected one of {', '.join(PARTS)}; got {part!r}")
    if snapshot.state != State.READY:
        raise InvalidInput(f"the export is {snapshot.state}; it can be downloaded once it is ready")
    return Path(settings.VAR_DIR) / "snapshots" / snapshot.path / part
