"""How often each annotator is right, from answers alone: one coin a person, by EM.

Dawid and Skene (1979) with one accuracy per annotator instead of a confusion matrix: a person says
the truth with probability p, and each of the two other answers with (1 - p) / 2. The truth of a
pair is "first", "second" or "level"; first and second are equally likely beforehand. Accuracies are
shrunk towards that of everybody together, as by `SHRINK` more answers, so that who gave few answers
is near the mean. Only pairs with two or more answers say anything about accuracies.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import exp, log
from typing import Final

SHRINK: Final = 8.0  # answers by which a person is pulled to the mean
START: Final = 0.8
LEAST, MOST = (
    1 / 3,
    0.99,
)  # a coin that is worse than guessing would be an answer, too: not believed
TURNS, CLOSE = 100, 1e-4
Side = tuple[int, int, float]  # annotator, 1 / -1 / 0, weight


class Answers:
    """Votes on pairs in compact arrays: some nine bytes a vote, whatever they are about."""

    def __init__(self) -> None:
        self.start = array("Q", [0])
        self.who = array("I")
        self.side = array("b")
        self.weight = array("f")
        self.number: dict[int, int] = {}

    def add(self, sides: Sequence[Side]) -> None:
        """The votes on one pair; those on fewer than two say nothing about anybody."""
        if len(sides) < 2:
            return
        for annotator, side, weight in sides:
            self.who.append(self.number.setdefault(annotator, len(self.number)))
            self.side.append(side)
            self.weight.append(weight)
        self.start.append(len(self.who))

    def skill(self) -> dict[int, float]:
        """Accuracy of each annotator who answered where others did, and of the rest under -1."""
        people = len(self.number)
        accuracy, mean, level = [START] * people, START, 1 / 3
        for _ in range(TURNS):
            right, seen, levels = self._expected(accuracy, level)
            total = sum(seen)
            mean = sum(right) / total if total else START
            mean = min(max(mean, LEAST), MOST)
            after = [
                min(max((r + SHRINK * mean) / (n + SHRINK), LEAST), MOST)
                for r, n in zip(right, seen, strict=True)
            ]
            pairs = len(self.start) - 1
            level = (levels + 1) / (pairs + 3)  # one pair of each kind beforehand
            moved = max((abs(a - b) for a, b in zip(after, accuracy, strict=True)), default=0.0)
            accuracy = after
            if moved < CLOSE:
                break
        found = {annotator: accuracy[number] for annotator, number in self.number.items()}
        return found | {-1: mean, -2: level}

    def _expected(
        self, accuracy: Sequence[float], level: float
    ) -> tuple[list[float], list[float], float]:
        """Expected number of right answers, number of answers, and expected number of ties."""
        right, seen, levels = [0.0] * len(accuracy), [0.0] * len(accuracy), 0.0
        gain = [log(p) - log((1 - p) / 2) for p in accuracy]
        before = (log((1 - level) / 2), log((1 - level) / 2), log(level))
        start, who, side, weight = self.start, self.who, self.side, self.weight
        for first, end in pairwise(start):
            score = [before[2], before[0], before[1]]  # by side: 0, 1, -1
            for n in range(first, end):
                score[side[n]] += gain[who[n]] * weight[n]
            top = max(score)
            chance = [exp(one - top) for one in score]
            total = sum(chance)
            levels += chance[0] / total
            for n in range(first, end):
                right[who[n]] += weight[n] * chance[side[n]] / total
                seen[who[n]] += weight[n]
        return right, seen, levels


def posterior(
    sides: Iterable[Side], skill: Mapping[int, float], *, level: float | None = None
) -> tuple[float, float, float]:
    """Probability that the first is better, that the second is, and that they are level.

    Args:
        sides: Annotator, side (1, -1, 0) and weight of each vote.
        skill: Of `Answers.skill`.
        level: How probable a tie is beforehand; None: as it was found, 0: impossible.
    """
    level = skill.get(-2, 1 / 3) if level is None else level
    usual = skill.get(-1, START)
    score = [log(level) if level else -1e9, log((1 - level) / 2), log((1 - level) / 2)]
    for annotator, side, weight in sides:
        p = skill.get(annotator, usual)
        score[side] += weight * (log(p) - log((1 - p) / 2))
    top = max(score)
    chance = [exp(one - top) for one in score]
    total = sum(chance)
    return chance[1] / total, chance[2] / total, chance[0] / total
