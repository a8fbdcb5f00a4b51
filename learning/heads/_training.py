"""All members of an ensemble trained in one vectorised pass, on CPU or GPU.

The members share the mini-batches and differ in their draws from the prior and in the
comparisons that are kept from them. The loss is a sum over members and the optimiser works
weight by weight, so that none feels the others: training them one by one gives the same.
Imports torch; nothing else in the heads does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

from learning.data import Networks
from learning.errors import ConfigError
from learning.heads._anchors import Problem
from learning.heads._likelihood import AnswerModel


def train(
    start: Networks,
    task: Problem,
    batches: NDArray[np.int64],
    *,
    learning_rate: float,
    device: str,
) -> Networks:
    """Return the members after one Adam step a batch, the rate falling linearly to a tenth.

    Args:
        start: Where to begin.
        task: What to learn from.
        batches: Comparisons of every step, shape ``(steps, b)``.
        learning_rate: Of the first step.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        ConfigError: there is no such device here.
    """
    where = pick_device(device)
    names = list(start.arrays())
    # Sum over members, mean over comparisons: the size of n must not change the step.
    with torch.enable_grad():  # whatever the caller has switched off
        weights = [
            torch.tensor(v, device=where, requires_grad=True) for v in start.arrays().values()
        ]
        pull = _Pull(task, names, where)
        batch = _Batches(task, batches, where)
        adam = torch.optim.Adam(weights, lr=learning_rate)
        for step in range(len(batches)):
            for group in adam.param_groups:
                group["lr"] = learning_rate * (1.0 - 0.9 * step / len(batches))
            loss = batch.loss(step, weights) + pull.loss(weights)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
    arrays = [weight.detach().cpu().numpy() for weight in weights]
    return Networks(**dict(zip(names, arrays, strict=True)))


def pick_device(name: str) -> torch.device:
    """Return the device; ``auto`` is a GPU where there is one.

    Raises:
        ConfigError: ``cuda`` is asked for and not there, or the name is unknown.
    """
    there = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if there else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not there):
        raise ConfigError(f"device {name!r} is not here; use auto, cpu or, with a GPU, cuda")
    return torch.device(name)


def log_likelihood(
    margin: Tensor, outcome: Tensor, says: Tensor | None, model: AnswerModel
) -> Tensor:
    """Return what :func:`learning.heads._likelihood.terms` calls value, up to a constant.

    Args:
        margin: Shape ``(..., n)``.
        outcome: 1, 0 or -1, shape ``(n,)``.
        says: What the strength says of either cut, see :func:`says_of`, shape ``(2, n)``.
        model: How margins become answers.
    """
    size = margin.abs()
    small = torch.exp(-size / 2)
    value = outcome * margin / 2 - size / 2 - torch.log1p(small * (small + 2 * model.tie))
    if says is None:
        return value
    for cut, said in zip(model.cuts, says, strict=True):
        reach = model.slope * outcome * margin - cut
        value = value + said.abs() * logsigmoid(said * reach)
    return value


def says_of(strength: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return whether strengths say that either cut was reached (1) or not (-1), ``(2, n)``."""
    first = np.select([strength == 1, strength == 2], [-1.0, 1.0], 0.0)
    second = np.select([strength == 3, strength == 2], [1.0, -1.0], 0.0)
    return np.stack([first, second]).astype(np.float32)


def rewards(weights: Sequence[Tensor], phi: Tensor) -> Tensor:
    """Return every member's reward of responses ``(m, d)``, shape ``(K, m)``."""
    first, first_bias, second, second_bias, last = weights
    d, k, h = first.shape
    hidden = torch.relu(phi @ first.reshape(d, k * h) + first_bias.reshape(k * h))
    hidden = hidden.reshape(-1, k, h).transpose(0, 1)
    deeper = torch.relu(torch.baddbmm(second_bias[:, None, :], hidden, second))
    return torch.bmm(deeper, last[:, :, None])[:, :, 0]


class _Pull:
    """The anchored prior, a mean over comparisons as the loss is."""

    def __init__(self, task: Problem, names: Sequence[str], device: torch.device) -> None:
        arrays = task.anchors.networks.arrays()
        self.anchors = [torch.tensor(arrays[name], device=device) for name in names]
        each = task.precision / (2.0 * len(task.data))
        self.strength = [each / task.anchors.sd[name] ** 2 for name in names]

    def loss(self, weights: Sequence[Tensor]) -> Tensor:
        parts = zip(self.strength, weights, self.anchors, strict=True)
        return torch.stack([by * (now - then).square().sum() for by, now, then in parts]).sum()


class _Batches:
    """Features and answers on the device, a batch at a time."""

    def __init__(self, task: Problem, batches: NDArray[np.int64], device: torch.device) -> None:
        used, place = np.unique(task.data.pairs, return_inverse=True)

        def there(values: NDArray[Any]) -> Tensor:
            return torch.tensor(np.ascontiguousarray(values), device=device)

        self.phi = there(task.features[used].astype(np.float32))
        self.ends = there(place.reshape(-1, 2).T)
        self.outcome = there(task.data.outcome.astype(np.float32))
        says = says_of(task.data.strength)
        self.says = there(says) if says.any() else None
        self.share = there((task.kept * task.data.weight).astype(np.float32))
        self.batches, self.model = there(batches), task.model

    def loss(self, step: int, weights: Sequence[Tensor]) -> Tensor:
        batch = self.batches[step]
        # Two rewards a comparison rather than one a distinct response: gathering rewards has
        # a gradient that GPUs sum in no fixed order.
        reward = rewards(weights, self.phi[self.ends[:, batch].reshape(-1)])
        left, right = reward.chunk(2, dim=1)
        says = None if self.says is None else self.says[:, batch]
        value = log_likelihood(left - right, self.outcome[batch], says, self.model)
        return -(self.share[:, batch] * value).sum() / len(batch)
