"""The model as it is trained: prepared for its device, with what is learnt beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.finetune import loss, lower, prefix, texts
from learning.finetune.calibration import Probe
from learning.finetune.data import Examples
from learning.finetune.model import RewardModel, load, parts
from learning.finetune.texts import Row
from learning.finetune.train_state import Setting
from learning.heads._likelihood import AnswerModel

_CPU_TOKENS: Final = 1_024  # at a time: little padding, and matrices that are large enough
_PACKED: Final = 1_024  # tokens of a packed row, at least
_ANSWERS_RATE: Final = 1e-2  # four numbers, next to millions of weights


@dataclass(frozen=True, slots=True, eq=False)
class Micro:
    """Pairs that are computed at a time.

    Attributes:
        rows: Tokens of their distinct responses.
        ends: Places in ``rows`` of left and right response, shape ``(2, n)``.
        outcome, strength, weight, noise: As in `learning.finetune.data`, each ``(n,)``.
        rated: Standardised ratings of ``rows``, ``(r, k)``, or ``None``.
    """

    rows: list[Row]
    ends: NDArray[np.int64]
    outcome: NDArray[Any]
    strength: NDArray[Any]
    weight: NDArray[np.float64]
    noise: NDArray[np.float64] | None
    rated: NDArray[np.float32] | None

    @property
    def tokens(self) -> int:
        """Tokens of all texts, prompts counted for each response."""
        return sum(map(len, self.rows))


def micro(examples: Examples, rows: list[Row], chosen: NDArray[np.int64], rated: Any) -> Micro:
    """Gather comparisons ``chosen``."""
    data = examples.comparisons
    used, place = np.unique(data.pairs[chosen], return_inverse=True)
    return Micro(
        rows=[rows[row] for row in used],
        ends=place.reshape(-1, 2).T,
        outcome=data.outcome[chosen],
        strength=data.strength[chosen],
        weight=data.weight[chosen],
        noise=None if examples.noise is None else examples.noise[chosen],
        rated=None if rated is None else rated[used],
    )


class Scorer(nn.Module):
    """Model, answer model and aspect head: texts and labels in, a loss out."""

    def __init__(self, model: RewardModel, setting: Setting, *, aspects: int) -> None:
        super().__init__()
        self.model, self.core = model, model.core
        self.share, self.pack = setting.share, setting.pack
        self.answers: loss.Answers | None = None
        self.aspects = nn.Linear(model.dim, aspects) if aspects else None
        if self.aspects is not None:
            nn.init.zeros_(self.aspects.weight)

    def start(self, begin: Probe | None, answers: AnswerModel, tie: float | None) -> None:
        """Put the probe into the scalar head, and an answer model beside it."""
        device = self.model.last.weight.device
        self.answers = loss.Answers(answers, fixed_tie=tie).to(device)
        if begin is None:
            return
        with torch.no_grad():
            self.model.last.weight[0].copy_(torch.from_numpy(begin.weight))
            if self.model.last.bias is not None:
                self.model.last.bias.fill_(begin.bias)

    def features(self, rows: list[Row]) -> Tensor:
        """Return the last layer's input, ``(r, dim)``, with gradients."""
        pad, device = self.model.reader.pad, self.model.last.weight.device
        if self.share or self.pack:
            room = max(_PACKED, self.model.reader.limit) if self.pack else 0
            packed = prefix.pack(rows, pad, share=self.share, capacity=room)
            return cast(Tensor, prefix.features(self.model, packed))
        if device.type != "cpu":
            padded = texts.tensors(rows, self.model.reader, device, multiple=8)
            return cast(Tensor, self.model.features(padded))
        order = parts(rows, _CPU_TOKENS)
        made = [
            self.model.features(texts.tensors([rows[place] for place in part], self.model.reader))
            for part in order
        ]
        back = np.argsort(np.concatenate(order), kind="stable")
        return torch.cat(made)[torch.from_numpy(back)]

    def forward(self, given: Micro) -> Tensor:
        """Return the summed loss of the pairs, weighted, in nats."""
        device = self.model.last.weight.device
        features = self.features(given.rows)
        rewards = self.model.rewards(features)
        answers = self.answers
        if answers is None:
            raise RuntimeError("the scorer was not started")

        def there(values: NDArray[Any]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        def real(values: NDArray[Any]) -> Tensor:
            return there(values).to(rewards.dtype)

        left, right = there(given.ends)
        noise = None if given.noise is None else real(given.noise)
        with torch.autocast(device.type, enabled=False):
            each = loss.losses(
                rewards[left] - rewards[right],
                real(given.outcome),
                there(given.strength),
                answers,
                noise,
            )
            total = (real(given.weight) * each).sum() + 0.0 * answers.scale.sum()
            if self.aspects is not None and given.rated is not None:
                guess = self.aspects(features.to(self.aspects.weight.dtype))
                total = total + loss.ASPECT_SHARE * loss.aspect_loss(guess, there(given.rated))
        return total

    def trained(self) -> dict[str, nn.Parameter]:
        """Return the weights that are learnt, by name."""
        return {name: one for name, one in self.named_parameters() if one.requires_grad}


def prepared(setting: Setting) -> tuple[RewardModel, Callable[[], RewardModel]]:
    """Load a model, ready to be trained, and what makes a plain model of it afterwards."""
    plan, device = setting.plan, setting.accelerator.device
    lora = plan.method == "lora"
    dtype = "bfloat16" if lora and setting.half else "float32"
    model = load(setting.base, max_tokens=plan.max_tokens, dtype=dtype)
    model.core.to(device)
    model.last.float()
    if not plan.dropout:
        for one in model.core.modules():
            if isinstance(one, nn.Dropout):
                one.p = 0.0
    if plan.checkpointing:
        model.core.activation_checkpointing_enable({"use_reentrant": False})
    if not lora:
        lower.freeze(model.core, lower.below(model.core, plan.layers))
        return model, lambda: model
    wrapped = _adapted(model, setting)

    def merged() -> RewardModel:
        wrapped.float()  # adapters are small beside the digits of bfloat16
        core = wrapped.merge_and_unload()
        return RewardModel(core, model.last, model.reader, model.decoder, model.fresh)

    return model, merged


def _adapted(model: RewardModel, setting: Setting) -> Any:
    """Put adapters beside every matrix but the head, and those that are new anyway."""
    from peft import LoraConfig, get_peft_model

    plan = setting.plan
    upper = lower.upper(model.core, lower.below(model.core, plan.layers))
    targets = [
        name
        for name, one in model.core.named_modules()
        if isinstance(one, nn.Linear)
        and one is not model.last
        and f"{name}.weight" in upper - set(model.fresh)
    ]
    config = LoraConfig(
        r=plan.lora_rank,
        lora_alpha=plan.lora_alpha,
        lora_dropout=0.0,
        target_modules=targets,
        bias="none",
    )
    new = [one for name, one in model.core.named_parameters() if name in model.fresh]
    with warnings.catch_warnings():  # peft asks for what transformers has renamed
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(model.core, config)
    for one in (*new, *model.last.parameters()):
        one.requires_grad_(True)
    return wrapped


def optimizer(scorer: Scorer, setting: Setting) -> Any:
    """Return AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101); only matrices decay."""
    weights = scorer.trained()
    rate = setting.plan.rate(sum(one.numel() for one in scorer.core.parameters()))
    answers = {id(one) for one in scorer.answers.parameters()} if scorer.answers else set()
    matrices = [one for one in weights.values() if one.ndim > 1]
    others = [one for one in weights.values() if one.ndim <= 1 and id(one) not in answers]
    scale = [one for one in weights.values() if id(one) in answers]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "peak": rate, "weight_decay": setting.plan.weight_decay},
        {"params": others, "peak": rate, "weight_decay": 0.0},
        {"params": scale, "peak": max(rate, _ANSWERS_RATE), "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=rate, fused=True)


def rate_at(step: int, total: int, warm: float) -> float:
    """Return the share of the peak rate at a step, from 0: up in a line, then down to zero."""
    rising = max(1, round(warm * total))
    if step < rising:
        return (step + 1) / rising
    return max(total - step, 1) / max(total - rising + 1, 1)
