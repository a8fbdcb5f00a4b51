"""What a run needs to go on where it was, on disk. Written aside, synced, renamed; no pickle."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from learning.finetune.errors import CheckpointFailed

_STATE, _TENSORS = "state.json", "tensors.safetensors"
_NAME: Final = "checkpoint-"
_ASIDE: Final = ".part-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was read back.

    Attributes:
        state: Plain values: where in the run it was taken.
        tensors: By name: weights, moments, generators.
    """

    state: dict[str, Any]
    tensors: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one run; only the newest is kept.

    Attributes:
        folder: Where they live.
        run: Names data, plan and base; those of another run are not read.
    """

    folder: Path
    run: str

    def save(self, state: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        """Write a checkpoint; the one before goes only when this one is whole.

        Raises:
            CheckpointFailed: the disk is full or gone. The one before stays.
        """
        from safetensors.torch import save_file

        there = self._there()
        number = there[-1][0] + 1 if there else 0

        def write(where: Path) -> None:
            save_file(_apart(tensors), where / _TENSORS)
            (where / _STATE).write_text(json.dumps({"run": self.run, **state}))

        placed(self.folder / f"{_NAME}{number:08d}", write, what="checkpoint")
        for _, old in there:
            shutil.rmtree(old, ignore_errors=True)

    def load(self) -> Checkpoint | None:
        """Return the newest whole checkpoint of this run."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        for _, folder in reversed(self._there()):
            try:
                state = json.loads((folder / _STATE).read_bytes())
                if state.get("run") == self.run:
                    return Checkpoint(state, load_file(folder / _TENSORS))
            except (OSError, ValueError, SafetensorError):
                continue  # damaged: the one before it may be whole
        return None

    def clear(self) -> None:
        """Remove all of them."""
        for _, folder in self._there():
            shutil.rmtree(folder, ignore_errors=True)

    def _there(self) -> list[tuple[int, Path]]:
        found = [(path.name.removeprefix(_NAME), path) for path in self.folder.glob(f"{_NAME}*")]
        return sorted((int(number), path) for number, path in found if number.isdigit())


def placed(folder: Path, write: Callable[[Path], object], *, what: str) -> None:
    """Let ``write`` fill a folder aside, sync it and put it in its place, whole or not at all.

    Raises:
        CheckpointFailed: it cannot be written; what was there stays.
    """
    from safetensors import SafetensorError

    aside = folder.with_name(f"{_ASIDE}{uuid.uuid4().hex[:8]}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{_ASIDE}*"):  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        aside.mkdir()
        write(aside)
        _sync(aside)
        if folder.exists():
            shutil.rmtree(folder)
        aside.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise CheckpointFailed(_why(error, what)) from error
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _why(error: Exception, what: str) -> str:
    full = "No space left" in str(error) or "quota" in str(error).lower()
    why = "the disk is full" if full else str(error)
    return f"The {what} could not be written: {why}. What was there before is untouched."


def _sync(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _apart(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors on the CPU that share no memory, as safetensors wants them."""
    return {name: one.detach().cpu().contiguous().clone() for name, one in tensors.items()}
