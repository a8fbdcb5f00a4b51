"""What the adapters of an ensemble were trained on, by response id, in a file beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from annotator.models import EncoderVersion
from worker import arrays, encoderfiles
from worker.arrays import Arrays
from worker.artifacts import BrokenArtifact
from worker.store import Ints

TRAINED = "trained.npz"


def said(ends: Ints, outcome: Any, strength: Any) -> Ints:
    """Answers as rows that do not depend on which side was left, shape ``(n, 4)``.

    Args:
        ends: Response ids, left and right, shape ``(n, 2)``.
        outcome: 1, 0 or -1 for the left one, shape ``(n,)``.
        strength: 0 to 3, shape ``(n,)``.
    """
    turned = ends[:, 0] > ends[:, 1]
    towards = np.where(turned, -outcome, outcome)
    return np.column_stack([np.sort(ends, axis=1), towards, strength]).astype(np.int64)


def write(where: Path, labels: Arrays) -> str:
    """Keep labels with response ids beside adapters; returns the file's checksum."""
    ends = np.stack([labels["left"], labels["right"]], axis=1)
    arrays.save(where / TRAINED, {"said": said(ends, labels["outcome"], labels["strength"])})
    return encoderfiles.checksum(where / TRAINED)


def read(version: EncoderVersion) -> Ints:
    """What the adapters were trained on, as `said` has it.

    Raises:
        BrokenArtifact: the file is gone, or is not what was written.
    """
    path = encoderfiles.members(version) / TRAINED
    whole = (
        path.is_file()
        and encoderfiles.checksum(path) == version.record["ensemble"]["trained_sha256"]
    )
    if not whole:
        raise BrokenArtifact(
            f"what the adapters of encoder version {version.number} were trained on is not known: "
            f"{TRAINED} is gone or was changed"
        )
    return arrays.read(path)["said"]
