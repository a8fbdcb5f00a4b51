"""Text encoders by name. Naming one is cheap; only loading one imports torch.

================= ====================================================
``minilm``        all-MiniLM-L6-v2 from the installed package, hashes checked at load
``hashed``        no model at all: hashed words and characters, randomly projected
``hf:NAME``       any Hugging Face encoder, by folder or hub name
``reward:FOLDER`` a fine-tuned reward model, which reads prompt and response
``default``       ``minilm`` where its package is installed, otherwise ``hashed``
================= ====================================================
"""

from __future__ import annotations

from typing import Final

from learning.encoders import hashed, huggingface, minilm, reward
from learning.encoders.base import Encoder
from learning.errors import EncoderError
from learning.text import PAIR_RECIPE, RECIPE, joined, pair_text

DEFAULT_ENCODER: Final = "default"
_HUGGING_FACE: Final = "hf:"
_REWARD: Final = "reward:"


def resolve(name: str) -> str:
    """Return what ``default`` stands for here; other names come back checked.

    Raises:
        EncoderError: there is no encoder of that name.
    """
    if name == DEFAULT_ENCODER:
        return "minilm" if minilm.installed() else "hashed"
    if name in ("minilm", "hashed"):
        return name
    if any(name.startswith(one) and len(name) > len(one) for one in (_HUGGING_FACE, _REWARD)):
        return name
    known = "default, minilm, hashed, hf:NAME or reward:FOLDER"
    raise EncoderError(f"unknown encoder {name!r}; use {known}")


def recipe_of(name: str) -> str:
    """Return what an encoder's texts are made of: ``RECIPE`` or ``PAIR_RECIPE``.

    With ``RECIPE`` a text is :func:`learning.text.pair_text` of prompt and response, with
    ``PAIR_RECIPE`` it is :func:`learning.text.joined`.

    Raises:
        EncoderError: there is no encoder of that name.
    """
    return PAIR_RECIPE if resolve(name).startswith(_REWARD) else RECIPE


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
    if name.startswith(_REWARD):
        return reward.key_of(name.removeprefix(_REWARD))
    return huggingface.key_of(name.removeprefix(_HUGGING_FACE))


def encoder_dim(name: str = DEFAULT_ENCODER) -> int:
    """Return the width of an encoder's vectors without loading it.

    Raises:
        EncoderError: unknown, or not installed.
    """
    name = resolve(name)
    if name.startswith(_REWARD):
        return reward.dim_of(name.removeprefix(_REWARD))
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
    if name.startswith(_REWARD):
        return reward.load(name.removeprefix(_REWARD), threads=threads)
    return huggingface.load(name.removeprefix(_HUGGING_FACE), threads=threads)


__all__ = [
    "DEFAULT_ENCODER",
    "Encoder",
    "encoder_dim",
    "encoder_key",
    "joined",
    "load_encoder",
    "pair_text",
    "recipe_of",
    "resolve",
]
