"""Files of fine-tuned encoders, below the model store: where they are, and that they are whole.

models/campaign-7/encoder-00002/model/      the Hugging Face folder
                                members/    adapters of its ensemble, where it has one
                                work/       checkpoints and labels, while it is trained
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from annotator.models import EncoderVersion
from worker.artifacts import BrokenArtifact

BLOCK = 1024 * 1024


def root() -> Path:
    """The model store."""
    return Path(settings.VAR_DIR) / "models"


def place(version: EncoderVersion) -> Path:
    """Everything of one version."""
    return root() / f"campaign-{version.campaign_id}" / f"encoder-{version.number:05d}"


def work(version: EncoderVersion) -> Path:
    """What is needed only while it is trained."""
    return place(version) / "work"


def folder(version: EncoderVersion) -> Path:
    """The trained model."""
    return root() / version.path if version.path else place(version) / "model"


def members(version: EncoderVersion) -> Path:
    """The adapters of its ensemble, and what they were trained on."""
    return place(version) / "members"


def clear(version: EncoderVersion) -> None:
    """Remove what was needed only while it was trained."""
    shutil.rmtree(work(version), ignore_errors=True)


def fingerprint(where: Path) -> str:
    """SHA-256 over the names and checksums of all files of a folder."""
    sums = {
        path.relative_to(where).as_posix(): checksum(path)
        for path in sorted(where.rglob("*"))
        if path.is_file()
    }
    return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()


def checksum(path: Path) -> str:
    """SHA-256 of a file, a block at a time."""
    found = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def verify(version: EncoderVersion) -> None:
    """Refuse a model that is not what was trained.

    Raises:
        BrokenArtifact: its folder is gone, or some file differs.
    """
    where = folder(version)
    if not where.is_dir():
        raise BrokenArtifact(
            f"the files of encoder version {version.number} are gone ({version.path}); roll it back"
        )
    if fingerprint(where) != version.sha256:
        raise BrokenArtifact(
            f"the files of encoder version {version.number} are not what was trained (checksum); "
            "roll it back"
        )


def verify_members(version: EncoderVersion) -> None:
    """Refuse adapters that are not what was trained.

    Raises:
        BrokenArtifact: their folder is gone, or some file differs.
    """
    where = members(version)
    if not where.is_dir():
        raise BrokenArtifact(f"the adapters of encoder version {version.number} are gone")
    if fingerprint(where) != version.record["ensemble"]["sha256"]:
        raise BrokenArtifact(
            f"the adapters of encoder version {version.number} are not what was trained (checksum)"
        )


@contextmanager
def locked(place: Path) -> Iterator[bool]:
    """Whether this process has the lock; it falls with the process."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
