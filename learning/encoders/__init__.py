"""Text encoders by name. Naming one is cheap; only loading one imports torch.

========== ===================================================================
``minilm`` all-MiniLM-L6-v2 from the installed package, hashes checked at load
``hashed`` no model at all: hashed words and characters, randomly projected
``hf:NAME`` any Hugging Face encoder, by folder or hub name
``default`` ``minilm`` where its package is installed, otherwise ``hashed``
========== ===================================================================
"""

from __future__ import annotations

from typing import Final

from learning.encoders import hashed, huggingface, minilm
from learning.encoders.base import Encoder
from learning.errors import EncoderError
from learning.text import pair_text

DEFAULT_ENCODER: Final = "default"
_HUGGING_FACE: Final = "hf:"


def resolve(name: str) -> str:
    """Return what ``default`` stands for here; other names come back checked.

    Raises:
        EncoderError: there is no encoder of that name.
    """
    if name == DEFAULT_ENCODER:
        return "minilm" if minilm.installed() else "hashed"
    if name in ("minilm", "hashed") or (name.startswith(_HUGGING_FACE) and len(name) > 3):
        return name
    raise EncoderError(f"unknown encoder {name!r}; use default, minilm, hashed or hf:NAME")


def encoder_key(name: str = DEFAULT_ENCODER) -> str:
    """Return the key of an encoder without loading it.

    Raises:
        EncoderError: unknown, or not installed.
    """
    name = resolve(name)
    if name == "hashed":
        return hashed.KEY
    if name == "minilm":
        return minilm.key()
    return huggingface.key_of(name.removeprefix(_HUGGING_FACE))


def encoder_dim(name: str = DEFAULT_ENCODER) -> int:
    """Return the width of an encoder's vectors without loading it.

    Raises:
        EncoderError: unknown, or not installed.
    """
    name = resolve(name)
    if name.startswith(_HUGGING_FACE):
        return huggingface.dim_of(name.removeprefix(_HUGGING_FACE))
    return minilm.DIM if name == "minilm" else hashed.DIM


def load_encoder(name: str = DEFAULT_ENCODER, *, threads: int | None = None) -> Encoder:
    """Load an encoder.

    A model whose files are not the expected ones is an error and never a reason to fall
    back: features of two encoders must not mix unnoticed.

    Args:
        name: See the module.
        threads: CPU threads that a model may use; ``None`` leaves torch's setting alone.

    Raises:
        EncoderError: unknown, not installed, or not what it claims to be.
    """
    name = resolve(name)
    if name == "hashed":
        return hashed.HashedEncoder()
    if name == "minilm":
        return minilm.load(threads=threads)
    return huggingface.load(name.removeprefix(_HUGGING_FACE), threads=threads)


__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "encoder_dim",
    "encoder_key",
    "load_encoder",
    "pair_text",
    "resolve",
]
