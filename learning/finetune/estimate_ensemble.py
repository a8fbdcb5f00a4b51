"""How fast an ensemble of adapters trains and reads here and now: a few of its own steps, timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from learning.finetune import lora_ensemble_fit, model
from learning.finetune.data import Examples
from learning.finetune.estimate import compact
from learning.finetune.lora_ensemble import LoraEnsemble, Shape
from learning.finetune.lora_ensemble_fit import Run, Schedule
from learning.finetune.lora_ensemble_run import at_once, device
from learning.finetune.plan import Plan
from learning.finetune.texts import Row
from learning.finetune.train_state import Teller

_BUDGET: Final = 5.0  # seconds of training that are timed, if single pairs allow it
_FEWEST, _MOST = 4, 64  # pairs that are timed
_READ: Final = 1.5  # seconds of reading


@dataclass(frozen=True, slots=True)
class EnsembleSpeed:
    """What was measured, with all members at once.

    Attributes:
        train: Seconds a token of a compared response in a step.
        read: Seconds a token of a text whose rewards are computed.
    """

    train: float
    read: float


def measured(base: Path, part: Examples, plan: Plan, *, teller: Teller) -> EnsembleSpeed:
    """Train ``plan.members`` adapters on a few comparisons, and read some texts; nothing is kept.

    Raises:
        UnusableModel: the folder cannot be trained from.
        OutOfMemory: not even one pair at a time fits.
    """
    torch.manual_seed(plan.seed)
    loaded = model.load(base, max_tokens=plan.max_tokens)
    loaded.core.to(device())
    shape = Shape(plan.members, plan.lora_rank, plan.lora_alpha, plan.seed)
    bench = _Bench(LoraEnsemble.attach(loaded, shape), plan, teller)
    order = np.random.default_rng([plan.seed, 19]).permutation(len(part))
    bench.train(compact(part, order[:1]))  # warms up
    alone, _ = bench.train(compact(part, order[:1]))
    few = compact(part, order[: min(_MOST, max(_FEWEST, int(_BUDGET / alone)))])
    seconds, tokens = bench.train(few)
    return EnsembleSpeed(seconds / tokens, bench.read(few))


class _Bench:
    """Members as they are trained, and what is timed on them."""

    def __init__(self, ensemble: LoraEnsemble, plan: Plan, teller: Teller) -> None:
        self.ensemble, self.plan, self.teller = ensemble, plan, teller

    def train(self, few: Examples) -> tuple[float, int]:
        """Seconds that one pass takes, and its tokens."""
        data = few.comparisons
        answers = lora_ensemble_fit.first_answers(data, self.ensemble.answers)
        kept = np.ones((self.plan.members, len(data)), dtype=bool)
        rows, run = self._rows(few), Run(self.teller, at_once(self.plan))
        schedule = Schedule(epochs=1, batch=self.plan.batch, learning_rate=1e-9)
        began = time.perf_counter()
        lora_ensemble_fit.train(self.ensemble, rows, data, kept, answers, schedule, run=run)
        return time.perf_counter() - began, run.tokens

    def read(self, few: Examples) -> float:
        """Seconds a token that is read."""
        rows = self._rows(few)
        seconds = self._reading(rows[:1])
        some = rows[: max(1, int(_READ / seconds))]
        return self._reading(some) / sum(map(len, some))

    def _reading(self, rows: list[Row]) -> float:
        began = time.perf_counter()
        self.ensemble.rewards(rows, tick=self.teller.tick)
        return max(time.perf_counter() - began, 1e-6)

    def _rows(self, few: Examples) -> list[Row]:
        return self.ensemble.model.reader.rows(few.prompts, few.responses)
