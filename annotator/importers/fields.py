"""Fields of foreign rows, and how a row says that one of them does not fit."""

from __future__ import annotations

from typing import Any

from annotator.importers.base import Misfit, Raw


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    if isinstance(value, str):
        return f"text {value!r:.40}"
    names = {dict: "an object", list: "a list", bool: "true/false", type(None): "null"}
    return names.get(type(value), "a number")


def expected(name: str, what: str, value: Any) -> Misfit:
    """A field that holds something else."""
    return Misfit(name, f"expected {what}, got {kind_of(value)}")


def missing(name: str, what: str) -> Misfit:
    """A field that is not there."""
    return Misfit(name, f"is missing; expected {what}")


def get(row: Raw, name: str, what: str, at: str = "") -> Any:
    """A field that must be there; `at` is where the row is, with a dot at its end."""
    if name not in row:
        raise missing(at + name, what)
    return row[name]


def text(row: Raw, name: str, at: str = "") -> str:
    """A field that is text."""
    value = get(row, name, "text", at)
    if not isinstance(value, str):
        raise expected(at + name, "text", value)
    return value


def optional_text(row: Raw, name: str, at: str = "") -> str:
    """A field that is text, empty or not there."""
    return "" if row.get(name) is None else text(row, name, at)


def number(value: Any, name: str, low: float, high: float) -> float:
    """A number within bounds; tables hold numbers as text."""
    what = f"a number from {low:g} to {high:g}"
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            raise Misfit(name, f"expected {what}, got {kind_of(value)}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise expected(name, what, value)
    if not low <= value <= high:
        raise Misfit(name, f"expected {what}, got {value!r:.20}")
    return value


YES, NO = ("true", "1", "yes", "1.0"), ("false", "0", "no", "0.0", "")


def switch(value: Any, name: str) -> bool:
    """True or false; tables hold it as text or as a number."""
    if isinstance(value, bool):
        return value
    said = str(value).strip().lower() if isinstance(value, str | int | float) else None
    if said not in YES + NO:
        raise expected(name, "true or false", value)
    return said in YES


def listed(value: Any, name: str, what: str = "a list") -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise expected(name, what, value)
    return value


def mapped(value: Any, name: str) -> dict[str, Any]:
    """An object."""
    if not isinstance(value, dict):
        raise expected(name, "an object", value)
    return value


def rest(row: Raw, *used: str) -> dict[str, Any]:
    """What else a row says: it goes into `meta`."""
    said = {key: value for key, value in row.items() if key not in used}
    return {key: value for key, value in said.items() if value not in (None, "", [], {})}
