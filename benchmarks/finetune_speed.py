"""How fast all weights of a model are trained, against TRL's reward trainer and against the chip.

    .venv/bin/python -m benchmarks.finetune_speed FILE [--models minilm,small] [--pairs 256]
        [--batch 16] [--max-tokens 512] [--rounds 2] [--threads N] [--half]

The same pairs of FILE, tokens and model, one pass in every way, each in a process of its own; all
ways once a round. Ratios are taken within a round. `minilm` is an encoder, `small` and `1b` are
decoders of random weights with 10 million and a billion of them besides the embedding.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

from benchmarks.finetune_ways import OURS, THEIRS, Timed, Work, best_rate, train

DECODERS: Final[dict[str, dict[str, int]]] = {
    "small": {
        "hidden_size": 384,
        "intermediate_size": 1_024,
        "num_hidden_layers": 6,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
    },
    "1b": {
        "hidden_size": 2_048,
        "intermediate_size": 8_192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
}
WARM: Final = 2  # steps that are not counted
Made = TypeVar("Made")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune_speed")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--models", default="minilm,small", help=f"of minilm, {', '.join(DECODERS)}"
    )
    parser.add_argument("--pairs", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16, help="pairs a step")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--half", action="store_true", help="bfloat16 on a CPU; on a GPU always")
    return parser.parse_args(arguments)


def alone(work: Callable[..., Made], *given: Any) -> Made:
    """Call in a new process: nothing is left of what ran before, and memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *given).result()


def prepared(name: str, folder: Path) -> tuple[Path, int]:
    """Return the folder of a model, and its weights without embeddings."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer, LlamaConfig, LlamaModel

    from learning.finetune.model import base_of

    encoder = base_of("minilm")
    if name == "minilm":
        with torch.device("meta"):
            shape = AutoModel.from_config(AutoConfig.from_pretrained(encoder))
        return encoder, _inner(shape)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    where = folder / name
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        max_position_embeddings=4_096,
        **DECODERS[name],
    )
    made = LlamaModel(config)
    made.save_pretrained(where)
    tokenizer.save_pretrained(where)
    return where, _inner(made)


def _inner(model: Any) -> int:
    names = model.named_parameters()
    return sum(
        one.numel() for name, one in names if "embedding" not in name and "embed_" not in name
    )


def on_gpu() -> bool:
    """Whether there is a GPU; asked in a process of its own, which gives its memory back."""
    import torch

    return torch.cuda.is_available()


def compare(name: str, options: argparse.Namespace, folder: Path, *, half: bool) -> None:
    """All ways with one model; prints a table."""
    model, weights = prepared(name, folder)
    work = Work(
        file=options.file, model=model, pairs=options.pairs, batch=options.batch,
        max_tokens=options.max_tokens, half=half, threads=options.threads,
    )  # fmt: skip
    ways = [*THEIRS, *(OURS if name in DECODERS else ("plain",))]
    rounds: list[dict[str, Timed]] = []
    peaks: list[float] = []
    for number in range(options.rounds):
        made: dict[str, Timed] = {}
        for way in ways:
            made[way] = alone(train, way, work)
            speed = made[way].speed(warm=WARM)
            sys.stderr.write(f"{name}, round {number + 1}, {way}: {speed:,.0f} tokens a second\n")
        rounds.append(made)
        peaks.append(alone(best_rate, work))
    best = max(peaks)
    told = "bfloat16" if half else "float32"
    sys.stdout.write(
        f"\n{name}: {weights / 1e6:,.1f} million weights without embeddings, {told}, "
        f"{options.threads} threads; the chip does {best / 1e9:,.0f} GFLOP/s\n\n"
        "| way | tokens a second | times TRL | of the chip's peak | memory |\n"
        "|---|---|---|---|---|\n"
    )
    for way in ways:
        speeds = [made[way].speed(warm=WARM) for made in rounds]
        ratios = [made[way].speed(warm=WARM) / made["TRL"].speed(warm=WARM) for made in rounds]
        share = 6 * weights * median(speeds) / best
        memory = max(made[way].memory for made in rounds) / 1e9
        sys.stdout.write(
            f"| {way} | {median(speeds):,.0f} | {median(ratios):.2f} ({min(ratios):.2f} to "
            f"{max(ratios):.2f}) | {share:.0%} | {memory:.1f} GB |\n"
        )


def main(arguments: list[str]) -> int:
    """Compare the ways with every model."""
    options = parse(arguments)
    names = [name.strip() for name in options.models.split(",")]
    if unknown := [name for name in names if name not in ("minilm", *DECODERS)]:
        sys.exit(f"there is no model {unknown[0]!r}; there are minilm, {', '.join(DECODERS)}")
    if options.pairs <= WARM * options.batch or min(options.rounds, options.threads) < 1:
        sys.exit(
            f"--pairs must be more than {WARM} times --batch, --rounds and --threads at least 1"
        )
    os.environ["HF_HUB_OFFLINE"] = "1"
    half = options.half or alone(on_gpu)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            compare(name, options, Path(folder), half=half)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
