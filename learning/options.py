"""Options of a function as a frozen dataclass that a form can show and JSON can fill."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Final

from learning.errors import ConfigError

_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
}


def option(
    default: Any,
    help: str,  # noqa: A002 - the word that forms use
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """Declare one option of a configuration dataclass.

    Args:
        default: Its value when nothing is given.
        help: One sentence for a researcher.
        low: Smallest value allowed.
        high: Largest value allowed.
        choices: The values allowed, for words.
    """
    about = {"help": help, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=about)


def read(kind: type[Any], given: Mapping[str, Any] | None, owner: str) -> Any:
    """Build a configuration from plain JSON values, missing ones at their defaults.

    Args:
        kind: Dataclass whose fields are made by :func:`option`.
        given: The values.
        owner: Whose options they are, for messages.

    Raises:
        ConfigError: an option is unknown, of the wrong type or out of range.
    """
    known = {item.name: item for item in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in dict(given or {}).items():
        if name not in known:
            there_are = ", ".join(sorted(known)) or "none"
            raise ConfigError(f"{owner} has no option {name!r}; it has: {there_are}")
        item = known[name]
        values[name] = _checked(value, _kind(item), item.metadata, f"{owner}.{name}")
    return kind(**values)


def describe(kind: type[Any]) -> list[dict[str, Any]]:
    """Return the options as plain values: name, kind, default, help, low, high, choices."""
    return [
        {
            "name": item.name,
            "kind": _kind(item),
            "default": item.default,
            "help": item.metadata["help"],
            "low": item.metadata["low"],
            "high": item.metadata["high"],
            "choices": list(item.metadata["choices"] or ()) or None,
        }
        for item in fields(kind)
    ]


def _kind(item: Any) -> str:
    return item.type if isinstance(item.type, str) else str(item.type.__name__)


def _checked(value: Any, kind: str, about: Mapping[str, Any], where: str) -> Any:
    a_switch = isinstance(value, bool) and kind != "bool"  # True is an int to Python
    if a_switch or not isinstance(value, _KINDS[kind]):
        raise ConfigError(f"{where} must be {kind}, got {value!r}")
    if kind == "float":
        value = _float(value)
    low, high, choices = about["low"], about["high"], about["choices"]
    if choices and value not in choices:
        raise ConfigError(f"{where} must be one of {', '.join(choices)}, got {value!r}")
    # "not (a <= b)" rather than "a > b": NaN is out of every range.
    if low is not None and not value >= low:
        raise ConfigError(f"{where} must be at least {low}, got {value}")
    if high is not None and not value <= high:
        raise ConfigError(f"{where} must be at most {high}, got {value}")
    if kind == "float" and not math.isfinite(value):
        raise ConfigError(f"{where} must be finite, got {value}")  # JSON cannot hold it either
    return value


def _float(value: Any) -> float:
    """Return a float; a whole number that no float can hold is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
