"""Opening what people hand us: plain or gzipped JSON Lines, line by line, with clear refusals."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from annotator.errors import InvalidInput

GZIP = b"\x1f\x8b"
# Other things that people pick by mistake, by their first bytes.
FOREIGN = {
    b"PK\x03\x04": "a ZIP archive (or spreadsheet)",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"(\xb5/\xfd": "a Zstandard archive",
}


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading.

    Raises:
        InvalidInput: it does not exist, is a folder, or cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error


def numbered_lines(stream: BinaryIO, *, longest_line: int) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text) of every line that is not blank; memory of one line.

    Raises:
        InvalidInput: not JSON Lines at all, broken gzip, not UTF-8, or a line over the limit.
    """
    head = stream.read(6)
    stream.seek(0)
    _refuse_foreign(head)
    # Not through a buffer of our own: it would close the caller's stream when it is collected.
    reader = gzip.GzipFile(fileobj=stream) if head[:2] == GZIP else stream
    number = 0
    while True:
        number += 1
        try:
            raw = reader.readline(longest_line + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InvalidInput(
                f"line {number}: the gzip stream is broken here ({error})"
            ) from error
        if not raw:
            return
        if len(raw) > longest_line:
            raise InvalidInput(
                f"line {number}: longer than {longest_line:,} bytes; "
                "expected one JSON object a line"
            )
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"line {number}: expected UTF-8 text, got byte {raw[error.start]:#04x} "
                f"at position {error.start}"
            ) from error
        if text.strip():
            yield number, text


def _refuse_foreign(head: bytes) -> None:
    for magic, name in FOREIGN.items():
        if head.startswith(magic):
            raise InvalidInput(
                f"this is {name}; expected JSON Lines (one object a line), plain or gzipped"
            )
