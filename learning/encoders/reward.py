"""A fine-tuned reward model as an encoder: the input of its last linear layer.

Its texts are prompt and response together, as :func:`learning.text.joined` writes them. A linear
head on these features lives where the model's own scalar head lives.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from learning.encoders.huggingface import bounded_threads, fingerprint, locate
from learning.errors import EncoderError, LearningError
from learning.text import PAIR_RECIPE, split


@dataclass(frozen=True, slots=True)
class RewardEncoder:
    """A loaded model; see :func:`load`."""

    key: str
    dim: int
    model: Any = field(repr=False)
    threads: int | None = None

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return features of joined texts, shape ``(n, dim)``; each distinct text once.

        Not normalised. A text that was never joined is a response to an empty prompt.
        """
        out = np.empty((len(texts), self.dim), dtype=np.float32)
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        pairs = [split(text) for text in places]
        prompts, responses = [p for p, _ in pairs], [r for _, r in pairs]
        reader = self.model.reader
        with bounded_threads(self.threads):
            rows = reader.rows(prompts, responses)
            found = self.model.read(rows, tokens=batch_size * min(reader.limit, 256))
        for at, row in zip(places.values(), found, strict=True):
            out[at] = row
        return out


def load(name: str, *, threads: int | None = None) -> RewardEncoder:
    """Load a reward model by folder or hub name.

    Raises:
        EncoderError: not there, or not loadable from safetensors without its own code.
    """
    import torch

    from learning.finetune import model

    folder = locate(name)
    try:
        found = model.load(folder)
    except LearningError as error:
        raise EncoderError(f"{name} cannot be loaded as a reward model: {error}") from error
    if not found.has_head:
        raise EncoderError(f"{name} is no reward model: it has no head with one output")
    found.core.to("cuda" if torch.cuda.is_available() else "cpu")
    return RewardEncoder(key_of(name), found.dim, found, threads=threads)


def key_of(name: str) -> str:
    """Return the key: a fingerprint of the files, how many tokens are read, and the recipe.

    The folder's name is not in it: a model that is moved keeps its features. No torch needed.
    """
    from learning.finetune.model import told

    folder = locate(name)
    return f"reward:{fingerprint(folder)}:last{told(folder)}:{PAIR_RECIPE}"


def dim_of(name: str) -> int:
    """Return the width of the features, from the files alone.

    Raises:
        EncoderError: the model is not there, or its config names no width.
    """
    config = json.loads((Path(locate(name)) / "config.json").read_bytes())
    if "hidden_size" not in config:
        raise EncoderError(f"the config of {name} has no hidden_size")
    return int(config["hidden_size"])
