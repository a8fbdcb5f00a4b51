"""What every form that a judge can answer is made of.

A form knows what to ask (the words of its template, and the keys of the JSON reply), reads the
reply, and turns what was said into a weak order, into the fields that a person's page would
have sent, and into one statement when both display orders have been asked.

Responses are numbered from 0 as the caller gave them. Letters are only what the model saw:
``order[0]`` is the number of the response shown as A.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self, TypeAlias

from learning.errors import ConfigError
from learning.judges.errors import Malformed

Order: TypeAlias = tuple[int, ...]
Tiers: TypeAlias = tuple[tuple[int, ...], ...]
LETTERS: Final = "ABCDEFGHIJ"
SURE: Final = 0.95  # what a bare verdict is worth before it is calibrated


@dataclass(frozen=True, slots=True)
class Given:
    """A reply's JSON object, keys in lower case, and the order in which responses were shown."""

    values: Mapping[str, Any]
    order: Order

    @property
    def letters(self) -> str:
        """What the responses were called."""
        return LETTERS[: len(self.order)]

    def get(self, field: str, expected: str) -> Any:
        """A value that has to be there.

        Raises:
            Malformed: it is not.
        """
        if (value := self.values.get(field)) is None:
            raise Malformed(field, expected, "nothing")
        return value

    def response(self, field: str, said: Any) -> int:
        """The number of the response that a letter names.

        Raises:
            Malformed: it names none.
        """
        letter = letter_in(said)
        if letter is None or letter not in self.letters:
            raise Malformed(field, f"one of {', '.join(self.letters)}", said)
        return self.order[self.letters.index(letter)]

    def by_letter(self, field: str, expected: str) -> dict[int, Any]:
        """An object with a value for each letter, by response number.

        Raises:
            Malformed: it is none, or a letter is missing or foreign.
        """
        value = self.get(field, expected)
        if not isinstance(value, dict):
            raise Malformed(field, expected, value)
        found = {self.response(field, key): one for key, one in value.items()}
        for letter, number in zip(self.letters, self.order, strict=True):
            if number not in found:
                raise Malformed(f"{field}.{letter}", expected, "nothing")
        return found


class Said(ABC):
    """What was said in answer to one form, in response numbers."""

    @property
    @abstractmethod
    def tiers(self) -> Tiers:
        """The weak order, best first; responses may be missing."""

    @property
    def acceptable(self) -> int | None:
        """How many of the tiers are good enough; None where nothing was said about it."""
        return None

    @property
    def good(self) -> frozenset[int] | None:
        """Responses that are good enough, where the form asks that and no order."""
        return None

    @property
    def strength(self) -> int | None:
        """How clear the preference is, 1 to 3; None where that was not asked."""
        return None

    @property
    def uncompared(self) -> bool:
        """Whether responses share a tier because nobody compared them, not because of a tie."""
        return False

    @property
    def probability(self) -> float | None:
        """That the first response is preferred to the second, where the form knows it."""
        return None

    @abstractmethod
    def fields(self, order: Order) -> dict[str, str]:
        """The fields that a page would have sent, the responses standing in this order."""

    @abstractmethod
    def details(self) -> dict[str, Any]:
        """Everything as plain JSON, for storing."""

    @abstractmethod
    def averaged(self, other: Self) -> Self | None:
        """What both orders together say; the same for ``a, b`` and ``b, a``.

        None where they contradict each other and the form has no way to say so.
        """


class Form(ABC):
    """One form with the options that a campaign chose.

    Attributes:
        name: As campaigns call it.
        least, most: How many responses it can be asked about.
    """

    name: ClassVar[str]
    least: ClassVar[int]
    most: ClassVar[int]

    def wording(self, letters: str) -> Mapping[str, str]:
        """Values of the placeholders of this form's text."""
        del letters
        return {}

    @abstractmethod
    def keys(self, letters: str) -> Mapping[str, str]:
        """Keys of the JSON reply, each with what to write there."""

    @abstractmethod
    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same keys, each with its JSON Schema."""

    @abstractmethod
    def read(self, given: Given) -> Said:
        """What a reply says. Raises `Malformed`."""


def letter_in(said: Any) -> str | None:
    """The letter that a value names: ``"b"``, ``"Response B"``, ``"[[B]]"``, ``"B."``."""
    if not isinstance(said, str):
        return None
    word = said.strip().strip("[]()*\"'`").rstrip(".:)").strip().lower()
    for lead in ("response", "answer", "option", "assistant"):
        word = word.removeprefix(lead).strip()
    word = word.strip("[]()*")
    return word.upper() if len(word) == 1 and "a" <= word <= "j" else None


def whole(field: str, said: Any, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``, also as text or as 3.0.

    Raises:
        Malformed: it is something else.
    """
    expected = f"a whole number from {low} to {high}"
    number = as_number(said)
    if number is None or number != number or not low <= number <= high or number % 1:
        raise Malformed(field, expected, said)
    return int(number)


def as_number(said: Any) -> float | None:
    """A number, also one written as text; None for anything else."""
    if isinstance(said, bool) or not isinstance(said, int | float | str):
        return None
    try:
        return float(said.strip().rstrip("%") if isinstance(said, str) else said)
    except (ValueError, OverflowError):
        return None


def flag(field: str, said: Any) -> bool:
    """Yes or no, as JSON or as a word.

    Raises:
        Malformed: it is neither.
    """
    if isinstance(said, bool):
        return said
    words = {"yes": True, "true": True, "up": True, "no": False, "false": False, "down": False}
    word = said.strip().lower() if isinstance(said, str) else ""
    if word not in words:
        raise Malformed(field, "true or false", said)
    return words[word]


def tiers_by(key: Mapping[int, Any]) -> Tiers:
    """Responses in tiers by a key, the largest first; numbers rise inside a tier."""
    levels = sorted(set(key.values()), reverse=True)
    return tuple(tuple(n for n in sorted(key) if key[n] == level) for level in levels)


def shown(order: Order) -> list[tuple[str, int]]:
    """Letters with the numbers of the responses behind them."""
    return list(zip(LETTERS, order, strict=False))


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def written(values: Mapping[str, str]) -> str:
    """Keys with what to write there, as an object on one line."""
    return "{" + ", ".join(f'"{key}": {value}' for key, value in values.items()) + "}"


def words_of(owner: str, name: str, value: Any) -> tuple[str, ...]:
    """A list of words among the options.

    Raises:
        ConfigError: it is something else.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ConfigError(f"{owner}.{name} must be a list of words, got {value!r}")
    return tuple(value)
