"""Files that are there whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from learning.errors import ConfigError


@contextmanager
def whole(path: Path, *, aside: Path | None = None) -> Iterator[TextIO]:
    """Open a text file that takes its place when all of it is written; ``.gz`` is compressed.

    Args:
        path: The place.
        aside: Where it is written, on the same disk; beside its place unless given.

    Raises:
        ConfigError: there is no such folder, or it cannot be written to.
    """
    aside = aside or path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(aside, "wt", encoding="utf-8", newline="\n") as file:
            yield file
        with aside.open("rb+") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        aside.unlink(missing_ok=True)


def line(row: Mapping[str, Any]) -> str:
    """Return one row of JSON Lines; half an emoji stays what it was, as an escape."""
    text = json.dumps(row, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(row, allow_nan=False)
    return text + "\n"


def with_meta(row: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Return an item with something more in its ``meta``; what else stands there stays."""
    kept = row.get("meta")
    return {**row, "meta": {**(kept if isinstance(kept, dict) else {}), name: value}}
