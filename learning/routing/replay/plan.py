"""What all runs of one command share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from learning import heads
from learning.errors import ConfigError
from learning.replay.folds import Folds
from learning.routing.replay.worlds import JudgedWorld

Learning: TypeAlias = Literal["both", "overwrite"]

PURE: Final = ("all_human", "all_judge")


@dataclass(frozen=True, slots=True)
class Plan:
    """Of questions, money and learning.

    Attributes:
        pool: Questions at most that there are to ask.
        rounds: Rounds in which people's time is spent; the head is fitted after each.
        judge_cost: Cost of a judge's answer in both orders, in answers of a person.
        head: Name of the head; ``auto`` is what suits the pairs.
        folds: What is held out for testing.
        learning: ``both`` is fusion with its way back to a pure source; ``overwrite`` takes a
            person's answer where there is one and the judge's elsewhere, as it is.
        config: Options of policies.
    """

    pool: int = 3_000
    rounds: int = 5
    judge_cost: float = 0.05
    head: str = "auto"
    folds: Folds = "group"
    learning: Learning = "both"
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pool < 1 or self.rounds < 1 or not self.judge_cost >= 0:
            raise ConfigError("pool and rounds must be at least 1, judge cost at least 0")
        if self.head != "auto":
            heads.get(self.head)

    @property
    def shares(self) -> list[float]:
        """What each round spends of what is left: the first rounds little, to learn early.

        Rounds spend 1, 2, 3, ... parts of the whole; the last one spends all that is left.
        """
        return [2.0 * (done + 1) / self._left(done) for done in range(self.rounds)]

    def _left(self, done: int) -> float:
        """Twice the parts that are left after so many rounds."""
        return float(self.rounds * (self.rounds + 1) - done * (done + 1))

    def head_of(self, world: JudgedWorld) -> str:
        """Return the name of the head that a world is replayed with."""
        return heads.choose(world.world.pairs) if self.head == "auto" else self.head
