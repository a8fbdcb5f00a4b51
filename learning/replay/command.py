"""`python -m learning replay`: from files to results, a table and a picture."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

from learning import heads
from learning.acquisition import METHODS
from learning.encoders import encoder_key
from learning.errors import ConfigError
from learning.replay import curves, drawing, report
from learning.replay.corpus import Corpus, read, stem
from learning.replay.loop import AUTO, Arm, Plan, Run, head_of
from learning.replay.parallel import Failure, Outcome, run_all, tasks
from learning.replay.statistics import BASELINE, summarise
from learning.replay.worlds import Encoding, World, build, embed, planted

_PLANT: Final = 20_240  # seed of planted answers: one world for all seeds, like real answers


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    plan = Plan()
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--acquisition",
        required=True,
        metavar="A,B,C",
        help="functions to replay, or all; NAME:WORD is NAME again with other options; "
        "random is always among them",
    )
    parser.add_argument(
        "--config",
        type=json.loads,
        default={},
        metavar="JSON",
        help='options by function: \'{"dopt": {"screen": 0}}\'',
    )
    parser.add_argument(
        "--head", default=plan.head, choices=[AUTO, *heads.HEADS], help="auto: what suits a file"
    )
    parser.add_argument("--labels", type=int, default=plan.labels, help="labels to spend")
    parser.add_argument("--batch", type=int, default=plan.batch, help="labels a round")
    parser.add_argument("--start", type=int, help="labels of the first, random batch; as --batch")
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0, 1, ...; paired")
    parser.add_argument("--folds", default=plan.folds, choices=["group", "items"])
    parser.add_argument("--planted", action="store_true", help="answers from a planted reward")
    parser.add_argument(
        "--planted-sd", type=float, default=2.0, help="spread of planted margins, in logits"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; 0: only this one")
    parser.add_argument("--out", type=Path, required=True, metavar="RESULTS.JSON")
    parser.add_argument("--plot", type=Path, metavar="CURVES.SVG")
    parser.add_argument("--draw", default="", metavar="A,B,C", help="what to draw")
    add_encoding(parser)


def add_encoding(parser: ArgumentParser) -> None:
    """Declare what decides the features; shared with other commands."""
    parser.add_argument("--encoder", default="default", help="default, minilm, hashed or hf:NAME")
    parser.add_argument(
        "--features-cache", type=Path, metavar="DIR", help="keep embeddings here for next time"
    )
    parser.add_argument(
        "--pca", type=int, default=0, metavar="N", help="principal directions to keep; 0: all"
    )


def run(options: Namespace) -> int:
    """Replay; 0 if every run succeeded."""
    arms = read_arms(options.acquisition, options.config)
    plan = Plan(
        labels=options.labels,
        batch=options.batch,
        start=min(options.batch, options.labels) if options.start is None else options.start,
        head=options.head,
        folds=options.folds,
    )
    _check(options)
    encoding = Encoding(options.encoder, options.features_cache, options.pca)
    corpora = read_all(options.files)
    worlds = [make_world(corpus, encoding) for corpus in corpora]
    if options.planted:
        rng = np.random.default_rng(_PLANT)
        worlds = [planted(world, options.planted_sd, rng) for world in worlds]
    todo = tasks(worlds, arms, plan, options.seeds)
    outcomes = run_all(worlds, todo, workers=options.workers, progress=_Progress(len(todo)))
    settings = _settings(options, plan, arms)
    files = [
        about(path, corpus) | {"head": head_of(world, plan)}
        for path, corpus, world in zip(options.files, corpora, worlds, strict=True)
    ]
    return _finish(options, _Found.of(outcomes), settings, files)


def read_arms(names: str, config: Any) -> list[Arm]:
    """Return the arms that a command names, random first.

    Raises:
        ConfigError: an unknown function or option, or options for a function not named.
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if "all" in listed:
        listed = [*METHODS, *(name for name in listed if name != "all")]
    if not isinstance(config, dict) or not all(isinstance(v, dict) for v in config.values()):
        raise ConfigError("--config must be an object of objects: {FUNCTION: {OPTION: VALUE}}")
    labels = list(dict.fromkeys([BASELINE, *listed]))
    if unused := sorted(config.keys() - set(labels)):
        raise ConfigError(f"--config has options for {unused[0]!r}, which is not replayed")
    arms = [Arm(label, config.get(label, {})) for label in labels]
    for arm in arms:
        _ = arm.recipe  # complains now, not after an hour of embedding
    return arms


def read_all(paths: Sequence[Path]) -> list[Corpus]:
    """Read files, named by their stems, or by their whole paths where stems are equal.

    Raises:
        BadFile: a file cannot be read.
        NotEnoughData: a file without comparisons.
    """
    stems = [stem(path) for path in paths]
    unique = len(set(stems)) == len(stems)
    return [
        read(path, name=short if unique else str(path))
        for path, short in zip(paths, stems, strict=True)
    ]


def make_world(corpus: Corpus, encoding: Encoding) -> World:
    """Embed a corpus, telling about it, and put its world together."""
    world = build(corpus, embed(corpus, encoding, tell), pca=encoding.pca)
    answers = corpus.answers
    tell(
        f"{corpus.name}: {len(corpus.texts):,} responses, {len(corpus.pairs):,} pairs, "
        f"{len(np.unique(corpus.group)):,} groups, {len(answers.outcome):,} answers"
    )
    for note in corpus.notes:
        tell(f"{corpus.name}: {note}")
    return world


def about(path: Path, corpus: Corpus) -> dict[str, Any]:
    """Return what was found in a file, with its checksum."""
    answers = corpus.answers
    used = np.unique(corpus.pairs)
    return {
        "file": corpus.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "prompts": len(np.unique(corpus.owner[used])),
        "groups": len(np.unique(corpus.group)),
        "responses": len(used),
        "pairs": len(corpus.pairs),
        "pairs_a_response": round(2 * len(corpus.pairs) / len(used), 2),
        "answers": len(answers.outcome),
        "ties": round(float((answers.outcome == 0).mean()), 4),
        "notes": list(corpus.notes),
    }


def tell(line: str) -> None:
    """Say something to whoever waits."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def our_version() -> str:
    """Return the version of the installed package."""
    try:
        return version("tiebreak")
    except PackageNotFoundError:
        return "unknown"


@dataclass(slots=True)
class _Progress:
    """Tells how many runs are done, at most once in a while, and every failure."""

    total: int
    every: float = 5.0
    began: float = field(default_factory=time.monotonic)
    last: float = 0.0

    def __call__(self, done: int, outcome: Outcome) -> None:
        now = time.monotonic()
        if isinstance(outcome, Failure):
            tell(
                f"FAILED: {outcome.acquisition} on {outcome.file}, seed {outcome.seed}: "
                f"{outcome.error}"
            )
        if now - self.last >= self.every or done == self.total:
            self.last = now
            left = (now - self.began) / done * (self.total - done)
            tell(f"{done} of {self.total} runs, about {left:.0f} s left")


@dataclass(frozen=True, slots=True)
class _Found:
    """Runs that ended, and runs that did not."""

    runs: list[Run]
    failed: list[Failure]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> _Found:
        return cls(
            [one for one in outcomes if isinstance(one, Run)],
            [one for one in outcomes if isinstance(one, Failure)],
        )


def _check(options: Namespace) -> None:
    if options.seeds < 1 or options.workers < 0:
        raise ConfigError("--seeds must be at least 1 and --workers at least 0")
    if options.pca < 0 or not options.planted_sd > 0:
        raise ConfigError("--pca must be at least 0 and --planted-sd more than 0")
    for path in (options.out, options.plot):
        if path is not None and not path.parent.is_dir():
            raise ConfigError(f"there is no folder {path.parent} to write to")


def _settings(options: Namespace, plan: Plan, arms: Sequence[Arm]) -> dict[str, Any]:
    return {
        "version": our_version(),
        **asdict(plan),
        "seeds": options.seeds,
        "acquisition": {arm.label: arm.recipe.to_json() for arm in arms},
        "encoder": encoder_key(options.encoder),
        "pca": options.pca,
        "planted_sd": options.planted_sd if options.planted else None,
    }


def _finish(
    options: Namespace, found: _Found, settings: dict[str, Any], files: list[dict[str, Any]]
) -> int:
    without = {run.file for run in found.runs if run.acquisition == BASELINE}
    runs = [run for run in found.runs if run.file in without]
    summary = summarise(runs)
    made = report.results(
        settings=settings, files=files, runs=found.runs, failed=found.failed, summary=summary
    )
    options.out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    if summary:
        sys.stdout.write(report.table(summary) + "\n")
    if options.plot is not None:
        wanted = [name.strip() for name in options.draw.split(",") if name.strip()]
        drawn = curves.worth_drawing(summary, wanted)
        options.plot.write_text(drawing.svg(curves.rows(runs, drawn)), encoding="utf-8")
    if found.failed:
        tell(f"{len(found.failed)} runs failed")
    return 1 if found.failed else 0
