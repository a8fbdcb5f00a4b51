"""Training all members of an ensemble of adapters in one pass, and putting them to scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning._checks import within
from learning.data import Comparisons
from learning.errors import ConfigError
from learning.finetune.errors import Diverged, NothingToLearn
from learning.finetune.lora_ensemble import LoraEnsemble
from learning.finetune.texts import Row
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


def _quiet(done: int, total: int) -> None:
    """Report to nobody."""


def fit(
    ensemble: LoraEnsemble,
    rows: Sequence[Row],
    data: Comparisons,
    schedule: Schedule,
    *,
    report: Callable[[int, int], None] = _quiet,
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
    if ensemble.shape.members < 2 * schedule.folds:
        raise ConfigError(
            f"{schedule.folds} folds need {2 * schedule.folds} members at least, "
            f"got {ensemble.shape.members}"
        )
    within(data.pairs.ravel(), "comparisons", rows=len(rows))
    start = _first_answers(data, ensemble.answers)
    members = np.arange(ensemble.shape.members)
    kept = folds_of(data, schedule.folds) != members[:, None] % schedule.folds  # (K, n)
    train(ensemble, rows, data, kept, start, schedule, report=report)
    return scaled(ensemble, ensemble.rewards(rows), data, kept, start)


def train(
    ensemble: LoraEnsemble,
    rows: Sequence[Row],
    data: Comparisons,
    kept: NDArray[np.bool_],
    answers: AnswerModel,
    schedule: Schedule,
    *,
    report: Callable[[int, int], None] = _quiet,
) -> None:
    """Train the members in place; ``kept`` says which comparison each may see, ``(K, n)``."""
    steps = -(-len(data) * schedule.epochs // min(schedule.batch, len(data)))
    order = batches(len(data), schedule.batch, steps, schedule.seed)
    weights = list(ensemble.parameters.values())
    share = torch.as_tensor(kept * data.weight, dtype=weights[0].dtype)
    outcome = torch.as_tensor(data.outcome.astype(np.float64), dtype=weights[0].dtype)
    said = says_of(data.strength)
    says = torch.as_tensor(said, dtype=weights[0].dtype) if said.any() else None
    device = weights[0].device
    with torch.enable_grad():
        adam = torch.optim.AdamW(weights, lr=schedule.learning_rate, weight_decay=0.0)
        for step, part in enumerate(order):
            for group in adam.param_groups:
                group["lr"] = schedule.learning_rate * (1.0 - 0.9 * step / len(order))
            ends = [*data.left[part], *data.right[part]]
            left, right = ensemble.forward([rows[at] for at in ends]).chunk(2, dim=1)
            heard = None if says is None else says[:, part].to(device)
            value = log_likelihood(left - right, outcome[part].to(device), heard, answers)
            loss = -(share[:, part].to(device) * value).sum() / len(part)
            if not torch.isfinite(loss):
                raise Diverged(step + 1)
            adam.zero_grad()
            torch.autograd.backward(loss)
            clip(weights, schedule.clip)
            adam.step()
            report(step + 1, len(order))


def clip(weights: Sequence[nn.Parameter], most: float) -> None:
    """Shorten the gradient of every member by itself; ``grad`` is ``(K, ...)``."""
    grads = [weight.grad for weight in weights if weight.grad is not None]
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
    wide = rewards.astype(np.float64)
    bag = OutOfBag.of((wide[data.left] - wide[data.right]).T, kept)
    scale = 1.0
    for _ in range(_ROUNDS):
        scale = choose_scale(bag, data, answers)
        answers = fit_answer_model(scale * bag.mean, scale**2 * bag.variance, data, answers)
    return replace(ensemble, scale=scale, answers=answers)


def _first_answers(data: Comparisons, start: AnswerModel) -> AnswerModel:
    """What the prior expects of ties and strengths."""
    mu, s2 = np.zeros(len(data)), np.full(len(data), PRIOR_MARGIN_VARIANCE)
    return fit_answer_model(mu, s2, data, start)
