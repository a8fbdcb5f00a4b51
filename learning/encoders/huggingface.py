"""Any Hugging Face text encoder: masked mean of the last layer, normalised."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.errors import EncoderError
from learning.text import RECIPE, well_formed

MAX_TOKENS: Final = 256
_LONGEST: Final = 40 * MAX_TOKENS  # characters; spares the tokenizer megabytes
_SAMPLE: Final = 2**16  # bytes
_SAMPLES: Final = 64  # a weights file
_WEIGHTS: Final = "*.safetensors"
_WANTED: Final = ("*.json", "*.txt", "*.model", _WEIGHTS)


@dataclass(frozen=True, slots=True)
class HuggingFaceEncoder:
    """A loaded model; see :func:`load`."""

    key: str
    dim: int
    model: Any = field(repr=False)
    tokenizer: Any = field(repr=False)
    device: str = "cpu"
    threads: int | None = None

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return unit vectors, shape ``(n, dim)``; only the first 256 tokens are read.

        Texts go through sorted by length, so that a batch holds little padding, and each
        distinct text once.
        """
        out = np.empty((len(texts), self.dim), dtype=np.float32)
        places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            places.setdefault(text, []).append(place)
        ordered = sorted(places, key=len)
        with bounded_threads(self.threads):
            for start in range(0, len(ordered), batch_size):
                batch = ordered[start : start + batch_size]
                for text, row in zip(batch, self._encode_batch(batch), strict=True):
                    out[places[text]] = row
        return out

    def _encode_batch(self, texts: list[str]) -> NDArray[np.float32]:
        import torch

        clean = [well_formed(text[:_LONGEST]) for text in texts]
        tokens = self.tokenizer(
            clean, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode():
            hidden = self.model(**tokens).last_hidden_state.float()  # (batch, tokens, dim)
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1.0)
            unit = torch.nn.functional.normalize(mean, dim=1)
        vectors: NDArray[np.float32] = unit.cpu().numpy()
        return vectors


def load(name: str, *, threads: int | None = None) -> HuggingFaceEncoder:
    """Load a model by folder or hub name (``org/name`` or ``org/name@revision``).

    Raises:
        EncoderError: not there, or not loadable from safetensors without its own code.
    """
    folder = locate(name)
    return from_folder(folder, key=key_of(name), threads=threads)


def from_folder(folder: Path, *, key: str, threads: int | None = None) -> HuggingFaceEncoder:
    """Load a model from a local folder under a key the caller vouches for.

    Raises:
        EncoderError: the files are missing or not loadable.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with no_bars():
            tokenizer = AutoTokenizer.from_pretrained(folder, **safe)
            model = AutoModel.from_pretrained(folder, use_safetensors=True, **safe)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{folder} cannot be loaded as an encoder: {error}") from error
    if tokenizer.pad_token is None:  # decoders have none
        tokenizer.pad_token = tokenizer.eos_token
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).eval()
    dim = int(model.config.hidden_size)
    return HuggingFaceEncoder(key, dim, model, tokenizer, device=device, threads=threads)


def key_of(name: str) -> str:
    """Return the key of a model: its name and a fingerprint of its files. No torch needed."""
    return f"hf:{name}:{fingerprint(locate(name))}:mean{MAX_TOKENS}:{RECIPE}"


def dim_of(name: str) -> int:
    """Return the width of a model's vectors, from its config file.

    Raises:
        EncoderError: the model is not there, or its config names no width.
    """
    config = json.loads((locate(name) / "config.json").read_bytes())
    if "hidden_size" not in config:
        raise EncoderError(f"the config of {name} has no hidden_size")
    return int(config["hidden_size"])


def locate(name: str) -> Path:
    """Return the folder of a model, fetching it from the hub if it is neither local nor cached.

    Raises:
        EncoderError: there is no such folder, and the hub does not have it or is out of reach.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise EncoderError(f"{folder} holds no config.json")
        return folder
    from huggingface_hub import snapshot_download

    repository, _, revision = name.partition("@")
    wanted: dict[str, Any] = {"revision": revision or None, "allow_patterns": list(_WANTED)}
    try:
        return Path(snapshot_download(repository, local_files_only=True, **wanted))
    except Exception:  # noqa: S110  not cached: the next call says what is wrong
        pass
    try:
        return Path(snapshot_download(repository, **wanted))
    except Exception as error:  # the hub client has no common base for its errors
        raise EncoderError(f"no encoder {name!r}, neither a folder nor on the hub") from error


def fingerprint(folder: Path) -> str:
    """Return 16 hex digits that change with the config, the tokenizer or the weights.

    Weights may be many gigabytes, so samples spread over each file are hashed, not all of it.
    """
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("tokenizer*.json")]):
        digest.update(path.read_bytes())
    weights = sorted(folder.glob(_WEIGHTS))
    if not weights:
        raise EncoderError(f"{folder} holds no {_WEIGHTS}")
    for path in weights:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            for place in np.linspace(0, max(size - _SAMPLE, 0), _SAMPLES, dtype=np.int64):
                file.seek(int(place))
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16]


@contextmanager
def bounded_threads(count: int | None) -> Iterator[None]:
    """Bound torch's threads for a while; its setting is global, so put it back."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep transformers' progress bars out of the log."""
    import transformers

    logging: Any = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
