"""Training all members of an ensemble of adapters in one pass, and putting them to scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning._checks import within
from learning.data import Comparisons
from learning.errors import ConfigError
from learning.finetune.checkpoints import Checkpoints
from learning.finetune.errors import Diverged, NothingToLearn, OutOfMemory
from learning.finetune.lora_ensemble import LoraEnsemble
from learning.finetune.texts import Row
from learning.finetune.train_state import Progress, Teller, capture, no_room, quiet, restore
from learning.heads._anchors import PRIOR_MARGIN_VARIANCE, batches, folds_of
from learning.heads._answers import fit_answer_model
from learning.heads._bags import OutOfBag, choose_scale
from learning.heads._likelihood import AnswerModel
from learning.heads._training import log_likelihood, says_of

_ROUNDS = 2  # scale and answer model in turn, as in the deep ensemble


@dataclass(frozen=True, slots=True)
class Schedule:
    """How members are trained.

    Attributes:
        epochs: Passes over the comparisons.
        batch: Comparisons a step.
        learning_rate: Of the first step; falls linearly to a tenth.
        clip: Largest norm of one member's gradient.
        folds: A member never sees one of so many parts of the comparisons, which is what the
            scale is found on. At least two members a fold.
        seed: Of the order.
    """

    epochs: int = 2
    batch: int = 16
    learning_rate: float = 5e-4
    clip: float = 1.0
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.epochs, self.batch) < 1 or self.folds < 2:
            raise ConfigError("epochs and batch must be at least 1, folds at least 2")
        if not (self.learning_rate > 0 and self.clip > 0):
            raise ConfigError("learning_rate and clip must be positive")


@dataclass(slots=True)
class Run:
    """How far a training is, and what the machine allows.

    Attributes:
        teller: Whom to tell.
        at_once: Comparisons computed at a time; 0 is a whole step. Halved where memory runs out.
        checkpoints: Where the run is kept, so that it goes on when it is killed.
        every: Seconds between two of them.
        tokens: Read so far, once for all members.
    """

    teller: Teller
    at_once: int = 0
    checkpoints: Checkpoints | None = None
    every: float = 120.0
    tokens: int = 0


def fit(
    ensemble: LoraEnsemble,
    rows: Sequence[Row],
    data: Comparisons,
    schedule: Schedule,
    *,
    report: Callable[[Progress], None] = quiet,
) -> LoraEnsemble:
    """Train every member and find the scale on what each has not seen.

    The likelihood is that of the heads: Davidson's ties, strengths, weights.

    Args:
        ensemble: The members as attached, or as an earlier run left them; changed in place.
        rows: Tokens of each response with its prompt, ``m`` of them.
        data: Comparisons whose rows point into ``rows``.
        schedule: How.
        report: Told steps done and steps in all; may raise to stop.

    Returns:
        The same members, with scale and answer model.

    Raises:
        NothingToLearn: no decisive comparison.
        ConfigError: fewer than two members a fold.
        Diverged: the loss is not a number.
        ShapeError: a comparison points beyond the rows.
    """
    if not data.decisive.any():
        raise NothingToLearn("There are no labels that prefer one response.")
    within(data.pairs.ravel(), "comparisons", rows=len(rows))
    kept = seen_by(folds_of(data, schedule.folds), ensemble.shape.members, schedule.folds)
    start = first_answers(data, ensemble.answers)
    train(ensemble, rows, data, kept, start, schedule, run=Run(Teller(report)))
    return scaled(ensemble, ensemble.rewards(rows), data, kept, start)


def seen_by(fold: NDArray[np.int64], members: int, folds: int) -> NDArray[np.bool_]:
    """Return which comparison each member may see, ``(K, n)``; ``fold`` is ``(n,)``.

    Raises:
        ConfigError: fewer than two members a fold.
    """
    if members < 2 * folds:
        raise ConfigError(f"{folds} folds need {2 * folds} members at least, got {members}")
    return np.asarray(fold != np.arange(members)[:, None] % folds)


def train(
    ensemble: LoraEnsemble,
    rows: Sequence[Row],
    data: Comparisons,
    kept: NDArray[np.bool_],
    answers: AnswerModel,
    schedule: Schedule,
    *,
    run: Run | None = None,
) -> None:
    """Train the members in place; ``kept`` says which comparison each may see, ``(K, n)``.

    Raises:
        Diverged: the loss is not a number.
        OutOfMemory: not even one comparison at a time can be computed.
        CheckpointFailed: the disk is full or gone.
    """
    with torch.enable_grad():
        _Training(ensemble, rows, data, kept, answers, schedule, run or Run(Teller(quiet))).go()


class _Training:
    """The steps of :func:`train`, with what they share."""

    def __init__(
        self,
        ensemble: LoraEnsemble,
        rows: Sequence[Row],
        data: Comparisons,
        kept: NDArray[np.bool_],
        answers: AnswerModel,
        schedule: Schedule,
        run: Run,
    ) -> None:
        self.ensemble, self.rows, self.data, self.answers = ensemble, rows, data, answers
        self.schedule, self.run = schedule, run
        steps = -(-len(data) * schedule.epochs // min(schedule.batch, len(data)))
        self.order = batches(len(data), schedule.batch, steps, schedule.seed)
        self.weights = ensemble.parameters
        like = next(iter(self.weights.values()))
        said = says_of(data.strength)
        self.device = like.device
        self.share = torch.as_tensor(kept * data.weight, dtype=like.dtype)
        self.outcome = torch.as_tensor(data.outcome.astype(np.float64), dtype=like.dtype)
        self.says = torch.as_tensor(said, dtype=like.dtype) if said.any() else None
        self.length = np.array([len(row) for row in rows])[data.pairs].max(axis=1)
        self.adam = torch.optim.AdamW(
            list(self.weights.values()), lr=schedule.learning_rate, weight_decay=0.0
        )

    def go(self) -> None:
        """Train, or go on."""
        first, run = self._resumed(), self.run
        began = saved = time.monotonic()
        before, total = run.tokens, len(self.order)
        run.teller.tell(Progress("ensemble", first, total), now=True)
        for step in range(first, total):
            loss = self._step(step)
            now = time.monotonic()
            last = step + 1 == total
            if run.checkpoints is not None and (last or now - saved >= run.every):
                self._save(run.checkpoints, step + 1)
                saved = now
            speed = (run.tokens - before) / max(now - began, 1e-9)
            told = Progress("ensemble", step + 1, total, loss / len(self.share), speed)
            run.teller.tell(told, now=last)

    def _step(self, step: int) -> float:
        """One step of the optimiser; returns the loss, summed over members."""
        for group in self.adam.param_groups:
            group["lr"] = self.schedule.learning_rate * (1.0 - 0.9 * step / len(self.order))
        part = self.order[step]
        found = None
        while found is None:
            self.adam.zero_grad()
            found = self._try(part)
        weights = list(self.weights.values())
        if not (np.isfinite(found) and all(torch.isfinite(g).all() for g in _grads(weights))):
            raise Diverged(step + 1)
        clip(weights, self.schedule.clip)
        self.adam.step()
        return found

    def _try(self, part: NDArray[np.int64]) -> float | None:
        """Gradients of a step; None, and fewer comparisons at a time, where memory ran out."""
        most = min(self.run.at_once or len(part), len(part))
        by_length = part[np.argsort(self.length[part], kind="stable")]  # little padding
        try:
            pieces = [by_length[at : at + most] for at in range(0, len(part), most)]
            return sum(self._gradients(piece, len(part)) for piece in pieces)
        except (RuntimeError, MemoryError) as error:
            if not no_room(error):
                raise
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if most <= 1:
            raise OutOfMemory(
                "Memory ran out even with one pair at a time; fewer members or a shorter "
                "max_tokens need less."
            )
        self.run.at_once = most // 2
        return None

    def _gradients(self, piece: NDArray[np.int64], of: int) -> float:
        given = [self.rows[at] for at in (*self.data.left[piece], *self.data.right[piece])]
        left, right = self.ensemble.forward(given).chunk(2, dim=1)
        heard = None if self.says is None else self.says[:, piece].to(self.device)
        outcome = self.outcome[piece].to(self.device)
        value = log_likelihood(left - right, outcome, heard, self.answers)
        loss = -(self.share[:, piece].to(self.device) * value).sum() / of
        torch.autograd.backward(loss)
        self.run.tokens += sum(map(len, given))
        self.run.teller.tick()  # a step of many members may take minutes
        return float(loss.detach())

    def _save(self, checkpoints: Checkpoints, step: int) -> None:
        tensors = capture(self.weights, self.adam, self.device)
        checkpoints.save({"step": step, "tokens": self.run.tokens}, tensors)

    def _resumed(self) -> int:
        """Steps that an earlier attempt has done."""
        stored = self.run.checkpoints.load() if self.run.checkpoints is not None else None
        if stored is None:
            return 0
        restore(stored.tensors, self.weights, self.adam, self.device)
        self.run.tokens = int(stored.state["tokens"])
        return int(stored.state["step"])


def _grads(weights: Sequence[nn.Parameter]) -> list[Tensor]:
    return [weight.grad for weight in weights if weight.grad is not None]


def clip(weights: Sequence[nn.Parameter], most: float) -> None:
    """Shorten the gradient of every member by itself; ``grad`` is ``(K, ...)``."""
    grads = _grads(weights)
    squares: Tensor = torch.stack([g.flatten(1).square().sum(dim=1) for g in grads]).sum(dim=0)
    factor = (most / (squares.sqrt() + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
    for grad in grads:
        grad.mul_(factor.view(-1, *[1] * (grad.ndim - 1)))


def scaled(
    ensemble: LoraEnsemble,
    rewards: NDArray[np.float32],
    data: Comparisons,
    kept: NDArray[np.bool_],
    answers: AnswerModel,
) -> LoraEnsemble:
    """Return the ensemble with the scale and answer model most probable out of bag."""
    bag = out_of_bag(rewards, data, kept)
    scale = 1.0
    for _ in range(_ROUNDS):
        scale = choose_scale(bag, data, answers)
        answers = fit_answer_model(scale * bag.mean, scale**2 * bag.variance, data, answers)
    return replace(ensemble, scale=scale, answers=answers)


def out_of_bag(
    rewards: NDArray[np.floating[Any]], data: Comparisons, kept: NDArray[np.bool_]
) -> OutOfBag:
    """Return what members with these rewards ``(m, K)`` say of what they have not seen."""
    wide = rewards.astype(np.float64)
    return OutOfBag.of((wide[data.left] - wide[data.right]).T, kept)


def first_answers(data: Comparisons, start: AnswerModel) -> AnswerModel:
    """Return what the prior expects of ties and strengths."""
    mu, s2 = np.zeros(len(data)), np.full(len(data), PRIOR_MARGIN_VARIANCE)
    return fit_answer_model(mu, s2, data, start)
