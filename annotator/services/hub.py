"""Data sets of the Hugging Face hub by name, streamed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annotator.errors import InvalidInput
from annotator.importers.base import Source
from annotator.services.rows import Rows, plain_row

PREFIX = "hf:"
NAME = re.compile(
    r"hf:(?P<name>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<config>[\w.-]*))?(?::(?P<split>\w+))?"
)
TRUE = {"1", "ON", "YES", "TRUE"}


def is_hub_name(name: str) -> bool:
    """Whether this names a data set and no file."""
    return name.startswith(PREFIX)


def check_hub_name(name: str) -> re.Match[str]:
    """The parts of `hf:OWNER/NAME[:CONFIG][:SPLIT]`.

    Raises:
        InvalidInput: it is written otherwise.
    """
    match = NAME.fullmatch(name.strip())
    if match is None or ".." in name or Path(match["name"]).exists():  # no folder of this machine
        raise InvalidInput(f"{name!r:.100}: expected hf:OWNER/NAME[:CONFIG][:SPLIT]")
    return match


def hub_rows(name: str) -> Rows:
    """The rows of a data set.

    Raises:
        InvalidInput: no such data set, configuration or split; the hub cannot be reached; also
            while the rows are read.
    """
    match = check_hub_name(name)
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE:
        raise InvalidInput(
            f"{name}: HF_HUB_OFFLINE is set, so nothing is fetched by name; expected a file that "
            "was downloaded elsewhere"
        )
    return open_data_set(match["name"], match["config"] or None, match["split"] or "", shown=name)


def open_data_set(path: str, config: str | None, split: str, *, shown: str) -> Rows:
    """The rows of what the library `datasets` can load, without keeping them."""
    try:
        import datasets
    except ImportError as error:
        raise InvalidInput(
            f"{shown}: needs the library datasets; expected pip install 'tiebreak[hub]'"
        ) from error
    try:
        parts = datasets.load_dataset(path, config, streaming=True)
    except Exception as error:  # its own tree, the hub's, and those of every HTTP client
        raise _refused(shown, error) from error
    known = list(parts)
    split = split or ("train" if "train" in known else known[0])
    if split not in known:
        raise InvalidInput(f"{shown}: expected one of the splits {', '.join(known)}; got {split!r}")
    return Rows(f"data set, split {split}", "row", _rows(parts[split], shown))


def _rows(values: Any, shown: str) -> Iterator[Source]:
    number = 0
    given = iter(values)
    while True:
        try:
            value = next(given)
        except StopIteration:
            return
        except Exception as error:  # the network may go at any time
            raise _refused(f"{shown}, row {number + 1}", error) from error
        number += 1
        yield plain_row(number, value)


def _refused(shown: str, error: Exception) -> InvalidInput:
    said = " ".join(str(error).split())[:300]
    return InvalidInput(
        f"{shown}: could not be read from the hub ({type(error).__name__}: {said}); expected a "
        "public data set, or one that HF_TOKEN may read, and a hub that can be reached"
    )
