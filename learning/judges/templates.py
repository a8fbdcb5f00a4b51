"""Prompt templates: what a model is told, versioned by its words.

A template is text with ``$placeholders`` (`string.Template`: values are put in once and never
read again for placeholders, so that a response cannot smuggle one in; Jinja would run code).
Everything that somebody else wrote stands between two lines that hold a mark of twelve hex
digits. The mark is a hash of all the texts of the question, so nobody can write it into one of
them beforehand, and the same question always makes the same prompt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template as Text
from typing import Final

from learning.judges.base import Ask, Message
from learning.judges.errors import BadTemplate
from learning.judges.forms import FORMS, LETTERS, Form, Order
from learning.text import well_formed

DEFAULT_NAME: Final = "tiebreak"
REASON: Final = "reason"
_RECIPE: Final = b"1"  # raise it when what is put in for the placeholders changes
_PLACES: Final[Mapping[str, frozenset[str]]] = {
    "system": frozenset({"guidelines", "mark"}),
    "user": frozenset({"context", "conversation", "responses", "questions", "reply", "mark"}),
    "compare": frozenset({"choices"}),
    "rank": frozenset({"ties"}),
    "best_worst": frozenset(),
    "rate": frozenset({"aspects", "scale"}),
    "accept": frozenset(),
    "pointwise": frozenset({"context", "conversation", "responses", "mark"}),
}
_NEEDED: Final[Mapping[str, frozenset[str]]] = {
    "user": frozenset({"conversation", "responses", "questions", "reply"}),
    "pointwise": frozenset({"conversation", "responses"}),
}
_NO_GUIDELINES: Final = "Prefer what helps the person who asked: correct, complete, clear, honest."


@dataclass(frozen=True, slots=True)
class Template:
    """A checked prompt template.

    Attributes:
        name: What its author calls it.
        texts: By part: ``system``, ``user``, a question for each form, and ``pointwise``.
        version: Twelve hex digits that change with every word.
    """

    name: str
    texts: Mapping[str, str]
    version: str = field(init=False)

    def __post_init__(self) -> None:
        for part, text in self.texts.items():
            _check(part, text)
        digest = hashlib.sha256(_RECIPE)
        for part in sorted(self.texts):
            digest.update(f"{part}\0{self.texts[part]}\0".encode("utf-8", "surrogatepass"))
        object.__setattr__(self, "version", digest.hexdigest()[:12])

    def render(self, ask: Ask, order: Order) -> tuple[Message, ...]:
        """The messages that put this question with the responses in this order."""
        ask.check(order)
        letters = LETTERS[: len(order)]
        mark = mark_of(ask)
        questions = "\n\n".join(self._question(form, letters) for form in ask.forms)
        shown = _sections(ask, zip(letters, order, strict=True), mark)
        user = {**shown, "questions": questions, "reply": reply_of(ask.forms, letters)}
        return self._messages("user", ask, user, mark)

    def render_pointwise(self, ask: Ask, number: int) -> tuple[Message, ...]:
        """The messages that ask yes or no about one response."""
        mark = mark_of(ask)
        return self._messages("pointwise", ask, _sections(ask, [("", number)], mark), mark)

    def _messages(
        self, part: str, ask: Ask, values: Mapping[str, str], mark: str
    ) -> tuple[Message, ...]:
        rules = {"guidelines": ask.guidelines.strip() or _NO_GUIDELINES, "mark": mark}
        system = Text(self.texts["system"]).substitute(rules)
        user = Text(self.texts[part]).substitute({**values, "mark": mark})
        return Message("system", _tidy(system)), Message("user", _tidy(user))

    def _question(self, form: Form, letters: str) -> str:
        return Text(self.texts[form.name]).substitute(form.wording(letters)).strip()


def template(name: str = DEFAULT_NAME, own: Mapping[str, str] | None = None) -> Template:
    """Make a template: ours, with parts of one's own in the place of ours.

    Args:
        name: What to call it; stored with every call.
        own: Texts by part. Placeholders are written ``$name`` or ``${name}``, a dollar ``$$``.

    Raises:
        BadTemplate: a part or a placeholder is unknown, or one that is needed is missing.
    """
    ours = {part: _packaged(part) for part in _PLACES}
    for part, text in (own or {}).items():
        if part not in ours:
            raise BadTemplate(f"a template has no part {part!r}; it has: {', '.join(ours)}")
        ours[part] = text
    return Template(name, ours)


def placeholders(part: str) -> tuple[str, ...]:
    """The placeholders that a part of a template may have."""
    return tuple(sorted(_PLACES[part]))


def mark_of(ask: Ask) -> str:
    """Twelve hex digits that stand in none of the texts; the same for both display orders."""
    turns = [f"{turn.role}: {turn.content}" for turn in ask.prompt]
    texts = [ask.guidelines, ask.context, *turns, *ask.responses]
    said = "\0".join(texts).encode("utf-8", "surrogatepass")
    mark = hashlib.sha256(said).hexdigest()[:12]
    while any(mark in text for text in texts):
        mark = hashlib.sha256(said + mark.encode()).hexdigest()[:12]
    return mark


def fenced(name: str, text: str, mark: str) -> str:
    """A text between its two lines."""
    return f"<<<begin {name} {mark}>>>\n{text}\n<<<end {name} {mark}>>>"


def reply_of(forms: Sequence[Form], letters: str) -> str:
    """The JSON object to fill in, one key a line."""
    keys = {REASON: "two sentences at most"}
    for form in forms:
        keys |= form.keys(letters)
    lines = ",\n".join(f'  "{key}": {what}' for key, what in keys.items())
    return "{\n" + lines + "\n}"


def schema_of(forms: Sequence[Form], letters: str) -> dict[str, object]:
    """The same as JSON Schema, for endpoints that can be held to one."""
    properties: dict[str, object] = {REASON: {"type": "string"}}
    for form in forms:
        properties |= form.schema(letters)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _sections(ask: Ask, shown: Iterable[tuple[str, int]], mark: str) -> dict[str, str]:
    said = (fenced(turn.role, turn.content, mark) for turn in ask.prompt)
    responses = (
        fenced(f"response {letter}".strip(), ask.responses[number], mark)
        for letter, number in shown
    )
    context = ask.context and f"The source text:\n\n{fenced('context', ask.context, mark)}\n"
    return {
        "context": context,
        "conversation": "\n".join(said),
        "responses": "\n\n".join(responses),
    }


def _tidy(text: str) -> str:
    """Half an emoji cannot be sent as UTF-8."""
    return well_formed(text.strip())


def _packaged(part: str) -> str:
    return (files(__package__) / "texts" / f"{part}.txt").read_text(encoding="utf-8")


def _check(part: str, text: str) -> None:
    """Refuse placeholders that nobody fills, and texts that leave out what is needed."""
    found = set()
    for match in Text.pattern.finditer(text):
        if match["invalid"] is not None:
            line = text.count("\n", 0, match.start()) + 1
            raise BadTemplate(f"{part}, line {line}: a single $; write $$ for a dollar")
        if name := match["named"] or match["braced"]:
            found.add(name)
    allowed = _PLACES[part]
    if unknown := sorted(found - allowed):
        there_are = ", ".join(f"${name}" for name in sorted(allowed)) or "none"
        raise BadTemplate(f"{part}: unknown placeholder ${unknown[0]}; there are: {there_are}")
    if missing := sorted(_NEEDED.get(part, frozenset()) - found):
        raise BadTemplate(f"{part}: the placeholder ${missing[0]} is missing")
    if part in FORMS and not re.search(r"\w", text):
        raise BadTemplate(f"{part}: there is no question")
