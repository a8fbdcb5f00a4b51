"""Fitted models on disk: safetensors with a checksum, never pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray
from safetensors.numpy import load, save

from annotator.models import ModelVersion
from learning.errors import LearningError

Arrays = Mapping[str, NDArray[Any]]


class BrokenArtifact(LearningError):
    """A stored model is missing, or is not what was stored."""


def _root() -> Path:
    return Path(settings.VAR_DIR) / "models"


def write(*, name: str, arrays: Arrays) -> tuple[str, str]:
    """Store arrays under a path below the model store; returns (path, sha256)."""
    blob = save({key: np.ascontiguousarray(value) for key, value in arrays.items()})
    path = _root() / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".part")
    half.write_bytes(blob)
    half.replace(path)
    return str(path.relative_to(_root())), hashlib.sha256(blob).hexdigest()


def read(version: ModelVersion) -> Arrays:
    """Load what `write` stored.

    Raises:
        BrokenArtifact: the file is gone, or its checksum differs.
    """
    path = _root() / version.artifact
    try:
        blob = path.read_bytes()
    except OSError as error:
        raise BrokenArtifact(f"model file {version.artifact}: {error.strerror}") from error
    if hashlib.sha256(blob).hexdigest() != version.artifact_sha256:
        raise BrokenArtifact(f"model file {version.artifact} is not what was stored (checksum)")
    return dict(load(blob))
