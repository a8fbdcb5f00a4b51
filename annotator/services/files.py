"""Opening what people hand us: unpacked, and line by line in UTF-8, with clear refusals."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from annotator.errors import InvalidInput

GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"
# Other things that people pick by mistake, by their first bytes.
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (or spreadsheet)",
    b"%PDF": "a PDF",
    b"PARE": "an encrypted Parquet file",
    b"\x89PNG": "a picture",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"(\xb5/\xfd": "a Zstandard archive",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
    GZIP: "a gzip archive in another one",
}
EXPECTED = "JSON Lines, a JSON array, CSV or Parquet, plain or gzipped"
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        InvalidInput: it does not exist, is a folder, or cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def unpacked(stream: IO[bytes]) -> IO[bytes]:
    """The file without its gzip; the caller's stream stays open when this one is collected."""
    stream.seek(0)
    head = stream.read(2)
    stream.seek(0)
    if head != GZIP:
        return stream
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream))


def head_of(reader: IO[bytes], size: int = 4096) -> bytes:
    """The first bytes, to tell what it is.

    Raises:
        InvalidInput: broken gzip, or a file that is none of those that can be read.
    """
    try:
        head = reader.read(size)
        reader.seek(0)
    except BROKEN as error:
        raise broken(1, error) from error
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise InvalidInput(f"this is {name}; expected {EXPECTED}")
    return head


def broken(number: int, error: Exception, *, unit: str = "line") -> InvalidInput:
    """A gzip stream that ends too early or is none."""
    return InvalidInput(f"{unit} {number}: the gzip stream is broken here ({error})")


def numbered_lines(reader: IO[bytes], *, longest_line: int) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text) of every line; memory of one line.

    Raises:
        InvalidInput: broken gzip, not UTF-8, or a line over the limit.
    """
    number = 0
    while True:
        number += 1
        try:
            raw = reader.readline(longest_line + 1)
        except BROKEN as error:
            raise broken(number, error) from error
        if not raw:
            return
        if len(raw) > longest_line:
            raise InvalidInput(
                f"line {number}: longer than {longest_line:,} bytes; expected one row a line"
            )
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"line {number}: expected UTF-8 text, got byte {raw[error.start]:#04x} "
                f"at position {error.start}"
            ) from error
        yield number, text
