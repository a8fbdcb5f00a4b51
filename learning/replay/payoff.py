"""Does choosing pay here? A function against drawing at random, replayed on one set of answers.

Published gains were measured on other people's data. A campaign's own answers say more, once there
are so many that a replay has something to choose from: half of the pairs are then never asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from learning import heads
from learning.acquisition import Recipe
from learning.data import Comparisons
from learning.metrics import Estimate
from learning.replay.folds import TEST_SHARE, split
from learning.replay.loop import Arm, Plan, Run, head_of, replay
from learning.replay.statistics import summarise
from learning.replay.worlds import World
from learning.selection import FALLBACK

SEEDS: Final = 20
_ROUNDS: Final = 8
_START: Final = 64  # labels before the first choice, where the function waits for fewer
_MOST: Final = 800  # labels chosen in each replay: more take longer and say little more
_UNASKED: Final = 2  # times as many pairs as are asked: with fewer there is no choice
_UNKNOWN: Final = Estimate(float("nan"))

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Payoff:
    """What choosing by one function was worth on a set of answers.

    Attributes:
        acquisition: Label of the arm.
        head: Name of what learnt.
        answers: There were so many.
        pairs: About so many distinct pairs.
        wanted: Pairs that a replay takes; with fewer nothing was tried and no figure is known.
        labels: Labels spent in each replay.
        chosen: How many of these were chosen, the others being the same random start for both.
        seeds: Replays of each of the two.
        gain: Area between the log-loss curves over the chosen labels, in nats: what choosing
            saves on drawing at random, one a prompt; **positive is better**. Interval paired over
            seeds.
        saving: Share of the labels that choosing needs less to get where random choice ends.
        accuracy: Area between the accuracy curves; positive is better.
    """

    acquisition: str
    head: str
    answers: int
    pairs: int
    wanted: int
    labels: int = 0
    chosen: int = 0
    seeds: int = 0
    gain: Estimate = _UNKNOWN
    saving: Estimate = _UNKNOWN
    accuracy: Estimate = _UNKNOWN

    @property
    def pays(self) -> bool | None:
        """Whether the gain is clear of zero; ``None`` while it was not tried."""
        return self.gain.low > 0 if self.seeds else None

    @property
    def sentence(self) -> str:
        """The finding in plain words."""
        if not self.seeds:
            return (
                f"Whether choosing by {self.acquisition} pays here cannot be tried yet: that takes "
                f"answers about {self.wanted:,} pairs that were drawn without looking at the "
                f"model; there are {self.pairs:,}."
            )
        gain = [f"{x:+.4f}" for x in (self.gain.value, self.gain.low, self.gain.high)]
        value, low, high = (text.replace("-", "\u2212") for text in gain)
        tried = (
            f"{self.seeds} replays of {self.labels:,} labels, of which {self.chosen:,} were "
            f"chosen; gain in log-loss {value}, 95 % interval {low} to {high}"
        )
        if self.gain.low > 0:
            fewer = f"{100 * self.saving.value:.0f} % fewer labels"
            finding = f"pays here: random choice's end is reached with {fewer}"
        elif self.gain.high < 0:
            finding = "is worse here than drawing at random"
        else:
            finding = "has not been shown to pay here"
        return f"Choosing by {self.acquisition} {finding} ({tried})."

    def to_json(self) -> dict[str, Any]:
        """Return plain values; an estimate is ``[value, low, high]``, or null."""
        plain: dict[str, Any] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            if isinstance(value, Estimate):
                ends = (value.value, value.low, value.high)
                value = list(ends) if self.seeds else None
            plain[name] = value
        return {**plain, "pays": self.pays, "sentence": self.sentence}


def payoff(
    world: World,
    arm: Arm,
    *,
    plan: Plan,
    seeds: int = SEEDS,
    progress: Progress = lambda done, total: None,
) -> Payoff:
    """Replay one function and ``random_unique`` on the same folds and first labels.

    The first labels are random and as many as the function waits for, so that all others are
    its choice. The replay stops when half of the training pairs are asked.

    Args:
        world: Answers to questions that were not chosen by looking at a model.
        arm: The function with its options; not ``random_unique`` itself.
        plan: Head and folds; its numbers of labels are not used.
        seeds: Replays of each.
        progress: Called after every replay with the number that is done and of all.

    Raises:
        ConfigError: there is no such function, option or head.
        NotEnoughData: too few groups to split, or nothing decisive to test on.
    """
    head = head_of(world, plan)
    start = max(_START, _waits_for(world, arm.recipe, head))
    wanted = int(_UNASKED * (start + start // 2) / (1 - TEST_SHARE)) + 1
    found = Payoff(
        acquisition=arm.label,
        head=head,
        answers=len(world.answers.outcome),
        pairs=len(world.pairs),
        wanted=wanted,
    )
    room = min((len(split(world, plan.folds, seed)[0]) for seed in range(seeds)), default=0)
    labels = min(room // _UNASKED, start + _MOST)
    if len(world.pairs) < wanted or labels <= start:
        return found
    batch = -(-(labels - start) // _ROUNDS)
    each = Plan(labels=labels, batch=batch, start=start, head=head, folds=plan.folds)
    runs: list[Run] = []
    for seed in range(seeds):
        for one in (arm, Arm(FALLBACK)):
            runs.append(replay(world, one, each, seed))
            progress(len(runs), 2 * seeds)
    summaries = summarise(runs, baseline=FALLBACK)
    summary = next(one for one in summaries if one.acquisition == arm.label)
    return replace(
        found,
        labels=labels,
        chosen=labels - start,
        seeds=seeds,
        gain=_estimate(summary.delta_aulc_log_loss, summary.ci_low, summary.ci_high),
        saving=_estimate(summary.saving, summary.saving_low, summary.saving_high),
        accuracy=_estimate(
            summary.delta_aulc_accuracy, summary.accuracy_ci_low, summary.accuracy_ci_high
        ),
    )


def _waits_for(world: World, recipe: Recipe, head: str) -> int:
    """How many comparisons the function waits for with features of this width."""
    nothing = Comparisons.of([], [], [])
    return recipe.patience(heads.get(head).fit(world.features, nothing))


def _estimate(value: float, low: float | None, high: float | None) -> Estimate:
    nan = float("nan")
    return Estimate(value, nan if low is None else low, nan if high is None else high)
