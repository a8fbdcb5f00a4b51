"""Features of responses: stored embeddings by text digest, and their assembly into phi.

A store is one folder per encoder key. Vectors arrive in *shards*, two files each::

    <root>/<hash of the key>/meta.json
                             <random>.vectors.npy    (n, dim) float16 or float32
                             <random>.digests.npy    (n,) 16 bytes each

Files are written aside, synced and renamed, the digests last: a shard without digests is
one that is still being written, or was given up, and is ignored. Names are random, so any
number of processes may append at once; a text that two of them embed is merely stored twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from learning._checks import matrix
from learning.errors import MissingFeatures, ShapeError, StoreError
from learning.scaling import Standardizer
from learning.text import DIGEST_BYTES, text_digest

_DIGESTS: Final = ".digests.npy"
_VECTORS: Final = ".vectors.npy"
_META: Final = "meta.json"
_KEY_TYPE: Final = np.dtype(f"S{DIGEST_BYTES}")


def assemble(
    embeddings: NDArray[np.floating[Any]],
    surface: NDArray[np.floating[Any]] | None,
    standardizer: Standardizer,
) -> NDArray[np.float32]:
    """Return the features a head sees: ``([embedding | surface] - mean) / scale``.

    Args:
        embeddings: One row a response, shape ``(m, e)``.
        surface: Surface features of the same responses, shape ``(m, s)``, or ``None``.
        standardizer: Fitted on ``e + s`` columns.

    Returns:
        Shape ``(m, e + s)``, float32.

    Raises:
        ShapeError: row counts differ, or the widths do not add up to the standardizer's.
    """
    if surface is not None and len(surface) != len(embeddings):
        raise ShapeError(f"{len(embeddings)} embeddings for {len(surface)} rows of surface")
    return standardizer.transform(embeddings, surface)


class FeatureStore:
    """Embeddings on disk, memory-mapped, found by the digest of the text.

    Args:
        root: Folder that may hold the stores of many encoders; made if absent.
        encoder_key: Which encoder, revision and text recipe the vectors come from.
        dim: Width of a vector.
        dtype: How vectors are stored; half precision loses nothing a linear head can see.

    Raises:
        StoreError: the folder was made for another key, width or dtype.
    """

    def __init__(
        self,
        root: Path | str,
        encoder_key: str,
        dim: int,
        dtype: Literal["float16", "float32"] = "float16",
    ) -> None:
        name = hashlib.sha256(encoder_key.encode()).hexdigest()[:24]
        self.folder = Path(root) / name
        self.encoder_key, self.dim, self.dtype = encoder_key, dim, np.dtype(dtype)
        self._shards: dict[str, NDArray[Any]] = {}  # name -> memory map of its vectors
        self._offsets: dict[str, int] = {}
        self._keys = np.empty(0, dtype=_KEY_TYPE)  # sorted
        self._rows = np.empty(0, dtype=np.int64)  # global row of each sorted key
        self._total = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_meta()
        self.refresh()

    def __len__(self) -> int:
        """Number of distinct texts known when the store was last looked at."""
        return len(self._keys)

    def missing(self, digests: Sequence[bytes]) -> NDArray[np.int64]:
        """Return the positions whose text is not stored, each distinct text once, ascending."""
        self.refresh()
        keys = _as_keys(digests)
        _, known = self._find(keys)
        _, first = np.unique(keys, return_index=True)
        return np.sort(first[~known[first]]).astype(np.int64)

    def append(self, digests: Sequence[bytes], vectors: NDArray[np.floating[Any]]) -> None:
        """Store one vector a digest, durably, as a new shard.

        Raises:
            ShapeError: not ``(len(digests), dim)``, or not finite in the store's dtype.
        """
        if len(digests) != len(vectors):
            raise ShapeError(f"{len(digests)} digests for {len(vectors)} vectors")
        if not len(digests):
            return
        keys = _as_keys(digests)
        with np.errstate(over="ignore"):
            stored = np.asarray(vectors).astype(self.dtype)
        matrix(stored.astype(np.float32), "vectors", width=self.dim)
        shard = uuid.uuid4().hex
        _write(self.folder / (shard + _VECTORS), stored)
        _write(self.folder / (shard + _DIGESTS), keys)  # from here on it counts

    def lookup(self, digests: Sequence[bytes]) -> NDArray[np.float32]:
        """Return the vectors of some texts, in order, shape ``(n, dim)``.

        Raises:
            MissingFeatures: some are not stored; it says how many.
        """
        keys = _as_keys(digests)
        rows, known = self._find(keys)
        if not known.all():
            self.refresh()
            rows, known = self._find(keys)
        if absent := int((~known).sum()):
            raise MissingFeatures(absent, len(keys))
        found = np.empty((len(keys), self.dim), dtype=np.float32)
        order = np.argsort(rows, kind="stable")  # each shard then owns one run of it
        ends = np.searchsorted(rows[order], [*self._offsets.values(), self._total])
        for (name, vectors), start, end in zip(
            self._shards.items(), ends[:-1], ends[1:], strict=True
        ):
            here = order[start:end]
            found[here] = vectors[rows[here] - self._offsets[name]]
        return found

    def refresh(self) -> None:
        """Take in the shards that other processes have added."""
        names = {path.name.removesuffix(_DIGESTS) for path in self.folder.glob("*" + _DIGESTS)}
        fresh = sorted(names - self._shards.keys())
        if not fresh:
            return
        keys, rows = [self._keys], [self._rows]
        for name in fresh:
            digests, vectors = self._open(name)
            self._shards[name], self._offsets[name] = vectors, self._total
            keys.append(digests)
            rows.append(np.arange(self._total, self._total + len(vectors)))
            self._total += len(vectors)
        self._keys, first = np.unique(np.concatenate(keys), return_index=True)
        self._rows = np.concatenate(rows)[first]

    def _find(self, keys: NDArray[np.bytes_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the global row of each key (0 where unknown), and whether it is known."""
        if not len(self._keys):
            return np.zeros(len(keys), dtype=np.int64), np.zeros(len(keys), dtype=np.bool_)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        known = self._keys[place] == keys
        return np.where(known, self._rows[place], 0), known

    def _open(self, name: str) -> tuple[NDArray[np.bytes_], NDArray[Any]]:
        try:
            digests = np.load(self.folder / (name + _DIGESTS), allow_pickle=False)
            vectors = np.load(self.folder / (name + _VECTORS), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            # Renames come after the sync, so this is not a half-written shard but damage.
            raise StoreError(f"shard {name} of {self.folder} cannot be read: {error}") from error
        right = (len(digests), self.dim)
        if digests.dtype != _KEY_TYPE or vectors.shape != right or vectors.dtype != self.dtype:
            raise StoreError(f"shard {name} of {self.folder} has {vectors.shape}, not {right}")
        return digests, vectors

    def _check_meta(self) -> None:
        path = self.folder / _META
        ours = {"encoder": self.encoder_key, "dim": self.dim, "dtype": self.dtype.name}
        if not path.exists():
            _replace(path, json.dumps(ours, indent=1).encode())
        try:
            stored = json.loads(path.read_bytes())
        except ValueError as error:
            raise StoreError(f"{path} is not JSON: {error}") from error
        if stored != ours:
            raise StoreError(f"{self.folder} was made for {stored}, asked for {ours}")


def _as_keys(digests: Sequence[bytes]) -> NDArray[np.bytes_]:
    """Return digests as an ``(n,)`` array; at full width, padding cannot confuse two of them."""
    if any(len(digest) != DIGEST_BYTES for digest in digests):
        raise ShapeError(f"a digest has {DIGEST_BYTES} bytes")
    return np.array(digests, dtype=_KEY_TYPE)


def _write(path: Path, array: NDArray[Any]) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with aside.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync_folder(path.parent)


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["FeatureStore", "Standardizer", "assemble", "text_digest"]
