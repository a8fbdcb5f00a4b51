"""Files that rows are written into: JSON Lines, a JSON list, Parquet, a `datasets` folder.

Every writer streams, knows its own checksum, and makes the same bytes of the same rows.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from annotator.errors import InvalidInput
from annotator.exporters.base import Columns, Row

CONTAINERS = {
    "jsonl": "JSON Lines",
    "jsonl.gz": "JSON Lines, compressed",
    "json": "one JSON list",
    "parquet": "Parquet",
    "datasets": "folder for Hugging Face datasets, with a card",
}
TABLES = ("parquet", "datasets")  # need columns
GROUP_ROWS, GROUP_BYTES = 10_000, 2_000_000  # of a row group in Parquet, at most


class Hashing(io.RawIOBase):
    """A file being written that knows its own checksum."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("wb")
        self.sha, self.size = hashlib.sha256(), 0

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Write, and count."""
        self._file.write(data)
        self.sha.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes written."""
        return self.size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class Writer(Protocol):
    """Takes rows, one after the other."""

    rows: int

    def add(self, row: Row, line: bytes) -> None:
        """One more row, which is `line` as JSON."""

    def close(self) -> dict[str, Any]:
        """End the file; rows, bytes and checksum."""


class Lines:
    """One JSON object a line."""

    def __init__(self, path: Path, *, compressed: bool = False) -> None:
        self.rows, self._raw = 0, Hashing(path)
        self._stream: IO[bytes] = io.BufferedWriter(self._raw, 256 * 1024)
        if compressed:  # no name and no time: the same rows are the same bytes
            self._stream = gzip.GzipFile("", "wb", 6, self._stream, mtime=0)  # type: ignore[assignment]

    def add(self, row: Row, line: bytes) -> None:
        """One more line."""
        self._stream.write(line + b"\n")
        self.rows += 1

    def close(self) -> dict[str, Any]:
        """End the file."""
        outer = self._stream
        outer.close()
        inner = getattr(outer, "fileobj", None) or getattr(outer, "myfileobj", None)
        if inner is not None:
            inner.close()
        return _summary(self.rows, self._raw)


class Listed:
    """One JSON list, an object a line."""

    def __init__(self, path: Path) -> None:
        self.rows, self._raw = 0, Hashing(path)
        self._stream = io.BufferedWriter(self._raw, 256 * 1024)

    def add(self, row: Row, line: bytes) -> None:
        """One more entry."""
        self._stream.write((b",\n" if self.rows else b"[\n") + line)
        self.rows += 1

    def close(self) -> dict[str, Any]:
        """End the list."""
        self._stream.write(b"\n]\n" if self.rows else b"[]\n")
        self._stream.close()
        return _summary(self.rows, self._raw)


class Parquet:
    """Columns of known types, so that one that is empty has its type, too."""

    def __init__(self, path: Path, columns: Columns) -> None:
        import pyarrow.json
        import pyarrow.parquet

        self.rows, self._raw = 0, Hashing(path)
        self._schema = arrow_schema(columns)
        self._arrow = pyarrow
        self._writer = pyarrow.parquet.ParquetWriter(
            pyarrow.PythonFile(self._raw, mode="w"), self._schema, compression="zstd"
        )
        self._batch: list[bytes] = []
        self._size = 0

    def add(self, row: Row, line: bytes) -> None:
        """One more row; written once a row group is full."""
        self._batch.append(line)
        self._size += len(line)
        self.rows += 1
        if len(self._batch) >= GROUP_ROWS or self._size >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Read from JSON: of rows as Python has them Arrow makes columns only beside pandas, and
        that takes 50 MB."""
        if not self._batch:
            return
        parse = self._arrow.json.ParseOptions(
            explicit_schema=self._schema, unexpected_field_behavior="error"
        )
        read = self._arrow.json.ReadOptions(use_threads=False, block_size=self._size + GROUP_ROWS)
        lines = self._arrow.py_buffer(b"\n".join(self._batch))
        self._batch, self._size = [], 0
        table = self._arrow.json.read_json(self._arrow.BufferReader(lines), read, parse)
        self._writer.write_table(table)

    def close(self) -> dict[str, Any]:
        """End the file."""
        self._flush()
        self._writer.close()
        self._raw.close()
        return _summary(self.rows, self._raw)


def _summary(rows: int, raw: Hashing) -> dict[str, Any]:
    return {"rows": rows, "bytes": raw.size, "sha256": raw.sha.hexdigest()}


def writer(container: str, path: Path, columns: Columns | None) -> Writer:
    """A writer of one file.

    Raises:
        InvalidInput: rows of this format are trees that no table holds.
    """
    if container in TABLES:
        if columns is None:
            raise InvalidInput(f"container: this format has no columns for {container}")
        return Parquet(path, columns)
    return Listed(path) if container == "json" else Lines(path, compressed=container == "jsonl.gz")


def file_name(container: str, split: str) -> str:
    """What the file of a split is called; without a split it is the data."""
    if container == "datasets":
        return f"data/{split or 'train'}-00000-of-00001.parquet"
    return f"{split or 'data'}.{container}"


def arrow_schema(columns: Columns) -> Any:
    """The columns as Arrow has them."""
    import pyarrow

    plain = {
        "string": pyarrow.string(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
    }

    def kind(column: Any) -> Any:
        if isinstance(column, list):
            return pyarrow.list_(kind(column[0]))
        if isinstance(column, dict):
            return pyarrow.struct([(name, kind(one)) for name, one in column.items()])
        return plain[column]

    return pyarrow.schema([(name, kind(column)) for name, column in columns.items()])


def zipped(folder: Path, out: Path) -> dict[str, Any]:
    """The folder as one archive without times: the same files are the same bytes."""
    raw = Hashing(out)
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            about = zipfile.ZipInfo(str(path.relative_to(folder)), (1980, 1, 1, 0, 0, 0))
            about.external_attr = 0o644 << 16
            with archive.open(about, "w", force_zip64=True) as into, path.open("rb") as source:
                while part := source.read(1024 * 1024):
                    into.write(part)
    raw.close()
    return {"bytes": raw.size, "sha256": raw.sha.hexdigest()}


def checked(container: str, columns: bool, default: str) -> str:
    """The container, or the format's usual one.

    Raises:
        InvalidInput: it is not known, or the format's rows do not fit into it.
    """
    container = container or default
    if container not in CONTAINERS:
        listed = ", ".join(CONTAINERS)
        raise InvalidInput(f"container: expected one of {listed}; got {container!r:.40}")
    if container in TABLES and not columns:
        fit = ", ".join(name for name in CONTAINERS if name not in TABLES)
        raise InvalidInput(
            f"container: rows of this format are trees that no table holds; expected one of {fit}"
        )
    return container


def sizes(files: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> int:
    """Bytes of these files together."""
    return sum(int(files[name]["bytes"]) for name in names)
