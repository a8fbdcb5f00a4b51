"""What an importer is, and what all of them share. Pure; touches no database.

An importer turns rows of a foreign format into rows of the native schema, which are then checked
and stored like any others. Whatever does not fit is named by the foreign line and field.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Raw = Mapping[str, Any]
Native = dict[str, Any]
Turn = dict[str, str]
T = TypeVar("T")

# What our own exports to other tools call an answer. Where it stands, strength is from 1 to 3.
OUTCOMES = ("preference", "tie", "neither", "other", "skip", "flag")
STRONGEST = 3
ROLES = ("system", "user", "assistant", "tool")
MOST_RESPONSES = 10
MOST_HELD = 32_000_000  # characters of rows that wait for others of their group


class Misfit(Exception):
    """A row does not say what its format says: the foreign field, and what was expected."""

    def __init__(self, field: str, message: str) -> None:
        self.field, self.message = field, message
        super().__init__(f"{field}: {message}")


@dataclass(frozen=True)
class Source:
    """One row as it came.

    Attributes:
        line: Its line in the file, or its number where there are no lines.
        value: Its fields.
        text: Its text, where the file has one for each row.
        trouble: Why it is no row at all.
    """

    line: int
    value: Any
    text: str = ""
    trouble: str = ""

    @property
    def written(self) -> str:
        """As JSON, the way it came where it came as text."""
        return self.text.strip() or json.dumps(self.value, ensure_ascii=False)


@dataclass(frozen=True)
class Made:
    """A native row, and how its fields are called in the file."""

    native: Native
    names: Mapping[str, str] = field(default_factory=dict)

    def foreign(self, name: str) -> str:
        """The file's name of a native field; the longest beginning that is known counts."""
        known = max((key for key in self.names if _begins(name, key)), key=len, default=None)
        return name if known is None else self.names[known] + name[len(known) :]


def _begins(name: str, key: str) -> bool:
    return name == key or (name.startswith(key) and name[len(key)] in ".[")


@dataclass(frozen=True)
class Unit:
    """Rows that stand or fall together: what some neighbouring source rows say.

    Attributes:
        sources: Where it comes from; problems are reported at the first unless they name another.
        made: What is to be stored; nothing where nothing can be asked about.
        misfit: Why it cannot be used, and the source that is to blame.
    """

    sources: Sequence[Source]
    made: Sequence[Made] = ()
    misfit: tuple[Source, Misfit] | None = None


@dataclass(frozen=True)
class Reading:
    """How a file is to be read.

    Attributes:
        columns: What the native fields are called in the file, where a person says so.
        llm: Name of the model that gave the answers, where the format does not say who did.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    llm: str = ""

    @property
    def who(self) -> dict[str, Any]:
        """Annotator and kind of an answer whose author the format does not name."""
        return {"annotator": self.llm or None, "kind": "llm" if self.llm else "human"}


Convert = Callable[[Iterator[Source], Reading], Iterator[Unit]]


@dataclass(frozen=True)
class Importer:
    """One format.

    Attributes:
        name: As it is written on the command line.
        title: As it is shown.
        about: What it reads, and what becomes of what; one paragraph.
        recognises: Whether one row looks like it.
        convert: Source rows to units, in order and with bounded memory.
        strength_max: The strength that means "much better", where the format fixes it.
    """

    name: str
    title: str
    about: str
    recognises: Callable[[Raw], bool]
    convert: Convert
    strength_max: float | None = None


# --- one row after another, and neighbours --------------------------------------------------


def one_by_one(convert: Callable[[Raw, Reading], Made | Sequence[Made]]) -> Convert:
    """An importer's `convert` of a function that needs one row at a time."""

    def units(rows: Iterator[Source], how: Reading) -> Iterator[Unit]:
        for source in rows:
            try:
                made = convert(source.value, how)
            except Misfit as misfit:
                yield Unit([source], misfit=(source, misfit))
            else:
                yield Unit([source], [made] if isinstance(made, Made) else made)

    return units


def in_groups(
    key: Callable[[Raw], Any],
    convert: Callable[[Sequence[Source], Reading], Iterable[Made]],
    *,
    apart: int = 0,
    most: int = MOST_RESPONSES,
) -> Convert:
    """An importer's `convert` where rows belong together that have the same key.

    Args:
        key: What they have in common; hashable. A `Misfit` refuses the row.
        convert: A group to native rows. A `Misfit` refuses the group.
        apart: How many other groups may lie between two rows of one; fewer where they are long.
        most: Rows of a group; the next one begins another.
    """

    def units(rows: Iterator[Source], how: Reading) -> Iterator[Unit]:
        waiting: OrderedDict[Any, list[Source]] = OrderedDict()
        held = 0
        for source in rows:
            try:
                name = key(source.value)
            except Misfit as misfit:
                yield Unit([source], misfit=(source, misfit))
                continue
            waiting.setdefault(name, []).append(source)
            held += len(source.written)
            while (
                len(waiting) > apart + 1 or held > MOST_HELD or len(waiting.get(name, ())) == most
            ):
                full = len(waiting.get(name, ())) == most
                group = waiting.pop(name) if full else waiting.popitem(last=False)[1]
                held -= sum(len(one.written) for one in group)
                yield _unit(group, convert, how)
        while waiting:
            yield _unit(waiting.popitem(last=False)[1], convert, how)

    return units


class InSource(Misfit):
    """A misfit of one row of a group."""

    def __init__(self, source: Source, misfit: Misfit) -> None:
        self.source = source
        super().__init__(misfit.field, misfit.message)


def each(sources: Sequence[Source], read: Callable[[Raw], T]) -> list[T]:
    """What a function reads in each row of a group.

    Raises:
        InSource: naming the row that does not fit.
    """
    found = []
    for source in sources:
        try:
            found.append(read(source.value))
        except Misfit as misfit:
            raise InSource(source, misfit) from misfit
    return found


def _unit(
    sources: list[Source],
    convert: Callable[[Sequence[Source], Reading], Iterable[Made]],
    how: Reading,
) -> Unit:
    try:
        return Unit(sources, list(convert(sources, how)))
    except InSource as misfit:
        return Unit(sources, misfit=(misfit.source, misfit))
    except Misfit as misfit:
        return Unit(sources, misfit=(sources[0], misfit))


# --- native rows ----------------------------------------------------------------------------


def digest(value: Any) -> str:
    """Content address of JSON data: 128 bits of SHA-256 over the canonical form."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def finished(native: Native, name: str, names: Mapping[str, str]) -> Made:
    """Without what says nothing, and with an id from the content where the format has none.

    The same content gives the same id, whoever judged it: a repeated import is recognised, and
    several judgements of one pair come together.
    """
    row = {key: value for key, value in native.items() if value not in (None, "", [], {})}
    row["prompt"], row["responses"] = native["prompt"], native["responses"]
    if "id" not in row:
        content = {key: value for key, value in row.items() if key != "annotations"}
        row = {"id": f"{name}-{digest(content)}", **row}
    return Made(row, names)


def settled_order(responses: Sequence[Native]) -> list[int]:
    """An order that says nothing about who won: by content."""
    return sorted(range(len(responses)), key=lambda n: digest(responses[n]))
