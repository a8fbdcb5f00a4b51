"""A reward folder that gives rewards: how commands use one."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.encoders import reward
from learning.encoders.huggingface import bounded_threads
from learning.errors import EncoderError
from learning.finetune.model import ABOUT, RewardModel, parts
from learning.finetune.texts import tensors
from learning.text import Prompt

TOKENS: Final = 16_384  # of a batch, padding included
_PREFIX: Final = "reward:"


@dataclass(frozen=True, slots=True, eq=False)
class Scorer:
    """A loaded reward model; see :func:`load`.

    Attributes:
        key: Names the weights and how texts are read.
        model: The model.
        about: What its ``tiebreak.json`` says.
        threads: CPU threads; ``None`` leaves torch's setting alone.
    """

    key: str
    model: RewardModel = field(repr=False)
    about: dict[str, Any] = field(repr=False)
    threads: int | None = None

    @property
    def temperature(self) -> float:
        """What margins are divided by to be log odds; 1 where nobody measured it."""
        value = self.about.get("temperature")
        return 1.0 if value is None else float(value)

    @property
    def tie(self) -> float | None:
        """Davidson's ``nu``, or nothing."""
        value = self.about.get("tie", _answers(self.about).get("tie"))
        return None if value is None else float(value)

    def rewards(
        self, prompts: Sequence[Prompt], responses: Sequence[str], *, tokens: int = TOKENS
    ) -> NDArray[np.float64]:
        """Return the reward of each response to its prompt, in logits, shape ``(m,)``.

        What ``AutoModelForSequenceClassification`` gives, before the temperature.

        Raises:
            EncoderError: the model gives numbers that are not finite.
        """
        rewards, _ = self.read(prompts, responses, tokens=tokens)
        return rewards

    def read(
        self, prompts: Sequence[Prompt], responses: Sequence[str], *, tokens: int = TOKENS
    ) -> tuple[NDArray[np.float64], int]:
        """Return rewards ``(m,)``, and how many texts were too long to be read whole.

        Raises:
            EncoderError: the model gives numbers that are not finite.
        """
        import torch

        found = np.empty(len(responses), dtype=np.float64)
        device = self.model.core.device
        with bounded_threads(self.threads), torch.inference_mode():
            rows = self.model.reader.rows(prompts, responses)
            for part in parts(rows, tokens):
                batch = tensors([rows[at] for at in part], self.model.reader, device)
                features = self.model.features(batch)
                found[part] = self.model.rewards(features).double().cpu().numpy()
        if not np.isfinite(found).all():
            raise EncoderError(f"{self.key} gives rewards that are not finite numbers")
        return found, sum(row.cut for row in rows)


def load(name: str, *, threads: int | None = None) -> Scorer:
    """Load a reward folder, with or without ``reward:`` in front.

    Raises:
        EncoderError: not there, no reward model, or not loadable from safetensors without code
            of its own; or its ``tiebreak.json`` is damaged.
    """
    folder = name.removeprefix(_PREFIX)
    if not (Path(folder) / "config.json").is_file():
        raise EncoderError(f"{folder} is not a reward folder: it holds no config.json")
    found = reward.load(folder, threads=threads)
    about = _about(Path(folder) / ABOUT)
    return Scorer(found.key, found.model, about, threads)


def _about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        about = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if not isinstance(about, dict):
        raise EncoderError(f"{path} must hold an object")
    told = {"tie": _answers(about).get("tie"), **about}
    for name, lowest in (("temperature", math.ulp(0.0)), ("tie", 0.0)):
        value = told.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and lowest <= value < math.inf):
            raise EncoderError(f"{path}: {name} must be a number, got {value!r:.40}")
    return about


def _answers(about: dict[str, Any]) -> dict[str, Any]:
    """How margins become answers, as fine-tuning has learnt it."""
    record = about.get("record")
    found = record.get("answers") if isinstance(record, dict) else None
    return found if isinstance(found, dict) else {}
