"""`python -m learning score`: the rewards of every response of a file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from learning.errors import ConfigError
from learning.finetune.score_model import TOKENS, Scorer, load
from learning.finetune.score_parts import write
from learning.finetune.score_writing import with_meta
from learning.replay.command import tell
from learning.replay.files import Item


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="folder of a reward model")
    parser.add_argument("file", type=Path, metavar="FILE", help="items; native JSON Lines")
    parser.add_argument("--out", type=Path, required=True, metavar="SCORED.JSONL")
    parser.add_argument(
        "--calibrated", action="store_true", help="divide rewards by the model's temperature"
    )
    add_computing(parser)


def add_computing(parser: ArgumentParser) -> None:
    """Declare how a model is run; shared with other commands."""
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="CPU threads")
    parser.add_argument(
        "--batch-tokens", type=int, default=TOKENS, metavar="N", help="tokens computed at a time"
    )


def check_computing(options: Namespace) -> None:
    """Refuse what cannot be run.

    Raises:
        ConfigError: no threads, or no tokens.
    """
    if options.threads is not None and options.threads < 1:
        raise ConfigError("--threads must be at least 1")
    if options.batch_tokens < 1:
        raise ConfigError("--batch-tokens must be at least 1")


def run(options: Namespace) -> int:
    """Score a file; what is written is there whole or not at all, and goes on after a stop."""
    check_computing(options)
    scorer = load(options.model, threads=options.threads)
    divisor = scorer.temperature if options.calibrated else 1.0
    items = write(
        options.file,
        options.out,
        {"command": "score", "model": scorer.key, "batch_tokens": options.batch_tokens},
        lambda items: rewards(items, scorer, tokens=options.batch_tokens),
        lambda row, found: with_rewards(row, found, divisor),
    )
    tell(f"{items:,} items scored with {scorer.key}")
    return 0


def rewards(items: Sequence[Item], scorer: Scorer, *, tokens: int = TOKENS) -> list[list[float]]:
    """Return the rewards of each item's responses, in their order, before the temperature."""
    prompts = [item.prompt for item in items for _ in item.responses]
    texts = [text for item in items for text in item.responses]
    found = iter(scorer.rewards(prompts, texts, tokens=tokens).tolist())
    return [list(islice(found, len(item.responses))) for item in items]


def with_rewards(row: dict[str, Any], found: Sequence[float], divisor: float) -> dict[str, Any]:
    """Return a row with ``meta.rewards``, one number a response, in order.

    Importers keep what is in ``meta``, so that the file stays one that can be imported.
    """
    return with_meta(row, "rewards", [round(value / divisor, 6) for value in found])
