"""Rows on their way to the site: from files or from what a script makes, as a stream."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from tiebreak.client.progress import Tell

SPOOL = 8_000_000  # bytes that are kept in memory; the rest goes to a file
Source = str | Path | Iterable[Mapping[str, Any]]


@contextmanager
def opened(source: Source) -> Iterator[tuple[IO[bytes], int]]:
    """JSON Lines and how many bytes they are.

    Args:
        source: A file of JSON Lines, also compressed (`.gz`), or rows.
    """
    if isinstance(source, str | Path) and not str(source).endswith(".gz"):
        with Path(source).open("rb") as file:
            yield file, os.fstat(file.fileno()).st_size
        return
    with tempfile.SpooledTemporaryFile(max_size=SPOOL) as spool:
        if isinstance(source, str | Path):
            with gzip.open(source, "rb") as packed:
                shutil.copyfileobj(packed, spool)
        else:
            for row in source:
                spool.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        size = spool.tell()
        spool.seek(0)
        yield cast(IO[bytes], spool), size


class Watched(io.RawIOBase):
    """A file that tells how far it was read."""

    def __init__(self, file: IO[bytes], size: int, tell: Tell) -> None:
        self._file, self._size, self._tell = file, size, tell

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes: what is sent again is read again."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        block = self._file.read(size)
        self._tell(self._file.tell(), self._size)
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go somewhere."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where it is."""
        return self._file.tell()
