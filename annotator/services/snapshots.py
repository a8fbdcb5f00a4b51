"""Snapshots: exports that a worker builds, that are kept, and never changed after."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils import timezone

from annotator import dispatch
from annotator.errors import InvalidInput
from annotator.models import Campaign, Job, Snapshot
from annotator.services import containers, exports, webhooks
from annotator.services.curation import excluded_ids, newest_report
from annotator.services.export_files import PROVENANCE, Progress, write_files

State = Snapshot.State
MANIFEST, ARCHIVE = "manifest.json", "dataset.zip"


def store() -> Storage:
    """Where snapshots are kept: files, or what an operator named."""
    return storages["snapshots"]


def under_way() -> Path:
    """Where workers put snapshots together."""
    return Path(settings.VAR_DIR) / "snapshots-under-way"


@transaction.atomic
def request_snapshot(
    *,
    campaign: Campaign,
    format_name: str,
    options: exports.ExportOptions,
    user: User | None,
    container: str = "",
) -> Snapshot:
    """Ask a worker to build an export.

    Raises:
        InvalidInput: the format is not known, cannot heed an option, or does not fit the container;
            or rows are to be left out that nobody has looked for.
    """
    kind = exports.checked_format(format_name, options)
    if names := exports.left_out_names(options):
        excluded_ids(newest_report(campaign), names)
    snapshot = Snapshot.objects.create(
        campaign=campaign,
        format=format_name,
        container=containers.checked(container, kind.columns is not None, kind.container),
        options=options.as_json(),
        created_by=user,
    )
    dispatch.enqueue(
        kind="snapshot",
        key=job_key(snapshot),
        arguments={"snapshot": str(snapshot.pk)},
        campaign=campaign,
    )
    return snapshot


def job_key(snapshot: Snapshot) -> str:
    """Names the job, so that its progress can be shown."""
    return f"snapshot:{snapshot.pk}"


def build_snapshot(*, snapshot: Snapshot, progress: Progress) -> Path:
    """Write a snapshot's files into a folder of their own; `publish_snapshot` makes it count.

    Nothing is left of it when it fails or is cancelled.
    """
    folder = under_way() / f"{snapshot.pk}.{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    try:
        manifest = write_files(
            campaign=snapshot.campaign,
            format_name=snapshot.format,
            options=exports.ExportOptions.checked(snapshot.options),
            folder=folder,
            container=snapshot.container,
            progress=progress,
        )
        if snapshot.container == "datasets":
            _into_archive(folder, manifest)
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        (folder / MANIFEST).write_text(text, encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _into_archive(folder: Path, manifest: dict[str, Any]) -> None:
    """One file to download; the manifest keeps the checksums of what is in it."""
    files = manifest["files"]
    inside = folder / "dataset"
    inside.mkdir()
    for name in [name for name in files if name != PROVENANCE]:
        (inside / name).parent.mkdir(exist_ok=True)
        (folder / name).replace(inside / name)
    archive = {"rows": manifest["rows"], **containers.zipped(inside, folder / ARCHIVE)}
    shutil.rmtree(inside)
    shutil.rmtree(folder / "data")
    manifest["inside"] = {name: about for name, about in files.items() if name != PROVENANCE}
    manifest["files"] = {ARCHIVE: archive, PROVENANCE: files[PROVENANCE]}
    manifest["data"] = [ARCHIVE]


def keep_files(*, folder: Path) -> None:
    """Put the finished files into the store, under the folder's name."""
    for path in sorted(folder.iterdir()):
        with path.open("rb") as stream:
            name = store().save(f"{folder.name}/{path.name}", _Made(stream, path))
        if name != f"{folder.name}/{path.name}":
            raise InvalidInput(f"{folder.name}/{path.name} is in the store already")


class _Made(File):  # type: ignore[type-arg]
    """A finished file; a store of files moves it instead of copying it."""

    def __init__(self, stream: Any, path: Path) -> None:
        super().__init__(stream, name=path.name)
        self.path = path

    def temporary_file_path(self) -> str:
        """What Django's own uploads call it."""
        return str(self.path)


def drop_files(*, name: str) -> None:
    """Take a snapshot's files out of the store."""
    for part in store().listdir(name)[1] if _listed(name) else []:
        store().delete(f"{name}/{part}")
    if local := local_path(name):
        shutil.rmtree(local, ignore_errors=True)


def _listed(name: str) -> bool:
    local = local_path(name)
    return local is None or local.exists()


def local_path(name: str) -> Path | None:
    """The path of something in the store, where the store is a folder."""
    try:
        return Path(store().path(name))
    except NotImplementedError:
        return None


def publish_snapshot(*, snapshot: Snapshot, folder: Path) -> bool:
    """Point the snapshot at its finished files, once; a second finisher is turned away."""
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    keep_files(folder=folder)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished = Snapshot.objects.filter(pk=snapshot.pk, state__in=Snapshot.LIVE)
    if unfinished.update(
        state=State.READY, manifest=manifest, path=folder.name, finished_at=timezone.now(), error=""
    ):
        told = {"snapshot": str(snapshot.pk), "format": snapshot.format, "rows": manifest["rows"]}
        webhooks.emit(campaign_id=snapshot.campaign_id, event=webhooks.Event.SNAPSHOT, data=told)
        return True
    drop_files(name=folder.name)
    return False


def fail_snapshot(*, snapshot_id: str, error: str, cancelled: bool = False) -> None:
    """Say why an export could not be built, or that somebody stopped it."""
    Snapshot.objects.filter(pk=snapshot_id, state__in=Snapshot.LIVE).update(
        state=State.CANCELLED if cancelled else State.FAILED,
        error=error,
        finished_at=timezone.now(),
    )


def cancel_snapshot(*, snapshot: Snapshot) -> bool:
    """Stop an export that waits or is built; False when it had ended already."""
    from annotator.services.jobs import cancel  # which needs this module

    job = Job.objects.live().filter(key=job_key(snapshot)).first()
    return job is not None and cancel(job=job)


def tidy(*, keep: str = "") -> None:
    """Remove what killed workers left: folders of snapshots that nobody builds any more.

    Args:
        keep: Name of a folder that stays.
    """
    found = [path for path in under_way().glob("*.*") if path.name != keep]
    named = {path: path.name.partition(".")[0] for path in found}
    live = Snapshot.objects.filter(pk__in=set(named.values()), state__in=Snapshot.LIVE)
    building = {str(pk) for pk in live.values_list("pk", flat=True)}
    for path, name in named.items():
        if name not in building:
            shutil.rmtree(path, ignore_errors=True)


def parts(snapshot: Snapshot) -> list[str]:
    """What can be downloaded, the data first."""
    data = snapshot.data  # the database keeps no order of names
    return [*data, *sorted(set(snapshot.manifest.get("files", {})) - set(data)), MANIFEST]


@dataclass(frozen=True)
class Part:
    """One file of a finished snapshot.

    Attributes:
        key: Its name in the store.
        name: What a download is called.
        sha256: Of its bytes.
        path: Where it lies, where the store is a folder.
    """

    key: str
    name: str
    sha256: str
    path: Path | None


def find_part(*, snapshot: Snapshot, part: str = "") -> Part:
    """A file of a finished snapshot; the data where no part is named.

    Raises:
        InvalidInput: not one of the parts, or the snapshot is not ready.
    """
    if snapshot.state != State.READY:
        raise InvalidInput(f"the export is {snapshot.state}; it can be downloaded once it is ready")
    known = parts(snapshot)
    part = part or known[0]
    if part not in known:
        raise InvalidInput(f"part: expected one of {', '.join(known)}; got {part!r}")
    key = f"{snapshot.path}/{part}"
    about = snapshot.manifest["files"].get(part)
    sha256 = about["sha256"] if about else _checksum(key)
    name = f"{snapshot.campaign.slug}-{snapshot.format}-{part}"
    return Part(key, name, sha256, local_path(key))


def _checksum(key: str) -> str:
    with store().open(key) as stream:
        return hashlib.sha256(cast(bytes, stream.read())).hexdigest()
