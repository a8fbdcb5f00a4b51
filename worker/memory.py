"""What acquisition functions remember from round to round, such as a neighbour graph.

A cache: a file that is gone, damaged or of another release is forgotten. Arrays, plain values,
tuples of these and the library's own dataclasses are kept, everything else is not; nothing is
ever executed to read it.
"""

from __future__ import annotations

import importlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning.errors import LearningError
from worker import arrays
from worker.arrays import Arrays

logger = logging.getLogger(__name__)
OURS = "learning."
_LAYOUT = "layout"


def _path(campaign_id: int) -> Path:
    return arrays.path_of(f"campaign-{campaign_id}-memory")


@contextmanager
def kept(campaign_id: int) -> Iterator[dict[str, Any]]:
    """What is remembered; what changes meanwhile is kept."""
    memory = load(campaign_id)
    before = dict(memory)
    yield memory
    if any(memory[name] is not before.get(name) for name in memory):
        save(campaign_id, memory)


def load(campaign_id: int) -> dict[str, Any]:
    """What was kept; nothing when there is no file, or none of this release."""
    stored = arrays.read(_path(campaign_id))
    try:
        layout = json.loads(bytes(stored[_LAYOUT]).decode()) if stored else {}
        return {name: _decode(node, stored) for name, node in layout.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ImportError, LearningError) as error:
        logger.warning("%s is forgotten: %s", _path(campaign_id).name, error)
        return {}


def save(campaign_id: int, memory: Mapping[str, Any]) -> None:
    """Keep what can be kept."""
    found: Arrays = {}
    layout = {}
    for name, value in memory.items():
        try:
            layout[name] = _encode(value, found)
        except TypeError as error:
            logger.info("%s is not kept: %s", name, error)
    found[_LAYOUT] = np.frombuffer(json.dumps(layout).encode(), np.uint8)
    arrays.save(_path(campaign_id), found)


def _encode(value: Any, kept: Arrays) -> Any:
    if isinstance(value, np.ndarray) and value.dtype != object:
        name = f"a{len(kept)}"
        kept[name] = value
        return {"array": name}
    if is_dataclass(value) and type(value).__module__.startswith(OURS):
        inside = {
            item.name: _encode(getattr(value, item.name), kept)
            for item in fields(value)
            if item.init
        }
        return {"of": [type(value).__module__, type(value).__qualname__], "fields": inside}
    if isinstance(value, tuple):
        return {"tuple": [_encode(item, kept) for item in value]}
    if value is None or isinstance(value, str | bool | int | float):
        return {"value": value}
    raise TypeError(f"{type(value).__name__} cannot be kept")


def _decode(node: Any, kept: Arrays) -> Any:
    if "array" in node:
        return kept[node["array"]]
    if "tuple" in node:
        return tuple(_decode(item, kept) for item in node["tuple"])
    if "value" in node:
        return node["value"]
    module, name = node["of"]
    kind = getattr(importlib.import_module(module), name) if module.startswith(OURS) else None
    if not (isinstance(kind, type) and is_dataclass(kind)):
        raise ValueError(f"{module}.{name} is not one of the library's dataclasses")
    return kind(**{key: _decode(item, kept) for key, item in node["fields"].items()})
