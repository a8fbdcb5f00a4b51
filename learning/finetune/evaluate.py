"""`python -m learning evaluate`: how good a reward model is on annotated files."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from learning.errors import ConfigError, NotEnoughData
from learning.finetune.evaluate_figures import LEAST, Figures, figures, plain, sliced
from learning.finetune.evaluate_reading import KINDS, Found, read_judged
from learning.finetune.evaluate_words import table
from learning.finetune.score import add_computing, check_computing
from learning.finetune.score_model import load
from learning.finetune.score_writing import whole
from learning.replay.command import our_version, tell

_ALL: Final = "all files"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="folder of a reward model")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FIGURES.JSON", help="all figures as JSON")
    parser.add_argument(
        "--slices",
        default="subset,task,tag,models",
        metavar="A,B",
        help=f"tables by {', '.join(KINDS)}; none for none",
    )
    parser.add_argument(
        "--least", type=int, default=LEAST, metavar="N", help="decisive answers of a slice"
    )
    parser.add_argument(
        "--split", default="", metavar="NAME", help="only items of this split, such as test"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    add_computing(parser)


def run(options: Namespace) -> int:
    """Evaluate, print tables, write figures."""
    check_computing(options)
    kinds = read_kinds(options.slices)
    if options.least < 1:
        raise ConfigError("--least must be at least 1")
    scorer = load(options.model, threads=options.threads)
    found = [
        read_judged(
            path, scorer, kinds=kinds, split=options.split, tokens=options.batch_tokens, tell=tell
        )
        for path in options.files
    ]
    if not any(len(one.judged) for one in found):
        raise NotEnoughData("nobody compared any two different responses in these files")
    made: dict[str, tuple[Figures, dict[str, dict[str, Figures]]]] = {}
    settings = {"tie": scorer.tie, "seed": options.seed}
    for one in found if len(found) == 1 else [*found, Found.together(found, _ALL)]:
        if (one.judged.outcome != 0).any():
            slices = sliced(one.judged, least=options.least, **settings)
            made[one.name] = figures(one.judged, **settings), slices
        else:
            tell(f"{one.name}: no decisive answer, left out")
    if options.out is not None:
        told = _json(scorer.key, scorer.temperature, made, found)
        with whole(options.out) as file:
            file.write(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    for name, (whole_file, slices) in made.items():
        sys.stdout.write(table(name, whole_file, slices))
    return 0


def read_kinds(given: str) -> tuple[str, ...]:
    """Return the kinds of slices that a command names.

    Raises:
        ConfigError: there is no such kind.
    """
    named = tuple(name.strip() for name in given.split(",") if name.strip())
    if named == ("none",):
        return ()
    if unknown := [name for name in named if name not in KINDS]:
        raise ConfigError(f"there is no slice {unknown[0]!r}; there are {', '.join(KINDS)}")
    return named


def _json(
    key: str,
    temperature: float,
    made: Mapping[str, tuple[Figures, dict[str, dict[str, Figures]]]],
    found: Sequence[Found],
) -> dict[str, Any]:
    notes = {one.name: {"items": one.items, "cut": one.cut, "same": one.same} for one in found}
    return {
        "version": our_version(),
        "model": key,
        "temperature": temperature,
        "files": {
            name: {**plain(whole_file), **notes.get(name, {}), "slices": plain(slices)}
            for name, (whole_file, slices) in made.items()
        },
    }
