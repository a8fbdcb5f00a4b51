"""A judge without a language model, for demonstrations: open to see, and often wrong.

The score of a response is ``WEIGHTS`` times what can be counted: how close its meaning is to
the question (cosine of sentence vectors), how it looks (words, lists, code), whether it repeats
itself or the question, refuses, or is empty. The weights were fitted to what people chose in
three public files and rounded; docs/how-to/judges.md says how often that agrees with people. A
margin of scores is read as log odds. It sees each response alone, so it cannot prefer a side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning import surface
from learning.encoders import Encoder
from learning.judges.filling import Path
from learning.judges.sections import Sections

WEIGHTS: Final[Mapping[str, float]] = {
    "similarity": 3.0,
    "log_words": 0.1,
    "list_items": 0.2,
    "code_fences": 0.8,
    "distinct_words": 0.7,
    "prompt_overlap": -1.5,
    "refusal": -0.3,
    "empty": -1.0,
}
MIDDLE: Final = 2.3  # the median score of the responses that the weights were fitted on
_LEVEL: Final = 0.1  # log odds below which two responses are level
_STEPS: Final = (0.5, 1.2)  # log odds from which a preference is clear, and much


@dataclass(slots=True)
class Scorer:
    """Scores responses; threads may share one, which takes turns at the encoder.

    Attributes:
        encoder: For closeness to the question.
    """

    encoder: Encoder
    _lock: Lock = field(default_factory=Lock)

    def scores(self, asked: str, responses: Sequence[str]) -> NDArray[np.float64]:
        """Return the score of each response, shape ``(n,)``; 0 is an ordinary one."""
        with self._lock:
            vectors = self.encoder.encode([asked, *responses])
        table = surface.features([asked] * len(responses), responses)
        total = WEIGHTS["similarity"] * (vectors[1:] @ vectors[0]).astype(np.float64) - MIDDLE
        for name, weight in WEIGHTS.items():
            if name != "similarity":
                total += weight * table[:, surface.NAMES.index(name)]
        return np.asarray(total, dtype=np.float64)

    def deciding(self, said: Sections) -> Deciding:
        """Decide about the responses of a prompt."""
        found = self.scores(said.asked, list(said.responses.values()))
        return Deciding(dict(zip(said.responses, found.tolist(), strict=True)))


@dataclass(frozen=True, slots=True)
class Deciding:
    """Decides from scores alone.

    Attributes:
        scores: By letter.
    """

    scores: Mapping[str, float]

    @property
    def reason(self) -> str:
        """What decided."""
        told = ", ".join(f"{letter or 'it'} {score:+.2f}" for letter, score in self.scores.items())
        return f"Scores from closeness to the question, length and form: {told}."

    def good(self, letter: str) -> float:
        """Probability that a response is good enough."""
        return _logistic(self.scores[letter])

    def weigh(self, path: Path, options: Sequence[Any], so_far: str) -> list[float]:
        """Probabilities of the options."""
        key, letter = path[0], path[1] if len(path) > 1 else ""
        if key in ("choice", "aspects"):
            return self._compared(options)
        if key == "strength":
            return _only(options, self._level(len(options)))
        if key == "all_wrong":
            wrong = math.prod(1 - self.good(letter) for letter in self.scores)
            return _two(options, yes=True, p=wrong)
        if key == "ratings":
            return _only(options, min(int(self.good(letter) * len(options)), len(options) - 1))
        if letter:  # thumbs, good
            return _two(options, yes="up" if "up" in options else True, p=self.good(letter))
        sign = -1 if key == "worst" else 1  # best, worst, and the next place of a ranking
        return _shares([sign * self.scores[option] for option in options])

    def _compared(self, options: Sequence[Any]) -> list[float]:
        margin = self.scores["A"] - self.scores["B"]
        first = _logistic(margin)
        made = {"A": first, "B": 1 - first}
        if "neither" in options and max(self.scores.values()) < -MIDDLE:  # nothing speaks for them
            made["neither"] = 1.0
        elif "tie" in options and abs(margin) < _LEVEL:
            made["tie"] = 1.0
        total = sum(made.values())
        return [made.get(option, 0.0) / total for option in options]

    def _level(self, levels: int) -> int:
        margin = abs(self.scores["A"] - self.scores["B"])
        return min(sum(margin >= step for step in _STEPS), levels - 1)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def _shares(values: Sequence[float]) -> list[float]:
    top = max(values)
    raised = [math.exp(value - top) for value in values]
    return [value / sum(raised) for value in raised]


def _only(options: Sequence[Any], place: int) -> list[float]:
    return [float(number == place) for number in range(len(options))]


def _two(options: Sequence[Any], *, yes: Any, p: float) -> list[float]:
    return [p if option == yes else 1 - p for option in options]
