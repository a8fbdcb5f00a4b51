"""What the campaign form offers of the learning side, which this side may not import.

`catalogue.json` beside this file is written by the learning side:

    python -m learning catalogue --out annotator/catalogue.json

A test compares the file with what is registered there, and what `normalised` says of bad options
with what the learning side would say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("catalogue.json")
DEFAULT_ACQUISITION = "dopt"
DEFAULT_ROUTING = "learned"
AUTO_HEAD = "auto"
KINDS: dict[str, tuple[type, ...]] = {
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "str": (str,),
}


class Refused(ValueError):
    """A function or an option cannot be used; `option` names it when it is one that there is."""

    def __init__(self, message: str, *, option: str = "") -> None:
        self.option = option
        super().__init__(message)


@dataclass(frozen=True)
class Option:
    """One option of a function, as a form shows it."""

    name: str
    kind: str  # int, float, bool, str
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """Its name in words."""
        return self.name.replace("_", " ")

    @property
    def range(self) -> str:
        """The values allowed, in words; empty when the kind says it all."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return "" if self.high is None else f"at most {self.high:g}"

    def checked(self, value: Any, owner: str) -> Any:
        """The value in its own type.

        Raises:
            Refused: of another type, or out of range.
        """
        if problem := self.problem(value):
            raise Refused(f"{owner}.{self.name} {problem}", option=self.name)
        return _float(value) if self.kind == "float" else value

    def problem(self, value: Any) -> str:
        """What is wrong with a value, in the words of `learning.options`; empty when nothing is."""
        if type(value) not in KINDS[self.kind]:  # isinstance would take True for an int
            return f"must be {self.kind}, got {value!r}"
        if self.kind == "float":
            value = _float(value)
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, got {value!r}"
        # "not (a <= b)" rather than "a > b": NaN is out of every range.
        if self.low is not None and not value >= self.low:
            return f"must be at least {self.low}, got {value}"
        if self.high is not None and not value <= self.high:
            return f"must be at most {self.high}, got {value}"
        if self.kind == "float" and not math.isfinite(value):
            return f"must be finite, got {value}"
        return ""


@dataclass(frozen=True)
class Acquisition:
    """One acquisition function as a researcher sees it."""

    name: str
    summary: str
    diagnostic: bool
    common: bool  # the common options apply to it
    options: tuple[Option, ...] = field(default=())


@dataclass(frozen=True)
class Head:
    """One head as a researcher sees it."""

    name: str
    summary: str


@dataclass(frozen=True)
class Routing:
    """One routing policy as a researcher sees it."""

    name: str
    summary: str
    options: tuple[Option, ...] = field(default=())


def _float(value: float) -> float:
    """As a float; a whole number that no float can hold is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _option(said: Mapping[str, Any]) -> Option:
    choices = tuple(said["choices"]) if said["choices"] else None
    return Option(**{**said, "choices": choices})


_SAID: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
ACQUISITIONS: dict[str, Acquisition] = {
    entry["name"]: Acquisition(**{**entry, "options": tuple(map(_option, entry["options"]))})
    for entry in _SAID["acquisition"]
}
COMMON: tuple[Option, ...] = tuple(map(_option, _SAID["common"]))
HEADS: dict[str, Head] = {entry["name"]: Head(**entry) for entry in _SAID["heads"]}
ROUTINGS: dict[str, Routing] = {
    entry["name"]: Routing(**{**entry, "options": tuple(map(_option, entry["options"]))})
    for entry in _SAID["routing"]
}
FEWEST_MEMBERS = 4  # of an ensemble, where there is one: fewer cannot be put to scale
# What a person chooses of a fine-tuning; the rest is the worker's, or has a field of its own.
NOT_ASKED = ("method", "threads", "checkpoint_seconds")
FINETUNING: tuple[Option, ...] = tuple(
    _option(said) for said in _SAID["finetuning"] if said["name"] not in NOT_ASKED
)
AUTO = Head(
    AUTO_HEAD,
    "Chooses by the pool: a head with item effects where responses recur in many pairs, the "
    "linear head otherwise. Right unless you want to compare heads.",
)


def options_of(name: str) -> tuple[tuple[Option, ...], tuple[Option, ...]]:
    """A function's own options and the common ones; its own hide common ones of the same name.

    Raises:
        Refused: there is no such function.
    """
    if name not in ACQUISITIONS:
        known = ", ".join(sorted(ACQUISITIONS))
        raise Refused(f"unknown acquisition {name!r}; there are {known}")
    entry = ACQUISITIONS[name]
    own = {option.name for option in entry.options}
    shared = tuple(option for option in COMMON if option.name not in own)
    return entry.options, shared if entry.common else ()


def normalised(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a function that differ from their defaults, checked, in their own types.

    Raises:
        Refused: there is no such function or option, or a value is of the wrong type or out of
            range.
    """
    own, shared = ({option.name: option for option in part} for part in options_of(name))
    return _normalised(name, given, own, shared)


def normalised_routing(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the options of a routing policy.

    Raises:
        Refused: there is no such policy or option, or a value cannot be.
    """
    if name not in ROUTINGS:
        raise Refused(f"unknown routing {name!r}; there are {', '.join(sorted(ROUTINGS))}")
    return _normalised(name, given, {option.name: option for option in ROUTINGS[name].options}, {})


def normalised_finetuning(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same for the options of a fine-tuning.

    Raises:
        Refused: there is no such option, or a value cannot be.
    """
    found = _normalised("finetuning", given, {option.name: option for option in FINETUNING}, {})
    if 0 < (members := found.get("members", 0)) < FEWEST_MEMBERS:
        said = f"finetuning.members must be 0 or at least {FEWEST_MEMBERS}, got {members}"
        raise Refused(said, option="members")
    return found


def _normalised(
    name: str, given: Mapping[str, Any], own: Mapping[str, Option], shared: Mapping[str, Option]
) -> dict[str, Any]:
    there = {**own, **shared}
    if unknown := sorted(given.keys() - there.keys()):
        listed = ", ".join(sorted(there)) or "none"
        raise Refused(f"{name} has no option {unknown[0]!r}; it has: {listed}")
    ordered = [*(key for key in given if key in own), *(key for key in given if key in shared)]
    values = {key: there[key].checked(given[key], name) for key in ordered}
    return {key: value for key, value in values.items() if value != there[key].default}
