"""An ensemble of adapters as an encoder: every member's reward of a text.

Texts are prompt and response together, as :func:`learning.text.joined` writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from learning.encoders.huggingface import bounded_threads, fingerprint
from learning.errors import EncoderError
from learning.finetune.lora_ensemble_belief import RECORD, WEIGHTS
from learning.text import PAIR_RECIPE, split

if TYPE_CHECKING:
    from learning.finetune.lora_ensemble import LoraEnsemble

_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MembersEncoder:
    """Loaded members; see :func:`load`."""

    key: str
    dim: int
    ensemble: LoraEnsemble = field(repr=False)
    threads: int | None = None

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return every member's reward, unscaled, shape ``(n, K)``; each distinct text once."""
        distinct: dict[str, int] = {}
        place = [distinct.setdefault(text, len(distinct)) for text in texts]
        pairs = [split(text) for text in distinct]
        reader = self.ensemble.model.reader
        tokens = batch_size * min(reader.limit, 256) * 2
        with bounded_threads(self.threads):
            rows = reader.rows([prompt for prompt, _ in pairs], [said for _, said in pairs])
            found = self.ensemble.rewards(rows, tokens=tokens)
        return found[np.array(place, dtype=np.int64)]


def load(folder: Path, base: Path, *, threads: int | None = None) -> MembersEncoder:
    """Load members with the encoder that they were trained beside.

    Raises:
        UnusableModel: files are missing or damaged.
        EncoderError: the encoder is another one than they were trained beside.
    """
    import torch

    from learning.finetune.lora_ensemble import read_record

    record = read_record(folder)
    if record.base != fingerprint(base):
        raise EncoderError(f"{base.name} is not the encoder that the adapters were trained beside")
    ensemble = record.open(folder, base, key=record.base)
    ensemble.model.core.to("cuda" if torch.cuda.is_available() else "cpu")
    return MembersEncoder(key_of(folder), ensemble.shape.members, ensemble, threads=threads)


def key_of(folder: Path) -> str:
    """Return the key: a checksum of adapters and record, which names the encoder below them.

    Raises:
        OSError: a file is missing.
    """
    digest = hashlib.sha256()
    for name in (RECORD, WEIGHTS):
        with (folder / name).open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return f"members:{digest.hexdigest()[:16]}:{PAIR_RECIPE}"
