"""One model trained from the base: for a fold, or on all labels. Goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from learning import metrics
from learning.data import Comparisons
from learning.finetune import batches, calibration, loss
from learning.finetune.batches import Step
from learning.finetune.checkpoints import Checkpoint
from learning.finetune.errors import Diverged, OutOfMemory
from learning.finetune.model import RewardModel
from learning.finetune.train_model import Scorer, micro, optimizer, prepared, rate_at
from learning.finetune.train_state import Progress, Setting, capture, no_room, restore
from learning.heads._likelihood import AnswerModel

_CPU_PAIRS: Final = 8  # computed at a time where no memory is short: little padding
_BEST: Final = "best/"
_PATIENCE: Final = 1  # passes without a better one


@dataclass(slots=True)
class Counts:
    """What a stage has done, over all processes that worked on it."""

    epoch: int = 0
    at: int = 0  # steps of this epoch
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    micro: int = 0
    best: int = 0
    losses: list[float] = field(default_factory=list)  # mean of each epoch, in nats
    sum: float = 0.0  # of this epoch


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What came out.

    Attributes:
        model: The model, adapters merged, as it was after the best epoch.
        margins: Of the test pairs after every epoch, the frozen features first, ``(e, k)``.
        counts: What it took.
        answers: How margins become answers.
        stored: Whether the margins came from a fold that was finished earlier.
    """

    model: RewardModel
    margins: NDArray[np.float64]
    counts: Counts
    answers: AnswerModel


class Stage:
    """Trains one model.

    Args:
        setting: What all stages share.
        name: ``training``, or ``fold-0`` and so on.
        train: Comparisons to learn from.
        test: Comparisons to look at after every epoch; none for the last model.
        epochs: Passes, at most.
        patient: Whether to stop once the test labels are predicted worse.
        before, total: Steps of earlier stages, and of all, for progress.
    """

    def __init__(
        self,
        setting: Setting,
        name: str,
        train: NDArray[np.int64],
        *,
        test: NDArray[np.int64],
        epochs: int,
        patient: bool = False,
        before: int = 0,
        total: int = 0,
    ) -> None:
        self.setting, self.name, self.epochs, self.patient = setting, name, epochs, patient
        self.train, self.test = train, test
        self.before = before
        self.device = setting.accelerator.device
        self.plan, self.data = setting.plan, setting.examples.comparisons
        self.mean_weight = float(self.data.weight[train].mean())
        self.schedule = schedule(setting, train, epochs)
        self.length = sum(map(len, self.schedule))
        self.total = total or self.length
        self.counts = Counts(micro=first_micro(setting))
        self.margins: list[NDArray[np.float64]] = []
        self.best: dict[str, Any] = {}

    def run(self) -> Trained:
        """Train, or go on training.

        Raises:
            FinetuneError: see :func:`learning.finetune.finetune`.
        """
        saved = self.setting.checkpoints.load()
        mine = saved if saved is not None and saved.state.get("stage") == self.name else None
        self._build(mine)
        self._began, self._saved = time.monotonic(), time.monotonic()
        for epoch in range(self.counts.epoch, self.epochs):
            if self._enough():
                break
            self._epoch(self.schedule[epoch])
        if self.best:
            with torch.no_grad():
                for name, value in self.scorer.trained().items():
                    value.copy_(self.best[name])
        self._clock()
        answers = self.scorer.answers
        told = answers.model() if answers is not None else AnswerModel(0.0)
        return Trained(self._merged(), np.array(self.margins), self.counts, told)

    def _build(self, saved: Checkpoint | None) -> None:
        setting = self.setting
        torch.manual_seed(self.plan.seed)
        model, self._merged = prepared(setting)
        self.rated, aspects = None, 0
        if self.plan.aspects and setting.examples.aspects is not None:
            self.rated = loss.standardised(setting.examples.aspects)
            aspects = self.rated.shape[1]
        self.scorer = Scorer(model, setting, aspects=aspects).to(self.device)
        tie = fixed_tie(setting)
        if saved is None:
            found = self._probe(tie)
            self.scorer.start(None if model.has_head else found, found.answers, tie)
        else:
            self.scorer.start(None, AnswerModel(0.1, 1.0, (0.5, 2.0)), tie)
        self.optimizer = optimizer(self.scorer, setting)
        if saved is not None:
            self._resume(saved)
        prepare = setting.accelerator.prepare
        several = setting.accelerator.num_processes > 1
        self.runner = prepare(self.scorer) if several else self.scorer
        self.runner.train()
        if saved is None and len(self.test):
            self._look()

    def _probe(self, tie: float | None) -> calibration.Probe:
        """The Laplace head on the frozen features of what is trained on."""
        data = self.data.subset(self.train)
        used, place = np.unique(data.pairs, return_inverse=True)
        left, right = place.reshape(-1, 2).T
        local = Comparisons.of(
            left, right, data.outcome, strength=data.strength, weight=data.weight
        )
        return calibration.probe(self.setting.frozen[used], local, tie=tie)

    def _read(self, model: RewardModel, used: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = [self.setting.rows[row] for row in used]
        return model.read(rows, half=self.setting.half, tick=self.setting.teller.tick)

    def _half(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.setting.half)

    def _epoch(self, steps: Sequence[Step]) -> None:
        counts = self.counts
        while counts.at < len(steps):
            value = self._step(steps[counts.at])
            counts.at += 1
            counts.steps += 1
            counts.sum += value
            if time.monotonic() - self._saved >= self.plan.checkpoint_seconds:
                self._save()
            self._tell(value)
        counts.losses.append(counts.sum / len(steps))
        counts.epoch, counts.at, counts.sum = counts.epoch + 1, 0, 0.0
        if len(self.test):
            self._look()
        self._save()
        self._tell(None, now=True)

    def _step(self, step: Step) -> float:
        """Take one optimiser step; return the mean loss."""
        value = None
        while value is None:
            value = self._try(step)
        trained = list(self.scorer.trained().values())
        norm = float(torch.nn.utils.clip_grad_norm_(trained, self.plan.clip))
        if not (np.isfinite(value) and np.isfinite(norm)):
            raise Diverged(self.counts.steps + 1)
        share = rate_at(self.counts.steps, self.length, self.plan.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def _try(self, step: Step) -> float | None:
        """Gradients of a step; None, and fewer pairs at a time, where memory ran out."""
        try:
            return self._gradients(step)
        except (RuntimeError, MemoryError) as error:
            if not no_room(error):
                raise
        # Outside of the handler, whose traceback holds on to the activations.
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.counts.micro <= 1:
            raise OutOfMemory(
                "Memory ran out even with one pair at a time; a shorter max_tokens, LoRA, or "
                "checkpointing of activations needs less."
            )
        self.counts.micro //= 2
        return None

    def _gradients(self, step: Step) -> float:
        accelerator, counts = self.setting.accelerator, self.counts
        pieces = batches.micro_batches(step, counts.micro)
        comparisons = sum(map(len, pieces))
        own = pieces[accelerator.process_index :: accelerator.num_processes] or [pieces[0][:0]]
        scale = accelerator.num_processes / (comparisons * self.mean_weight)
        value, tokens = 0.0, 0
        for last, piece in _with_last(own):
            idle = not len(piece)  # more processes than pieces: it takes part, and adds nothing
            given = micro(
                self.setting.examples,
                self.setting.rows,
                pieces[0][:1] if idle else piece,
                self.rated,
            )
            waits = nullcontext() if last else accelerator.no_sync(self.runner)
            with waits, self._half():
                total = self.runner(given) * (0.0 if idle else scale)
            torch.autograd.backward(total)
            value += float(total.detach())
            tokens += 0 if idle else given.tokens
        if accelerator.num_processes > 1:
            both = torch.tensor([value, float(tokens)], device=self.device)
            both = accelerator.reduce(both, "sum")
            value, tokens = float(both[0]) / accelerator.num_processes, int(both[1])
        counts.tokens += tokens
        return value

    def _look(self) -> None:
        """Ask the model about the test pairs, and keep it if it never did better."""
        used, place = np.unique(self.data.pairs[self.test], return_inverse=True)
        left, right = place.reshape(-1, 2).T
        model = self.scorer.model
        seen = self._read(model, used) if self.counts.epoch else self.setting.frozen[used]
        features = torch.from_numpy(seen).double()
        with torch.no_grad():
            rewards = (features @ model.last.weight[0].double().cpu()).numpy()
        self.margins.append(rewards[left] - rewards[right])
        if len(self.margins) < 2:
            return
        scores = self._scores()
        if self.counts.best == 0 or scores[-1] < scores[self.counts.best]:
            self.counts.best = len(scores) - 1
            if self.patient:
                trained = self.scorer.trained().items()
                self.best = {name: value.detach().cpu().clone() for name, value in trained}

    def _scores(self) -> list[float]:
        outcome = self.data.outcome[self.test]
        return [metrics.log_loss(expit(margin), outcome) for margin in self.margins]

    def _enough(self) -> bool:
        """Whether the last passes made it worse."""
        gone = len(self.margins) - 1
        return self.patient and gone > 0 and gone - self.counts.best >= _PATIENCE

    def _clock(self) -> None:
        now = time.monotonic()
        self.counts.seconds += now - self._began
        self._began = now

    def _save(self) -> None:
        self._clock()
        if not self.setting.accelerator.is_main_process:
            return
        state = {
            "stage": self.name,
            "counts": {n: getattr(self.counts, n) for n in Counts.__slots__},
        }
        tensors = capture(self.scorer.trained(), self.optimizer, self.device)
        tensors |= {f"{_BEST}{name}": value for name, value in self.best.items()}
        for place, margin in enumerate(self.margins):
            tensors[f"margins/{place}"] = torch.from_numpy(margin)
        self.setting.checkpoints.save(state, tensors)
        self._saved = time.monotonic()

    def _resume(self, saved: Checkpoint) -> None:
        self.counts = Counts(**saved.state["counts"])
        restore(saved.tensors, self.scorer.trained(), self.optimizer, self.device)
        for name, value in saved.tensors.items():
            if name.startswith(_BEST):
                self.best[name.removeprefix(_BEST)] = value
        while (name := f"margins/{len(self.margins)}") in saved.tensors:
            self.margins.append(saved.tensors[name].numpy())

    def _tell(self, value: float | None, *, now: bool = False) -> None:
        stage = "training" if self.name == "training" else "tuning"
        seconds = time.monotonic() - self._began + self.counts.seconds
        speed = self.counts.tokens / seconds if seconds > 0 else None
        done = self.before + self.counts.steps
        self.setting.teller.tell(Progress(stage, done, self.total, value, speed), now=now)


def schedule(setting: Setting, train: NDArray[np.int64], epochs: int) -> list[list[Step]]:
    """Return the steps of every epoch."""
    plan = setting.plan
    of = batches.bundles(setting.examples, train, most=plan.batch)
    pairs = setting.examples.comparisons.pairs
    long = np.array([len(row) for row in setting.rows])
    lengths = np.array([int(long[pairs[np.concatenate(bundle)]].max()) for bundle in of])
    return [
        batches.steps(of, lengths, batch=plan.batch, seed=plan.seed, epoch=epoch)
        for epoch in range(epochs)
    ]


def first_micro(setting: Setting) -> int:
    """Return how many pairs are computed at a time until memory runs out."""
    plan = setting.plan
    most = plan.batch if setting.accelerator.device.type == "cuda" else min(_CPU_PAIRS, plan.batch)
    return min(plan.micro_batch, plan.batch) or most


def fixed_tie(setting: Setting) -> float | None:
    """Return Davidson's ``nu`` where it is not learnt: fixed by the plan, or there are no ties."""
    if setting.plan.tie >= 0:
        return setting.plan.tie
    return 0.0 if setting.examples.comparisons.decisive.all() else None


def _with_last(pieces: Sequence[NDArray[np.int64]]) -> Iterator[tuple[bool, NDArray[np.int64]]]:
    for place, piece in enumerate(pieces):
        yield place == len(pieces) - 1, piece
