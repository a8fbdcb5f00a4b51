"""`python -m learning language-features`: what a language model says of a file's texts.

What it writes are the same items, to be imported into a campaign before or after people answer.
"""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from learning.errors import ConfigError
from learning.finetune.language import (
    TOKENS,
    Entropy,
    log_likelihoods,
    predictive_entropy,
)
from learning.finetune.score_parts import write
from learning.finetune.score_writing import with_meta
from learning.judges.causal import CausalModel, load
from learning.replay.command import tell
from learning.replay.entropies import KEY
from learning.replay.files import Item
from learning.text import Prompt

_REMEMBERED: Final = 100_000  # entropies of prompts that may come again


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a causal model")
    parser.add_argument("file", type=Path, metavar="FILE", help="items; native JSON Lines")
    parser.add_argument("--out", type=Path, required=True, metavar="FEATURES.JSONL")
    parser.add_argument(
        "--samples", type=int, default=8, help="answers drawn for an entropy; 0: none is estimated"
    )
    parser.add_argument("--max-new-tokens", type=int, default=64, help="longest answer drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--batch-tokens", type=int, default=TOKENS, help="computed at a time")
    parser.add_argument("--threads", type=int, help="CPU threads")


def run(options: Namespace) -> int:
    """Write every item with its figures; whole or not at all, and going on after a stop."""
    if options.samples < 0 or options.max_new_tokens < 1 or options.batch_tokens < 1:
        raise ConfigError("--samples must be at least 0, --max-new-tokens and --batch-tokens 1")
    if options.threads is not None and options.threads < 1:
        raise ConfigError("--threads must be at least 1")
    asking = _Asking(
        load(options.model, threads=options.threads),
        samples=options.samples,
        max_tokens=options.max_new_tokens,
        seed=options.seed,
        batch_tokens=options.batch_tokens,
    )
    items = write(
        options.file,
        options.out,
        {"command": "language-features", **asking.to_json()},
        asking.features,
        lambda row, found: with_meta(row, KEY, found),
    )
    tell(f"{items:,} items read with {asking.model.name}")
    return 0


@dataclass(frozen=True, slots=True)
class _Asking:
    """A model, and how it is asked."""

    model: CausalModel
    samples: int
    max_tokens: int
    seed: int
    batch_tokens: int
    known: dict[str, Entropy] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What the figures depend on."""
        return {
            "model": self.model.name,
            "samples": self.samples,
            "max_new_tokens": self.max_tokens,
            "seed": self.seed,
            "batch_tokens": self.batch_tokens,
        }

    def features(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Return for each item: log-likelihoods in nats, tokens, and the entropy."""
        prompts = [asked(item) for item in items for _ in item.responses]
        texts = [text for item in items for text in item.responses]
        found = log_likelihoods(self.model, prompts, texts, batch_tokens=self.batch_tokens)
        each = zip(
            found.total.tolist(), found.mean.tolist(), found.tokens.tolist(),
            found.truncated.tolist(), strict=True,
        )  # fmt: skip
        return [self._figures(item, list(islice(each, len(item.responses)))) for item in items]

    def _figures(
        self, item: Item, ours: Sequence[tuple[float, float, int, bool]]
    ) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "log_likelihood": [_finite(total, 4) for total, _, _, _ in ours],
            "per_token": [_finite(mean) for _, mean, _, _ in ours],
            "tokens": [tokens for _, _, tokens, _ in ours],
            "cut": [cut for _, _, _, cut in ours],
            **(self._entropy(item) if self.samples else {}),
        }

    def _entropy(self, item: Item) -> dict[str, Any]:
        prompt = asked(item)
        key = json.dumps(prompt, sort_keys=True)
        if key not in self.known:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[key] = predictive_entropy(
                self.model,
                prompt,
                samples=self.samples,
                max_tokens=self.max_tokens,
                seed=self.seed,
            )
        found = self.known[key]
        return {
            "entropy": _finite(found.total),
            "entropy_per_token": _finite(found.per_token),
            "entropy_error": _finite(found.error),
            "samples": found.samples,
            "max_new_tokens": self.max_tokens,
            "seed": self.seed,
            "unfinished": found.unfinished,
        }


def asked(item: Item) -> Prompt:
    """Return what the model answers: the prompt, its source text in front of what the user says."""
    if not item.context:
        return item.prompt
    if isinstance(item.prompt, str):
        return f"{item.context}\n\n{item.prompt}"
    turns = [dict(turn) for turn in item.prompt]
    said = [turn for turn in turns if turn["role"] == "user"]
    if not said:
        return [{"role": "user", "content": item.context}, *turns]
    said[-1]["content"] = f"{item.context}\n\n{said[-1]['content']}"
    return turns


def _finite(value: float, digits: int = 5) -> float | None:
    return round(value, digits) if math.isfinite(value) else None
