"""`compare`: which of two responses is better, and how clearly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from learning.errors import ConfigError
from learning.judges.errors import Malformed
from learning.judges.forms.base import (
    SURE,
    Form,
    Given,
    Order,
    Said,
    Tiers,
    as_number,
    closed,
    letter_in,
    whole,
    words_of,
    written,
)

TIE, BOTH, NEITHER = "tie", "both", "neither"
_STRENGTH: Final[dict[int, list[int | None]]] = {1: [None], 2: [1, 3], 3: [1, 2, 3]}
_WORDS: Final = {1: ["better"], 2: ["slightly", "clearly"], 3: ["slightly", "clearly", "much"]}
_SAME: Final = {
    "tie": TIE,
    "tied": TIE,
    "equal": TIE,
    "equally good": TIE,
    "same": TIE,
    "=": TIE,
    "both": BOTH,
    "both good": BOTH,
    "neither": NEITHER,
    "none": NEITHER,
}
_STEPS: Final = ("B", TIE, "A")  # of an aspect: -1, 0, 1


@dataclass(frozen=True, slots=True)
class Comparison(Said):
    """What was said about two responses.

    Attributes:
        winner: 0, 1, or one of ``tie``, ``both``, ``neither``.
        level: 1 to ``levels``, how clearly; 0 without a winner.
        levels: How many levels there were to choose from.
        p: Probability that response 0 is preferred to response 1.
        aspects: 1 where response 0 is ahead on the aspect, -1 where it is behind, 0 if level.
        sure: 1 to 3, where the campaign asks how sure people are; otherwise 0.
        ties: Whether a tie could be said.
    """

    winner: int | str
    level: int
    levels: int
    p: float
    aspects: tuple[tuple[str, int], ...] = ()
    sure: int = 0
    ties: bool = True

    @property
    def tiers(self) -> Tiers:
        """The winner first; one tier without one."""
        if self.winner == 0:
            return ((0,), (1,))
        return ((1,), (0,)) if self.winner == 1 else ((0, 1),)

    @property
    def acceptable(self) -> int | None:
        """Said only where neither or both are good."""
        return {NEITHER: 0, BOTH: 1}.get(str(self.winner))

    @property
    def strength(self) -> int | None:
        """On the scale that is stored, whatever the number of levels."""
        return _STRENGTH[self.levels][self.level - 1] if self.level else None

    @property
    def uncompared(self) -> bool:
        """Both are bad: nobody said that they are level."""
        return self.winner == NEITHER

    @property
    def probability(self) -> float | None:
        """That response 0 is preferred."""
        return self.p

    def fields(self, order: Order) -> dict[str, str]:
        """The button of the row, aspects and confidence."""
        verdict = str(self.winner)
        if self.level:
            verdict = f"{'ab'[order.index(int(self.winner))]}{self.level}"
        made = {"verdict": verdict}
        facing = 1 if order == (0, 1) else -1
        for number, (_, ahead) in enumerate(self.aspects):
            made[f"aspect-{number}"] = _STEPS[ahead * facing + 1].lower()
        return made | ({"confidence": str(self.sure)} if self.sure else {})

    def details(self) -> dict[str, Any]:
        """Everything as plain JSON."""
        made: dict[str, Any] = {"winner": self.winner, "p": self.p}
        if self.level:
            made |= {"level": self.level, "levels": self.levels}
        if self.aspects:
            made["aspects"] = dict(self.aspects)
        return made | ({"confidence": self.sure} if self.sure else {})

    def averaged(self, other: Self) -> Self | None:
        """The mean of the probabilities decides; level and aspects are means, rounded.

        Where the mean is one half, it is a tie, if there is one to be said.
        """
        p = (self.p + other.p) / 2
        mean = (self._signed() + other._signed()) / 2
        winner: int | str
        if self.winner == other.winner and not self.level:
            winner = self.winner
        elif math.isclose(p, 0.5, abs_tol=1e-9):
            winner = TIE
        else:
            winner = 0 if p > 0.5 else 1
        if winner == TIE and not self.ties:
            return None
        level = max(1, math.floor(abs(mean) + 0.5)) if winner in (0, 1) else 0
        theirs = dict(other.aspects)
        aspects = tuple(
            (name, _towards((ahead + theirs.get(name, 0)) / 2)) for name, ahead in self.aspects
        )
        sure = min(self.sure, other.sure)
        return type(self)(winner, level, self.levels, p, aspects, sure, self.ties)

    def _signed(self) -> int:
        return self.level if self.winner == 0 else -self.level  # the level of a tie is 0


def _towards(mean: float) -> int:
    """1, 0 or -1; a half counts as none: only one of the two orders saw a difference."""
    return int(mean) if abs(mean) == 1 else 0


@dataclass(frozen=True, slots=True)
class Compare(Form):
    """Two responses; steps as in a campaign's form: 7, 5 and 3 have a tie, 6, 4 and 2 have none.

    Attributes:
        steps: Buttons in the row of strengths, 2 to 7.
        neither: Whether "neither is good enough" can be said.
        both_good: Whether "both are good" can be said.
        aspects: Criteria compared one by one besides.
        confidence: Whether people are asked how sure they are.
    """

    name: ClassVar[str] = "compare"
    least: ClassVar[int] = 2
    most: ClassVar[int] = 2

    steps: int = 7
    neither: bool = True
    both_good: bool = False
    aspects: tuple[str, ...] = ()
    confidence: bool = False

    def __post_init__(self) -> None:
        if self.steps not in range(2, 8):
            raise ConfigError(f"compare.steps must be 2 to 7, got {self.steps!r}")
        object.__setattr__(self, "aspects", words_of(self.name, "aspects", self.aspects))

    @property
    def levels(self) -> int:
        """Strengths on each side."""
        return self.steps // 2

    @property
    def ties(self) -> bool:
        """Whether a tie can be said."""
        return self.steps % 2 == 1

    def choices(self) -> list[str]:
        """What can be said, apart from strength."""
        some = [(self.ties, TIE), (self.both_good, BOTH), (self.neither, NEITHER)]
        return ["A", "B", *(word for there, word in some if there)]

    def wording(self, letters: str) -> Mapping[str, str]:
        """What the words of the choice and of the strength mean."""
        del letters
        meaning = {
            "A": "response A is better",
            "B": "response B is better",
            TIE: "they are equally good",
            BOTH: "both are good",
            NEITHER: "neither is good enough",
        }
        lines = [f'- "{choice}": {meaning[choice]}' for choice in self.choices()]
        if self.levels > 1:
            named = ", ".join(f"{n} = {w}" for n, w in enumerate(_WORDS[self.levels], start=1))
            lines.append(f"Say with a strength how clear it is: {named}.")
        if self.aspects:
            lines.append("Say also which response is ahead on each of: " + ", ".join(self.aspects))
        return {"choices": "\n".join(lines)}

    def keys(self, letters: str) -> Mapping[str, str]:
        """Choice, strength, confidence, and aspects where there are some."""
        del letters
        made = {"choice": " | ".join(f'"{choice}"' for choice in self.choices())}
        if self.levels > 1:
            made["strength"] = " | ".join(str(n) for n in range(1, self.levels + 1))
        made["confidence"] = (
            "a whole number from 50 to 100: how likely a careful person chooses the same"
        )
        if self.aspects:
            made["aspects"] = written(dict.fromkeys(self.aspects, '"A" | "tie" | "B"'))
        return made

    def schema(self, letters: str) -> Mapping[str, Any]:
        """The same as JSON Schema."""
        del letters
        made: dict[str, Any] = {"choice": {"type": "string", "enum": self.choices()}}
        if self.levels > 1:
            made["strength"] = {"type": "integer", "enum": list(range(1, self.levels + 1))}
        made["confidence"] = {"type": "integer"}
        if self.aspects:
            one = {"type": "string", "enum": ["A", TIE, "B"]}
            made["aspects"] = closed(dict.fromkeys(self.aspects, one))
        return made

    def read(self, given: Given) -> Comparison:
        """Choice, strength, confidence and aspects."""
        said = given.get("choice", self._expected())
        winner: int | str | None = None
        word = said.strip().lower() if isinstance(said, str) else ""
        if _SAME.get(word) in self.choices():
            winner = _SAME[word]
        elif letter_in(said) in ("A", "B"):
            winner = given.response("choice", said)
        if winner is None:
            raise Malformed("choice", self._expected(), said)
        aspects = self._aspects(given)
        how_likely = confidence_in(given)
        sure = _sure(how_likely) if self.confidence else 0
        if isinstance(winner, str):
            return Comparison(winner, 0, self.levels, 0.5, aspects, sure, self.ties)
        level = self._level(given)
        towards = how_likely
        if towards is None:  # the further out, the surer; see docs/how-to/judges.md
            towards = 0.5 + (SURE - 0.5) * level / self.levels
        p = towards if winner == 0 else 1 - towards
        return Comparison(winner, level, self.levels, p, aspects, sure, self.ties)

    def _expected(self) -> str:
        return "one of " + ", ".join(self.choices())

    def _level(self, given: Given) -> int:
        if self.levels == 1:
            return 1
        said = given.get("strength", f"a whole number from 1 to {self.levels}")
        word = said.strip().lower() if isinstance(said, str) else ""
        for number, name in enumerate(_WORDS[self.levels], start=1):
            if word.startswith(name):
                return number
        return whole("strength", said, 1, self.levels)

    def _aspects(self, given: Given) -> tuple[tuple[str, int], ...]:
        if not self.aspects:
            return ()
        expected = 'an object with "A", "tie" or "B" for each aspect'
        said = given.get("aspects", expected)
        if not isinstance(said, dict):
            raise Malformed("aspects", expected, said)
        by_name = {str(key).strip().lower(): value for key, value in said.items()}
        return tuple((name, _ahead(given, name, by_name)) for name in self.aspects)


def _ahead(given: Given, name: str, by_name: Mapping[str, Any]) -> int:
    field, said = f"aspects.{name}", by_name.get(name.strip().lower())
    if isinstance(said, str) and _SAME.get(said.strip().lower()) == TIE:
        return 0
    if letter_in(said) not in ("A", "B"):
        raise Malformed(field, "A, tie or B", "nothing" if said is None else said)
    return 1 if given.response(field, said) == 0 else -1


def confidence_in(given: Given) -> float | None:
    """The stated confidence as a probability from one half up; None where there is none.

    Percent, or a share; whoever says less than one half contradicts the choice and is taken to
    be undecided.
    """
    said = as_number(given.values.get("confidence"))
    if said is None or not 0 < said <= 100:
        return None
    return max(0.5, said if said <= 1 else said / 100)


def _sure(how_likely: float | None) -> int:
    """What a page asks: 1 a guess, 2 fairly sure, 3 sure."""
    if how_likely is None:
        return 2
    return 1 if how_likely < 0.6 else 2 if how_likely < 0.85 else 3
