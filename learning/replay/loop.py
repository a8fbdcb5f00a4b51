"""One replay: fit, measure, choose, reveal, and again, until the labels are spent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning import heads, metrics
from learning.acquisition import Recipe
from learning.data import Belief, Context, Pool, Prompts, Selection
from learning.errors import ConfigError
from learning.replay.folds import Exam, Fold, Folds, draw
from learning.replay.worlds import World
from learning.selection import FALLBACK

AUTO: Final = "auto"
_CHOICE: Final = 4  # stream of a seed, see `folds`


@dataclass(frozen=True, slots=True)
class Arm:
    """An acquisition function with its options, under the name that results use.

    Attributes:
        label: ``dopt``, or ``dopt:wide`` where one function is replayed with several options.
        config: Its options as plain values.
    """

    label: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """The function with its options.

        Raises:
            ConfigError: there is no such function or option.
        """
        return Recipe.of(self.label.partition(":")[0], self.config)


@dataclass(frozen=True, slots=True)
class Plan:
    """What all runs of one command share.

    Attributes:
        labels: Labels to spend, those of the first batch included.
        batch: Labels a round.
        start: Labels in the first batch, which is random.
        head: Name of the head; ``auto`` is what suits the pairs of each file.
        folds: What is held out for testing.
    """

    labels: int = 640
    batch: int = 64
    start: int = 64
    head: str = heads.DEFAULT_HEAD
    folds: Folds = "group"

    def __post_init__(self) -> None:
        for name in ("labels", "batch", "start"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.start > self.labels:
            raise ConfigError(f"start is {self.start}, more than all {self.labels} labels")
        if self.folds not in ("group", "items"):
            raise ConfigError(f"folds must be group or items, got {self.folds!r}")
        if self.head != AUTO:
            heads.get(self.head)


@dataclass(frozen=True, slots=True)
class Step:
    """How good the model was after so many labels, and what it took to get there.

    Attributes:
        labels: Labels spent so far.
        accuracy: On decisive test answers.
        log_loss: Of the winner, in nats.
        brier: Mean squared error of the winner's probability.
        ece: Expected calibration error.
        seconds: To choose the last batch and to refit; measuring is not in it.
        select_seconds: Of these, to choose.
    """

    labels: int
    accuracy: float
    log_loss: float
    brier: float
    ece: float
    seconds: float
    select_seconds: float


@dataclass(frozen=True, slots=True)
class Run:
    """One file, one function, one seed.

    Attributes:
        file: Name of the world.
        acquisition: Label of the arm.
        seed: What decided fold, first batch and answers.
        pool: Pairs that could be asked.
        tested: Answers it was measured on.
        filled: Picks that the function left open and that were drawn at random instead.
        waited: Rounds in which the function waited for more answers and another one chose, as
            in a campaign (:data:`learning.selection.FALLBACK`).
        steps: In order of labels.
    """

    file: str
    acquisition: str
    seed: int
    pool: int
    tested: int
    filled: int
    waited: int
    steps: tuple[Step, ...]


def replay(world: World, arm: Arm, plan: Plan, seed: int) -> Run:
    """Label a world from scratch with one function.

    Every function meets the same fold, first batch and answers for the same seed. The head
    starts from its last fit. Nothing but the labels that were paid for is learnt from.

    Raises:
        ConfigError: there is no such function, option or head.
        NotEnoughData: the file cannot be split, or has nothing to test on.
    """
    fold = draw(world, plan.folds, seed, start=plan.start)
    session = _Session(world, arm, plan, seed, fold)
    end = min(plan.labels, len(fold.train))
    steps = [session.learn(0.0)]
    while session.labels < end:
        started = time.perf_counter()
        session.ask(session.choose(min(plan.batch, end - session.labels)))
        steps.append(session.learn(time.perf_counter() - started))
    return Run(
        file=world.name,
        acquisition=arm.label,
        seed=seed,
        pool=len(fold.train),
        tested=len(fold.exam.outcome),
        filled=session.filled,
        waited=session.waited,
        steps=tuple(steps),
    )


def head_of(world: World, plan: Plan) -> str:
    """Return the name of the head that a file is replayed with."""
    return heads.choose(world.pairs) if plan.head == AUTO else plan.head


class _Session:
    """A campaign in memory: what was asked, what is believed."""

    def __init__(self, world: World, arm: Arm, plan: Plan, seed: int, fold: Fold) -> None:
        self.world, self.plan, self.fold = world, plan, fold
        self.recipe = arm.recipe
        self.uniform, self.fallback = Recipe.of("random"), Recipe.of(FALLBACK)
        self.head = heads.get(head_of(world, plan))
        self.recurring = heads.recurring(world.pairs[fold.train])
        self.rng = np.random.default_rng([seed, _CHOICE])
        self.pool = Pool.of(
            world.features, world.pairs[fold.train], prompt=world.prompt[fold.train]
        )
        self.prompts = self._prompts()
        self.memory: dict[str, Any] = {}
        self.belief: Any = None
        self.asked = np.empty(0, dtype=np.int64)
        self.round = self.filled = self.waited = 0
        self.ask(fold.first)

    @property
    def labels(self) -> int:
        return len(self.asked)

    def ask(self, chosen: NDArray[np.int64]) -> None:
        """Pay for these pairs."""
        self.asked = np.concatenate([self.asked, chosen])
        eligible = self.pool.eligible.copy()
        eligible[chosen] = False
        self.pool = self.pool.with_eligible(eligible)

    def learn(self, select_seconds: float) -> Step:
        """Refit on what was paid for, and measure."""
        started = time.perf_counter()
        known = self.fold.revealed.subset(self.asked)
        self.belief = self.head.fit(
            self.world.features, known, start=self.belief, recurring=self.recurring
        )
        seconds = select_seconds + time.perf_counter() - started
        figures = measure(self.belief, self.world, self.fold.exam)
        return Step(labels=self.labels, seconds=seconds, select_seconds=select_seconds, **figures)

    def choose(self, batch: int) -> NDArray[np.int64]:
        """Let the function choose; what it leaves open is drawn, so that costs stay equal."""
        # As in a campaign: a function that has seen too little would chase noise.
        waits = self.recipe.waits(self.belief) is not None
        self.waited += waits
        chosen = self._select(self.fallback if waits else self.recipe, self.pool, batch).indices
        if len(chosen) < batch:
            eligible = self.pool.eligible.copy()
            eligible[chosen] = False
            rest = self._select(
                self.uniform, self.pool.with_eligible(eligible), batch - len(chosen)
            )
            self.filled += len(rest)
            chosen = np.concatenate([chosen, rest.indices])
        self.round += 1
        return chosen

    def _select(self, recipe: Recipe, pool: Pool, batch: int) -> Selection:
        context = Context(
            round=self.round,
            labelled_prompts=self.pool.prompt[self.asked],
            prompts=self.prompts,
            memory=self.memory,
            budget_left=self.plan.labels - self.labels,
        )
        return recipe.select(pool, self.belief, context, batch, rng=self.rng)

    def _prompts(self) -> Prompts | None:
        method, entropy = self.recipe.method, self.world.prompt_entropy
        if not (method.needs_prompts or method.needs_entropy):
            return None
        ids = np.unique(self.pool.prompt)
        known = entropy[ids] if entropy is not None and method.needs_entropy else None
        return Prompts(ids=ids, vectors=self.world.prompt_vectors[ids], entropy=known)


def measure(belief: Belief, world: World, exam: Exam) -> dict[str, float]:
    """Return accuracy, log-loss, Brier score and ECE on the test side."""
    mu, s2 = belief.margin(world.features, exam.pairs)
    p = belief.preference(mu, s2)[exam.pair]
    outcome = exam.outcome
    decisive = outcome != 0
    winner = np.where(outcome > 0, p, 1.0 - p)[decisive]
    correct = np.where(winner == 0.5, 0.5, winner > 0.5)
    return {
        "accuracy": metrics.accuracy(p, outcome),
        "log_loss": metrics.log_loss(p, outcome),
        "brier": metrics.brier(p, outcome),
        "ece": metrics.ece(np.maximum(winner, 1.0 - winner), correct),
    }
