"""`python -m learning score`: the rewards of every response of a file."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from learning.errors import BadFile, ConfigError
from learning.finetune.score_model import TOKENS, Scorer, load
from learning.finetune.score_writing import line, whole
from learning.replay.command import tell
from learning.replay.files import Item, read_rows

AT_ONCE: Final = 256  # items whose texts are in memory

Rows = Iterable[tuple[dict[str, Any], Item]]


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
    """Score a file; what is written is there whole or not at all."""
    check_computing(options)
    if options.out.exists() and options.out.samefile(options.file):
        raise ConfigError("--out must be another file than the one that is scored")
    scorer = load(options.model, threads=options.threads)
    divisor = scorer.temperature if options.calibrated else 1.0
    done = 0
    with whole(options.out) as file:
        scored = scores(read_rows(options.file), scorer, divisor, tokens=options.batch_tokens)
        for row in scored:
            file.write(line(row))
            done += 1
            if done % (4 * AT_ONCE) == 0:
                tell(f"{done:,} items")
        if not done:
            raise BadFile(f"{options.file}: there is no item in it")
    tell(f"{done:,} items scored with {scorer.key}")
    return 0


def scores(
    rows: Rows, scorer: Scorer, divisor: float = 1.0, *, tokens: int = TOKENS
) -> Iterator[dict[str, Any]]:
    """Yield every row with ``meta.rewards``, one number a response, in order.

    Importers keep what is in ``meta``, so that the file stays one that can be imported.
    """
    for part in chunks(rows):
        prompts = [item.prompt for _, item in part for _ in item.responses]
        texts = [text for _, item in part for text in item.responses]
        found = iter((scorer.rewards(prompts, texts, tokens=tokens) / divisor).tolist())
        for row, item in part:
            given = [round(value, 6) for value in islice(found, len(item.responses))]
            kept = row.get("meta")
            meta = kept if isinstance(kept, dict) else {}
            yield {**row, "meta": {**meta, "rewards": given}}


def chunks(rows: Rows) -> Iterator[list[tuple[dict[str, Any], Item]]]:
    """Yield rows ``AT_ONCE`` at a time."""
    waiting = iter(rows)
    while part := list(islice(waiting, AT_ONCE)):
        yield part
