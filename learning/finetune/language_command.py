"""`python -m learning language-features`: what a language model says of a file's texts."""

from __future__ import annotations

import json
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from learning.errors import BadFile, ConfigError
from learning.finetune.language import (
    TOKENS,
    Entropy,
    log_likelihoods,
    predictive_entropy,
)
from learning.finetune.score import Rows, chunks
from learning.finetune.score_writing import line, whole
from learning.judges.causal import CausalModel, load
from learning.replay.command import tell
from learning.replay.files import Item, read_rows

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
    """Write one row an item; whole or not at all."""
    if options.samples < 0 or options.max_new_tokens < 1 or options.batch_tokens < 1:
        raise ConfigError("--samples must be at least 0, --max-new-tokens and --batch-tokens 1")
    if options.threads is not None and options.threads < 1:
        raise ConfigError("--threads must be at least 1")
    if options.out.exists() and options.out.samefile(options.file):
        raise ConfigError("--out must be another file than the one that is read")
    asking = _Asking(
        load(options.model, threads=options.threads),
        samples=options.samples,
        max_tokens=options.max_new_tokens,
        seed=options.seed,
        batch_tokens=options.batch_tokens,
    )
    done = 0
    with whole(options.out) as file:
        for row in asking.features(read_rows(options.file)):
            file.write(line(row))
            done += 1
            if done % 100 == 0:
                tell(f"{done:,} items")
        if not done:
            raise BadFile(f"{options.file}: there is no item in it")
    tell(f"{done:,} items read with {asking.model.name}")
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

    def features(self, rows: Rows) -> Iterator[dict[str, Any]]:
        """Yield for each item: its id, log-likelihoods in nats, tokens, and the entropy."""
        for part in chunks(rows):
            prompts = [item.prompt for _, item in part for _ in item.responses]
            texts = [text for _, item in part for text in item.responses]
            found = log_likelihoods(self.model, prompts, texts, batch_tokens=self.batch_tokens)
            each = zip(
                found.total.tolist(), found.mean.tolist(), found.tokens.tolist(),
                found.truncated.tolist(), strict=True,
            )  # fmt: skip
            for row, item in part:
                ours = list(islice(each, len(item.responses)))
                yield {
                    "id": row.get("id"),
                    "log_likelihood": [round(total, 4) for total, _, _, _ in ours],
                    "per_token": [_finite(mean) for _, mean, _, _ in ours],
                    "tokens": [tokens for _, _, tokens, _ in ours],
                    "cut": [cut for _, _, _, cut in ours],
                    **(self._entropy(item) if self.samples else {}),
                }

    def _entropy(self, item: Item) -> dict[str, Any]:
        key = json.dumps(item.prompt, sort_keys=True)
        if key not in self.known:
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[key] = predictive_entropy(
                self.model,
                item.prompt,
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
            "unfinished": found.unfinished,
        }


def _finite(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
