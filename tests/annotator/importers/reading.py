"""Reading rows of a format in tests."""

from __future__ import annotations

import copy
from typing import Any

from annotator.importers import IMPORTERS
from annotator.importers.base import Native, Reading, Source, Unit
from tests.foreign import SAMPLES

Row = dict[str, Any]


def units(name: str, rows: list[Row], **how: Any) -> list[Unit]:
    sources = (Source(n, row) for n, row in enumerate(copy.deepcopy(rows), start=1))
    return list(IMPORTERS[name].convert(sources, Reading(**how)))


def natives(name: str, rows: list[Row] | None = None, **how: Any) -> list[Native]:
    found = units(name, SAMPLES[name] if rows is None else rows, **how)
    assert [unit.misfit for unit in found if unit.misfit] == []
    return [made.native for unit in found for made in unit.made]


def misfit(name: str, row: Row, **how: Any) -> str:
    (unit,) = units(name, [row], **how)
    assert unit.misfit is not None
    return str(unit.misfit[1])


def texts(native: Native) -> list[str]:
    return [response["text"] for response in native["responses"]]


def winner(native: Native, number: int = 0) -> str:
    """The text that an annotation prefers."""
    choice = native["annotations"][number]["choice"]
    return choice if isinstance(choice, str) else texts(native)[choice]
