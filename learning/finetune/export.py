"""A reward model as a Hugging Face folder with its card, for whoever has no Tiebreak."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any, Final

from learning.errors import EncoderError
from learning.finetune.card import Facts, Reading, card
from learning.finetune.model import ABOUT, check, load

# What is copied: everything else that lies in a folder stays where it is.
_WANTED: Final = (
    "config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer.json",
    "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "*.model", "chat_template.jinja",
)  # fmt: skip
_CARD: Final = "README.md"
_PUBLIC: Final = ("format", "max_tokens", "decoder", "temperature", "tie")


def export(model: Path, folder: Path, facts: Facts) -> Path:
    """Write a reward model with its card; whole or not at all.

    Of ``tiebreak.json`` only what is needed to read texts and rewards goes along.

    Args:
        model: Folder of the reward model.
        folder: Where to write; must not exist.
        facts: What the card says.

    Raises:
        EncoderError: the model's folder is not one, or the other exists or cannot be written.
        UnusableModel: it has pickle weights or code of its own.
    """
    if not (model / "config.json").is_file():
        raise EncoderError(f"{model} is not a reward folder: it holds no config.json")
    check(model)
    if folder.exists():
        raise EncoderError(f"{folder} is there already")
    about = _about(model)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    try:
        aside.mkdir(parents=True)
        for path in sorted({path for pattern in _WANTED for path in model.glob(pattern)}):
            if path.is_file() and not path.is_symlink():
                shutil.copyfile(path, aside / path.name)
        (aside / ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")
        (aside / _CARD).write_text(card(facts, _reading(aside)), encoding="utf-8")
        aside.rename(folder)
    except OSError as error:
        raise EncoderError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _reading(folder: Path) -> Reading:
    """Find out how the model reads, by loading what was just written."""
    reader = load(folder).reader
    if reader.pair:
        return Reading(reader.limit, "pair", types=reader.types)
    words = reader.tokenizer
    if getattr(words, "chat_template", None):
        return Reading(reader.limit, "chat")
    ends = bool(reader.after) and list(words("a")["input_ids"])[-1:] != list(reader.after[-1:])
    return Reading(reader.limit, "text", ends=ends)


def _about(model: Path) -> dict[str, Any]:
    path = model / ABOUT
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise EncoderError(f"{path} must hold an object")
    kept = {name: found[name] for name in _PUBLIC if name in found}
    record = found.get("record")
    answers = record.get("answers") if isinstance(record, dict) else None
    if isinstance(answers, dict) and "tie" in answers:
        kept.setdefault("tie", answers["tie"])
    return kept
