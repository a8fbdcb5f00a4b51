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

ROLES = ("system", "user", "assistant", "tool")
MOST_RESPONSES = 10


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
        apart: How many other groups may lie between two rows of one; memory grows with it.
        most: Rows of a group; the next one begins another.
    """

    def units(rows: Iterator[Source], how: Reading) -> Iterator[Unit]:
        waiting: OrderedDict[Any, list[Source]] = OrderedDict()
        for source in rows:
            try:
                name = key(source.value)
            except Misfit as misfit:
                yield Unit([source], misfit=(source, misfit))
                continue
            waiting.setdefault(name, []).append(source)
            if len(waiting[name]) == most:
                yield _unit(waiting.pop(name), convert, how)
            if len(waiting) > apart + 1:
                yield _unit(waiting.popitem(last=False)[1], convert, how)
        while waiting:
            yield _unit(waiting.popitem(last=False)[1], convert, how)

    return units


class InSource(Misfit):
    """A misfit of one row of a group."""

    def __init__(self, source: Source, misfit: Misfit) -> None:
        self.source = source
        super().__init__(misfit.field, misfit.message)


def each(
    sources: Sequence[Source], read: Callable[[Raw], T], pick: Sequence[Source] | None = None
) -> list[T]:
    """What a function reads in each row of a group.

    Raises:
        InSource: naming the row that does not fit.
    """
    found = []
    for source in sources if pick is None else pick:
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


# --- fields ---------------------------------------------------------------------------------


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


# --- conversations --------------------------------------------------------------------------


def chat(value: Any, name: str) -> list[dict[str, Any]]:
    """A list of messages, each with a role and a content that can be shown as text."""
    turns = listed(value, name, "a list of {role, content}")
    if not turns:
        raise Misfit(name, "expected at least one message, got an empty list")
    for index, turn in enumerate(turns):
        _check_turn(mapped(turn, f"{name}[{index}]"), f"{name}[{index}]")
    return turns


def _check_turn(turn: dict[str, Any], at: str) -> None:
    role = get(turn, "role", "user, assistant, …", f"{at}.")
    if not isinstance(role, str) or role not in ROLES:
        what = f"{', '.join(ROLES[:-1])} or {ROLES[-1]}"
        raise Misfit(f"{at}.role", f"expected {what}, got {role!r:.40}")
    shown_turn(turn, at)


def shown_turn(turn: Raw, at: str = "") -> str:
    """The text of a message: its parts joined, its calls of tools as JSON below it."""
    content, calls = turn.get("content"), turn.get("tool_calls") or []
    if content is None and not calls:
        raise (missing if "content" not in turn else _no_text)(f"{at}.content", "text")
    if isinstance(content, list):
        content = "\n\n".join(_part(part, f"{at}.content[{n}]") for n, part in enumerate(content))
    if content is not None and not isinstance(content, str):
        raise expected(f"{at}.content", "text", content)
    shown = [content] if content else []
    for index, call in enumerate(listed(calls, f"{at}.tool_calls")):
        mapped(call, f"{at}.tool_calls[{index}]")
        shown.append(f"```json\n{json.dumps(call, ensure_ascii=False, indent=2)}\n```")
    return "\n\n".join(shown)


def _no_text(name: str, what: str) -> Misfit:
    return expected(name, what, None)


def _part(part: Any, at: str) -> str:
    if isinstance(part, dict) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise Misfit(at, "expected a part with text; pictures are uploaded by themselves")


def plain(turns: Sequence[Raw]) -> bool:
    """Whether nothing gets lost when only role and text are kept."""
    return all(
        set(turn) <= {"role", "content"} and isinstance(turn["content"], str) for turn in turns
    )


def as_prompt(turns: Sequence[Raw]) -> list[Turn]:
    """Messages as the native schema has them."""
    return [{"role": turn["role"], "content": shown_turn(turn)} for turn in turns]


def any_prompt(row: Raw, name: str) -> tuple[str | list[Turn], dict[str, Any]]:
    """A prompt that is text or messages, and what of it only `meta` can keep."""
    value = get(row, name, "text or a list of {role, content}")
    if isinstance(value, str):
        return value, {}
    if not isinstance(value, list):
        raise expected(name, "text or a list of {role, content}", value)
    turns = chat(value, name)
    return as_prompt(turns), {} if plain(turns) else {"prompt": turns}


def key_of(row: Raw, name: str) -> str:
    """What rows with the same prompt have in common."""
    prompt, _ = any_prompt(row, name)
    return prompt if isinstance(prompt, str) else json.dumps(prompt)


def as_response(turns: Sequence[Raw], **more: Any) -> Native:
    """What follows the prompt, as one response: several turns are one text, with headings."""
    first, *others = turns
    said = [shown_turn(first)] if first["role"] == "assistant" else [_headed(first)]
    response: Native = {"text": "\n\n".join([*said, *map(_headed, others)]), **more}
    if others or first["role"] != "assistant" or not plain(turns):
        response["messages"] = list(turns)
    return response


def _headed(turn: Raw) -> str:
    return f"**{turn['role'].capitalize()}:** {shown_turn(turn)}"


def shared_start(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items two lists have in common at their beginning, leaving each at least one."""
    most = min(len(one), len(other)) - 1
    return next((n for n in range(most) if one[n] != other[n]), max(0, most))


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
