"""How fast a model trains and reads here and now: pieces of real steps, timed."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from learning.finetune import batches, loss
from learning.finetune.batches import Step
from learning.finetune.data import Examples
from learning.finetune.estimate import Pool, compact
from learning.finetune.plan import Plan
from learning.finetune.texts import Reader, Row
from learning.finetune.train_model import Scorer, micro, optimizer, prepared
from learning.finetune.train_setup import prepare
from learning.finetune.train_stage import first_micro, fixed_tie, schedule
from learning.finetune.train_state import Progress, Setting, Teller, no_room
from learning.heads._likelihood import AnswerModel

_BUDGET: Final = 5.0  # seconds of training that are timed, if single pairs allow it
_FEWEST, _MOST = 4, 64  # pieces that are timed
_READ: Final = 1.5  # seconds of reading
_TASTE: Final = 4  # texts that say how many can be read in that time
_Piece = NDArray[np.int64]  # rows of comparisons


@dataclass(frozen=True, slots=True)
class Counted:
    """What a sample of the labels says of all of them.

    Attributes:
        label: Tokens that are trained on for a label, in one pass.
        pair: Tokens of both its responses with their prompts, without padding.
        response: Tokens of a compared response with its prompt.
        batch: Labels of one step.
        truncated: Share of compared responses that were cut.
        pool: Tokens of all responses that features are wanted of; ``None`` where not told.
    """

    label: float
    pair: float
    response: float
    batch: float
    truncated: float
    pool: float | None

    def steps(self, labels: int) -> int:
        """Of one pass over so many labels."""
        return math.ceil(labels / self.batch)


@dataclass(frozen=True, slots=True)
class Speed:
    """What was measured.

    Attributes:
        train: Seconds a token that is trained on.
        spread: Standard error of it, relative.
        step: Seconds of the optimiser's own work in a step.
        read: Seconds a token of a text that an encoder reads, in full precision.
        look: The same within a training, in its precision; what lower layers make of it may be
            known.
        load: Seconds until a model is loaded.
        device: ``cpu`` or ``cuda``.
    """

    train: float
    spread: float
    step: float
    read: float
    look: float
    load: float
    device: str


def measured(
    base: Path, part: Examples, plan: Plan, *, pool: Pool | None, teller: Teller
) -> tuple[Counted, Speed]:
    """Count on a part of the labels, and time a few pieces of its steps; nothing is kept."""
    teller.tell(Progress("measuring"), now=True)
    with tempfile.TemporaryDirectory(prefix="estimate-") as folder:
        setting = _setting(base, compact(part, np.arange(1)), plan, Path(folder), teller)
        reader, alone = _gauged(setting)  # no second model beside the one that is timed
        rows, most = reader.rows(part.prompts, part.responses), first_micro(setting)
        steps = schedule(replace(setting, examples=part, rows=rows), np.arange(len(part)), 1)[0]
        counted = _counted(part, rows, steps, most, pool=_wanted(reader, pool))
        fit = min(most, max(1, int(_BUDGET / _FEWEST / alone)))
        drawn = _drawn(steps, fit, int(_BUDGET / alone / fit), seed=plan.seed)
        few = compact(part, np.concatenate(drawn))  # one piece after the other
        bench = _Bench(_setting(base, few, plan, Path(folder) / "few", teller))
        return counted, bench.measure(list(map(len, drawn)))


def _gauged(setting: Setting) -> tuple[Reader, float]:
    """How its model reads, and the seconds that a first pair takes."""
    bench = _Bench(setting)
    return bench.model.reader, bench.alone()


def _wanted(reader: Reader, pool: Pool | None) -> float | None:
    """Tokens of all responses that features are wanted of."""
    if pool is None:
        return None
    told = reader.rows(pool.prompts, pool.texts)
    return pool.responses * float(np.mean([len(row) for row in told] or [0]))


def _setting(base: Path, few: Examples, plan: Plan, folder: Path, teller: Teller) -> Setting:
    """As for a training on these alone."""
    return prepare(base, few, plan, folder, run="", teller=teller)[0]


def _counted(
    part: Examples, rows: list[Row], steps: list[Step], most: int, *, pool: float | None
) -> Counted:
    """Tokens of one pass, prompts counted for each response, as the training counts them."""
    pieces = [piece for step in steps for piece in batches.micro_batches(step, most)]
    lengths = np.array([len(row) for row in rows])
    tokens = sum(int(lengths[np.unique(part.comparisons.pairs[piece])].sum()) for piece in pieces)
    return Counted(
        label=tokens / len(part),
        pair=float(lengths[part.comparisons.pairs].sum(axis=1).mean()),
        response=float(lengths.mean()),
        batch=len(part) / len(steps),
        truncated=float(np.mean([row.cut for row in rows])),
        pool=pool,
    )


def _drawn(steps: list[Step], pairs: int, count: int, *, seed: int) -> list[_Piece]:
    """Some pieces of the steps, computed ``pairs`` at a time."""
    made = [piece for step in steps for piece in batches.micro_batches(step, pairs)]
    order = np.random.default_rng([seed, 13]).permutation(len(made))
    return [made[place] for place in order[: min(_MOST, max(_FEWEST, count))]]


class _Bench:
    """A model as it is trained, and what is timed on it."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.plan = setting, setting.plan
        self.device: Any = setting.accelerator.device
        torch.manual_seed(self.plan.seed)
        began = time.perf_counter()
        self.model, _ = prepared(setting)
        self.load = time.perf_counter() - began
        self.rated = None
        if self.plan.aspects and setting.examples.aspects is not None:
            self.rated = loss.standardised(setting.examples.aspects)
        aspects = 0 if self.rated is None else self.rated.shape[1]
        self.scorer = Scorer(self.model, setting, aspects=aspects).to(self.device)
        self.scorer.start(None, AnswerModel(0.1, 1.0, (0.5, 2.0)), fixed_tie(setting))
        self.optimizer = optimizer(self.scorer, setting)
        self.scorer.train()

    def alone(self) -> float:
        """Seconds that one pair takes, after a first."""
        pair = np.arange(1)
        self._train(pair)
        return max(self._train(pair)[1], 1e-6)

    def measure(self, sizes: list[int]) -> Speed:
        """Time pieces of so many comparisons each, the optimiser and reading."""
        ends = np.cumsum(sizes)
        pieces = [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self._train(pieces[0][:1])  # warms up
        self._clocked(self._step)
        tokens, seconds = np.array(self._many(pieces), np.float64).T
        train = seconds.sum() / tokens.sum()
        error = np.sqrt(np.square(seconds - train * tokens).sum() / max(len(tokens) - 1, 1))
        reader, examples = self.model.reader, self.setting.examples
        return Speed(
            train=float(train),
            spread=float(error / np.sqrt(len(tokens)) / seconds.mean()),
            step=self._clocked(self._step),
            read=self._reading(reader.rows(examples.prompts, examples.responses)),
            look=self._reading(self.setting.rows, half=self.setting.half),
            load=self.load,
            device=str(self.device.type),
        )

    def _many(self, pieces: list[_Piece]) -> list[tuple[int, float]]:
        """Tokens and seconds of pieces; of half their size where memory ends, as in a training."""
        try:
            timed = []
            for place, piece in enumerate(pieces):
                self.setting.teller.tell(Progress("measuring", place, len(pieces)))
                timed.append(self._train(piece))
            return timed
        except (RuntimeError, MemoryError) as error:
            if not no_room(error) or max(map(len, pieces)) == 1:
                raise
        self.optimizer.zero_grad(set_to_none=True)
        return self._many([piece[: (len(piece) + 1) // 2] for piece in pieces])

    def _train(self, piece: _Piece) -> tuple[int, float]:
        """Gradients of a piece: its tokens, and seconds."""
        given = micro(self.setting.examples, self.setting.rows, piece, self.rated)

        def work() -> None:
            with self._half():
                total = self.scorer(given) / len(piece)
            torch.autograd.backward(total)

        return given.tokens, self._clocked(work)

    def _half(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.setting.half)

    def _step(self) -> None:
        """All the work of the optimiser; the weights stay."""
        torch.nn.utils.clip_grad_norm_(list(self.scorer.trained().values()), self.plan.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = 0.0
        self.optimizer.step()

    def _reading(self, rows: list[Row], *, half: bool = False) -> float:
        """Seconds a token that is read."""
        order = np.random.default_rng([self.plan.seed, 17]).permutation(len(rows))

        def read(count: int) -> tuple[int, float]:
            chosen = [rows[place] for place in order[:count]]

            def work() -> None:
                self.model.read(chosen, half=half)

            return sum(map(len, chosen)), self._clocked(work)

        tokens, seconds = read(_TASTE)
        tokens, seconds = read(max(_TASTE, int(_READ / seconds * _TASTE)))
        return seconds / tokens

    def _clocked(self, work: Callable[[], None]) -> float:
        self._wait()
        began = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
