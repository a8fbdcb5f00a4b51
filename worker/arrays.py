"""Named arrays in a file that may be lost: what is kept only because it is slow to make again."""

from __future__ import annotations

import logging
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

logger = logging.getLogger(__name__)
Arrays = dict[str, NDArray[Any]]


def path_of(name: str) -> Path:
    """Where such files lie."""
    return Path(settings.VAR_DIR) / "index" / f"{name}.npz"


def save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write at once: whoever reads sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.npz")
    np.savez(half, allow_pickle=False, **arrays)
    half.replace(path)


def read(path: Path) -> Arrays:
    """All arrays of a file; none when there is no file, or only a damaged one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        logger.warning("%s is made anew, it cannot be read: %s", path.name, error)
        return {}
