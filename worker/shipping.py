"""A version as one file to download: a Hugging Face folder with its card, in a tar archive."""

from __future__ import annotations

import logging
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from annotator.models import EncoderVersion
from annotator.services.finetuning import Outcome
from annotator.services.snapshots import drop_files, keep_files
from learning.finetune.export import export
from learning.finetune.lora_ensemble_belief import RECORD, WEIGHTS
from worker import encoderfiles
from worker.artifacts import BrokenArtifact
from worker.encodercard import facts

logger = logging.getLogger(__name__)


def ship(version: EncoderVersion, outcome: Outcome) -> Outcome:
    """Write the archive into the store of exports; returns the outcome with where it is.

    An attempt that is repeated writes over what the one before wrote.
    """
    name = f"{version.campaign.slug}-encoder-{version.number}"
    key = f"encoder-{version.campaign_id}-{version.pk}"
    with TemporaryDirectory(prefix="ship-", dir=encoderfiles.place(version)) as made:
        folder = Path(made) / key
        folder.mkdir()
        path = folder / f"{name}.tar"
        shown = export(encoderfiles.folder(version), Path(made) / "model", facts(version))
        _with_members(version, shown)
        with tarfile.open(path, "w") as archive:
            archive.add(shown, arcname=name, filter=_anonymous)
        about = {"folder": key, "name": path.name, "bytes": path.stat().st_size}
        about["sha256"] = encoderfiles.checksum(path)
        drop_files(name=key)
        keep_files(folder=folder)
    return replace(outcome, archive=about)


def _with_members(version: EncoderVersion, folder: Path) -> None:
    """The adapters of its ensemble go along; what they were trained on does not."""
    if "sha256" not in version.record.get("ensemble", {}):
        return
    try:
        encoderfiles.verify_members(version)
    except BrokenArtifact as error:  # rounds say so, too; the model itself is whole
        logger.warning("the archive of %s has no adapters: %s", version, error)
        return
    beside = folder / "members"
    beside.mkdir()
    for name in (WEIGHTS, RECORD):
        shutil.copyfile(encoderfiles.members(version) / name, beside / name)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Without the names and numbers of this machine's accounts."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member
