"""Rows of a file, whatever holds them: JSON Lines, a JSON array, CSV, Parquet. Streamed.

Told by content, not by name. A row that is no row (broken JSON, too many cells) is passed on with
its trouble; a file that cannot be read on ends with `InvalidInput`.
"""

from __future__ import annotations

import csv
import datetime
import json
import math
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import IO, Any

from django.conf import settings

from annotator.errors import InvalidInput
from annotator.importers.base import Source
from annotator.importers.fields import kind_of
from annotator.services.files import BOM, BROKEN, broken, head_of, numbered_lines, unpacked

DELIMITERS = ",\t;|"
DEEPEST = 100  # levels of nesting
PARQUET = b"PAR1"
BATCH = 200  # rows of a Parquet file that are in memory at once
BUFFER = 1 << 20
MOST_COLUMNS = 1000


@dataclass(frozen=True)
class Rows:
    """The rows of a file or a data set.

    Attributes:
        container: What holds them, in words.
        unit: What a position counts: lines of a file, or rows where there are no lines.
        rows: One by one.
    """

    container: str
    unit: str
    rows: Iterator[Source]


def open_rows(stream: IO[bytes]) -> Rows:
    """The rows of a file.

    Raises:
        InvalidInput: it is none of those that can be read; also while the rows are read.
    """
    longest = 40 * settings.MAX_FIELD_CHARS
    reader = unpacked(stream)
    head = head_of(reader)
    if head.startswith(PARQUET):
        return Rows("Parquet", "row", _parquet(reader, packed=reader is not stream))
    start = head.removeprefix(BOM).lstrip()[:1]
    if start == b"[":
        return Rows("JSON array", "row", _array(reader, longest))
    if start in (b"{", b""):
        return Rows("JSON Lines", "line", _lines(reader, longest))
    return Rows("CSV", "line", _csv(reader, longest))


# --- JSON -----------------------------------------------------------------------------------


def _lines(reader: IO[bytes], longest: int) -> Iterator[Source]:
    for number, text in numbered_lines(reader, longest_line=longest):
        if not text.strip():
            continue
        try:
            value = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            said = f"expected a JSON object on one line; {error}"
            yield Source(number, None, text, trouble=said)
        else:
            yield sound(Source(number, value, text))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


class _Counted:
    """A file that refuses to be read on when one element takes too much of it."""

    def __init__(self, reader: IO[bytes], longest: int) -> None:
        self.reader, self.longest, self.since, self.row = reader, longest, 0, 1
        if reader.read(len(BOM)) != BOM:
            reader.seek(0)

    def read(self, size: int) -> bytes:
        """As files do."""
        try:
            data = self.reader.read(size)
        except BROKEN as error:
            raise broken(self.row, error, unit="row") from error
        self.since += len(data)
        if self.since > self.longest + 2 * size:
            raise InvalidInput(f"row {self.row}: longer than {self.longest:,} bytes")
        return data

    def next(self) -> None:
        """An element is complete."""
        self.since, self.row = 0, self.row + 1


def _array(reader: IO[bytes], longest: int) -> Iterator[Source]:
    import ijson

    counted = _Counted(reader, longest)
    values = ijson.items(counted, "item", use_float=True)
    while True:
        try:
            value = next(values)
        except StopIteration:
            return
        except (ijson.JSONError, ValueError, RecursionError) as error:
            said = " ".join(str(error).split())[:200]
            raise InvalidInput(
                f"row {counted.row}: expected a JSON array of objects; {said}"
            ) from error
        yield sound(Source(counted.row, value))
        counted.next()


# --- CSV ------------------------------------------------------------------------------------


def _csv(reader: IO[bytes], longest: int) -> Iterator[Source]:
    csv.field_size_limit(longest)
    texts = (text for _, text in numbered_lines(reader, longest_line=longest))
    first = next(texts)
    table = csv.reader(_after(first, texts), delimiter=_delimiter(first), strict=True)
    names: list[str] | None = None
    while True:
        line = table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidInput(f"line {line}: expected CSV; {error}") from error
        if not cells:
            continue
        if names is None:
            names = _header(cells, line)
        else:
            yield sound(_record(line, names, cells))


def _after(first: str, others: Iterator[str]) -> Iterator[str]:
    yield first
    yield from others


def _delimiter(first: str) -> str:
    """The one that gives the most columns in the first line."""
    try:
        return max(DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign))))
    except csv.Error as error:  # a carriage return in the middle of it
        raise InvalidInput(f"line 1: expected CSV; {error}") from error


def _header(cells: list[str], line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    if len(names) > MOST_COLUMNS:
        raise InvalidInput(f"line {line}: has {len(names):,} columns; expected names of columns")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InvalidInput(f"line {line}: the column {twice!r:.40} is there twice")
    return names


def _record(line: int, names: list[str], cells: list[str]) -> Source:
    if len(cells) != len(names):
        text = json.dumps(cells, ensure_ascii=False)
        said = f"expected {len(names)} cells, as the first line has, got {len(cells)}"
        return Source(line, None, text, trouble=said)
    return Source(line, dict(zip(names, cells, strict=True)))


# --- Parquet --------------------------------------------------------------------------------


def _parquet(reader: IO[bytes], *, packed: bool) -> Iterator[Source]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as spool:
        if packed:  # it is read from its end
            reader = _spooled(reader, spool)
        number = 0
        try:
            file = pq.ParquetFile(reader, pre_buffer=False, buffer_size=BUFFER)
            for batch in file.iter_batches(batch_size=BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield plain_row(number, value)
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            said = " ".join(str(error).split())[:200]
            raise InvalidInput(f"row {number + 1}: expected a Parquet file; {said}") from error


def _spooled(reader: IO[bytes], spool: IO[bytes]) -> IO[bytes]:
    try:
        while chunk := reader.read(BUFFER):
            spool.write(chunk)
            if spool.tell() > settings.MAX_UPLOAD_BYTES:
                raise InvalidInput(
                    f"more than {settings.MAX_UPLOAD_BYTES:,} bytes of Parquet in gzip; "
                    "expected the Parquet file itself, which is compressed already"
                )
    except BROKEN as error:
        raise broken(1, error, unit="row") from error
    spool.seek(0)
    return spool


# --- typed values ---------------------------------------------------------------------------

PLAIN: dict[type, Callable[[Any], Any]] = {
    datetime.datetime: lambda value: value.isoformat(),
    datetime.date: lambda value: value.isoformat(),
    datetime.time: lambda value: value.isoformat(),
    datetime.timedelta: lambda value: value.total_seconds(),
    Decimal: lambda value: int(value) if value == value.to_integral_value() else float(value),
    uuid.UUID: str,
}


class _Binary(Exception):
    """A value that JSON has no word for."""


def plain_row(number: int, value: Any) -> Source:
    """A row of typed values as JSON has them: moments as text, NaN as null."""
    try:
        return sound(Source(number, _plain(value)))
    except _Binary as error:
        return Source(number, None, repr(value)[:10_000], trouble=str(error))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value  # what pandas writes where nothing is
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    for kind, convert in PLAIN.items():
        if isinstance(value, kind):
            return convert(value)
    raise _Binary(f"holds {type(value).__name__}; expected text, numbers, lists or objects")


# --- what cannot be stored ------------------------------------------------------------------


def sound(source: Source) -> Source:
    """The row, or the row with what is wrong with it."""
    if source.trouble:
        return source
    if not isinstance(source.value, dict):
        return replace(source, trouble=f"expected a JSON object, got {kind_of(source.value)}")
    trouble = _unstorable(source.value)
    return replace(source, trouble=trouble) if trouble else source


def _unstorable(row: Any) -> str:
    """What JSON can say and no database text can hold; looked for without recursion."""
    stack: list[tuple[Any, int]] = [(row, 1)]
    while stack:
        value, depth = stack.pop()
        if depth > DEEPEST:
            return f"is nested more than {DEEPEST} levels deep"
        if isinstance(value, str):
            if "\0" in value:
                return "contains the NUL character, which cannot be stored"
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                return "contains half of a surrogate pair, which is not text"
        elif isinstance(value, dict):
            stack += [(part, depth + 1) for part in (*value.keys(), *value.values())]
        elif isinstance(value, list):
            stack += [(part, depth + 1) for part in value]
        elif isinstance(value, float) and not math.isfinite(value):
            return "has a number that is too large"
    return ""
