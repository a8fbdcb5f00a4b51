"""An ensemble of low-rank adapters over one frozen model, computed side by side.

``K`` members share the weights of a sequence classifier with one output. Each has its own
low-rank factors beside every linear layer and its own last layer. A batch goes through the
shared weights as ``K b`` rows, the factors along a member axis, so that one forward and one
backward pass serve all; no member feels the others.

Source:
    Hu et al. (2021), arXiv:2106.09685, eq. 3, for the adapter; Wang, Aitchison and Rudolph
    (2023), arXiv:2310.00035, for ensembles of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from learning.data import Ensemble
from learning.errors import ConfigError
from learning.finetune.errors import UnusableModel
from learning.finetune.lora_ensemble_belief import RECORD, WEIGHTS, belief_of
from learning.finetune.model import RewardModel, parts
from learning.finetune.model import load as load_model
from learning.finetune.texts import Row, tensors
from learning.heads._likelihood import AnswerModel

_FRESH: Final = "fresh/"  # prefix of the weights that the base's folder lacks
_ANSWERS: Final = AnswerModel(tie=0.1)  # before any answer


@dataclass(frozen=True, slots=True)
class Shape:
    """Size of an ensemble.

    Attributes:
        members: ``K``, at least 2.
        rank: Of each adapter.
        alpha: Scale of the adapters, over the rank.
        seed: Member ``k`` is drawn from ``(seed, k)``, whatever the number of members.
    """

    members: int = 10
    rank: int = 8
    alpha: float = 16.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.members < 1 or self.rank < 1 or not 0 < self.alpha < math.inf:
            raise ConfigError("an ensemble needs members, a rank and a positive alpha")


class MemberLinear(nn.Module):
    """A frozen linear layer with the low-rank change of every member beside it."""

    def __init__(self, base: nn.Linear, shape: Shape, members: Sequence[int], place: int) -> None:
        super().__init__()
        self.base, self.scale = base, shape.alpha / shape.rank
        like: dict[str, Any] = {"dtype": base.weight.dtype, "device": base.weight.device}
        k, r = len(members), shape.rank
        self.A = nn.Parameter(torch.empty(k, r, base.in_features, **like))
        self.B = nn.Parameter(torch.zeros(k, base.out_features, r, **like))
        bound = 1.0 / math.sqrt(base.in_features)  # as a linear layer of torch begins
        for at, member in enumerate(members):
            drawn = _rng(shape.seed, member, place).uniform(-bound, bound, (r, base.in_features))
            self.A.data[at] = torch.as_tensor(drawn, **like)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's answer to rows ``(K b, ..., in)``, shape ``(K b, ..., out)``."""
        flat = x.reshape(self.A.shape[0], -1, x.shape[-1])  # (K, rows, in)
        low = torch.einsum("kni,kri->knr", flat, self.A)
        change = torch.einsum("knr,kor->kno", low, self.B)
        out: Tensor = self.base(x)
        return out + self.scale * change.reshape(out.shape)


class MemberHead(nn.Module):
    """The last layer of every member; no bias, which cancels in every difference."""

    def __init__(self, base: nn.Linear, shape: Shape, members: Sequence[int]) -> None:
        super().__init__()
        like: dict[str, Any] = {"dtype": base.weight.dtype, "device": base.weight.device}
        sd = 1.0 / math.sqrt(base.in_features)
        drawn = [_rng(shape.seed, k, -1).normal(0.0, sd, base.in_features) for k in members]
        start = torch.as_tensor(np.stack(drawn), **like)
        self.weight = nn.Parameter(base.weight.detach() + start)  # (K, in)

    def forward(self, x: Tensor) -> Tensor:
        """Return rewards of rows ``(K b, ..., in)``, shape ``(K b, ..., 1)``."""
        flat = x.reshape(self.weight.shape[0], -1, x.shape[-1])
        out = torch.einsum("kni,ki->kn", flat, self.weight)
        return out.reshape(*x.shape[:-1], 1)


@dataclass(frozen=True, slots=True, eq=False)
class LoraEnsemble:
    """A model with its members attached.

    Attributes:
        model: The reward model; its own weights are frozen, and it never drops out.
        shape: What was attached.
        scale: Factor on all rewards, found out of bag.
        answers: How margins become answers.
    """

    model: RewardModel
    shape: Shape
    scale: float = 1.0
    answers: AnswerModel = _ANSWERS

    @classmethod
    def attach(cls, model: RewardModel, shape: Shape, *, only: int | None = None) -> Self:
        """Put members beside every linear layer of a model, and in place of its last one.

        Args:
            model: A reward model, or a base that is to become one; it is changed.
            shape: How many members of which rank.
            only: Attach this member alone, the same as in the whole ensemble.

        Raises:
            UnusableModel: it has no linear layer before the last one.
        """
        core = model.core
        linear = {n: layer for n, layer in core.named_modules() if isinstance(layer, nn.Linear)}
        if len(linear) < 2:
            raise UnusableModel("The model has no linear layers that an adapter fits beside.")
        members = range(shape.members) if only is None else [only]
        core.requires_grad_(False)
        for place, (name, layer) in enumerate(linear.items()):
            if layer is model.last:
                _replace(core, name, MemberHead(layer, shape, members))
            else:
                _replace(core, name, MemberLinear(layer, shape, members, place))
        core.eval()
        return cls(model, shape)

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """What is trained, by name; the first axis of each is the member."""
        return {name: p for name, p in self.model.core.named_parameters() if p.requires_grad}

    def forward(self, rows: Sequence[Row]) -> Tensor:
        """Return every member's reward of tokenised texts, shape ``(K, b)``, unscaled."""
        k = next(iter(self.parameters.values())).shape[0]
        batch = tensors(rows, self.model.reader, self.model.core.device)
        wide = {name: values.repeat(k, 1) for name, values in batch.items()}
        more = {"use_cache": False} if self.model.decoder else {}
        logits: Tensor = self.model.core(**wide, **more).logits
        return logits.reshape(k, len(rows))

    @property
    def last_weight(self) -> nn.Parameter:
        """Weights of every member's last layer, ``(K, dim)``."""
        heads = (one for one in self.model.core.modules() if isinstance(one, MemberHead))
        return next(heads).weight

    @property
    def fresh(self) -> dict[str, nn.Parameter]:
        """Weights that the base's folder lacks, as they were drawn; the last layer is not in it."""
        own = self.model.core.named_parameters()
        new = set(self.model.fresh)
        return {n: p for n, p in own if n.replace(".base.", ".") in new and not p.requires_grad}

    def rewards(
        self,
        rows: Sequence[Row],
        *,
        tokens: int = 32_768,
        tick: Callable[[], None] = lambda: None,
    ) -> NDArray[np.float32]:
        """Return every member's reward of tokenised texts, shape ``(m, K)``, unscaled.

        ``tokens`` bounds what is computed at a time, padding and all members included; ``tick`` is
        called before each.
        """
        found = np.empty((len(rows), self.shape.members), dtype=np.float32)
        with torch.inference_mode():
            for part in parts(rows, tokens // self.shape.members):
                tick()
                found[part] = self.forward([rows[at] for at in part]).T.float().cpu().numpy()
        return found

    def belief(self, n_comparisons: int = 0) -> Ensemble:
        """Return what acquisition functions see; its features are :meth:`rewards`."""
        return belief_of(self.shape.members, self.scale, self.answers, n_comparisons=n_comparisons)

    def save(self, folder: Path, *, base: str, **more: Any) -> None:
        """Write adapters and record; ``base`` names the model they belong to.

        ``more`` goes into the record, as JSON.

        Raises:
            OSError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        stored = {**self.parameters, **{_FRESH + name: p for name, p in self.fresh.items()}}
        tensors = {name: p.detach().cpu().contiguous() for name, p in stored.items()}
        record = {
            **more,
            "base": base,
            "max_tokens": self.model.reader.limit,
            "members": self.shape.members,
            "rank": self.shape.rank,
            "alpha": self.shape.alpha,
            "seed": self.shape.seed,
            "scale": self.scale,
            "tie": self.answers.tie,
            "strength_slope": self.answers.slope,
            "strength_cuts": list(self.answers.cuts),
        }
        save_file(tensors, folder / f".{WEIGHTS}.tmp")
        (folder / f".{WEIGHTS}.tmp").replace(folder / WEIGHTS)
        (folder / f".{RECORD}.tmp").write_text(json.dumps(record, indent=1), encoding="utf-8")
        (folder / f".{RECORD}.tmp").replace(folder / RECORD)  # from here on it counts

    @classmethod
    def load(cls, folder: Path, model: RewardModel, *, base: str) -> Self:
        """Attach stored members to the model they belong to.

        Raises:
            UnusableModel: the files are missing or damaged, or belong to another model.
        """
        record = read_record(folder)
        if record.base != base:
            raise UnusableModel(f"{folder} belongs to the model {record.base}, not to {base}.")
        made = cls.attach(model, record.shape)
        record.fill(made, folder)
        return cls(made.model, record.shape, record.scale, record.answers)


@dataclass(frozen=True, slots=True)
class Record:
    """What is written beside the adapters.

    Attributes:
        base: Names the model that they belong to.
        max_tokens: Most tokens that it read.
        shape: How many members of which rank.
        scale: Factor on all rewards.
        answers: How margins become answers.
        more: What else was to be kept.
    """

    base: str
    max_tokens: int
    shape: Shape
    scale: float
    answers: AnswerModel
    more: dict[str, Any]

    def open(self, folder: Path, base: Path, *, key: str) -> LoraEnsemble:
        """Load the base and attach the members; ``key`` names what lies in ``base``.

        Raises:
            UnusableModel: see :meth:`LoraEnsemble.load`.
        """
        model = load_model(base, max_tokens=self.max_tokens)
        return LoraEnsemble.load(folder, model, base=key)

    def fill(self, made: LoraEnsemble, folder: Path) -> None:
        """Put the stored numbers into members that were attached.

        Raises:
            UnusableModel: they are missing, damaged, or of another shape.
        """
        from safetensors.torch import load_file

        try:
            tensors = load_file(folder / WEIGHTS)
        except Exception as error:  # safetensors' own has no base
            raise UnusableModel(f"{folder} holds no ensemble of adapters: {error}") from error
        there = {**made.parameters, **{_FRESH + name: p for name, p in made.fresh.items()}}
        if {n: t.shape for n, t in tensors.items()} != {n: p.shape for n, p in there.items()}:
            raise UnusableModel(f"{folder} holds other adapters than its record says.")
        for name, parameter in there.items():
            parameter.data.copy_(tensors[name])


def read_record(folder: Path) -> Record:
    """Read what is written beside the adapters; no torch is loaded.

    Raises:
        UnusableModel: it is missing, damaged, or says nothing sensible.
    """
    try:
        told = dict(json.loads((folder / RECORD).read_bytes()))
        shape = Shape(*(told.pop(name) for name in ("members", "rank", "alpha", "seed")))
        low, high = told.pop("strength_cuts")
        answers = AnswerModel(
            float(told.pop("tie")), float(told.pop("strength_slope")), (float(low), float(high))
        )
        scale, limit = float(told.pop("scale")), int(told.pop("max_tokens"))
        return Record(str(told.pop("base")), limit, shape, scale, answers, told)
    except Exception as error:  # of json, and what a record may hold instead
        raise UnusableModel(f"{folder} holds no ensemble of adapters: {error}") from error


def _replace(model: Any, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, module)


def _rng(seed: int, member: int, place: int) -> np.random.Generator:
    """A generator for one member and layer; the last layer has no place."""
    return np.random.default_rng([seed, member, place + 1])
