"""`python -m learning route`: who should have answered, on files that both have answered."""

from __future__ import annotations

import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from learning import heads
from learning.encoders import encoder_key
from learning.errors import ConfigError
from learning.replay.command import add_encoding, our_version, tell
from learning.replay.report import rounded
from learning.replay.worlds import Encoding
from learning.routing.policies import POLICIES, get
from learning.routing.replay.campaign import Run, play
from learning.routing.replay.gains import Gains, gains, told
from learning.routing.replay.plan import PURE, Plan
from learning.routing.replay.statistics import summarise, table
from learning.routing.replay.worlds import JudgedWorld, planted, read

WorldOf = Callable[[int], JudgedWorld]  # by seed


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    plan = Plan()
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument(
        "--policies",
        required=True,
        metavar="A,B,C",
        help=f"of {', '.join(POLICIES)}, or all; NAME:WORD is NAME again with other options; the "
        "pure ones are always among them",
    )
    parser.add_argument(
        "--budgets", required=True, metavar="X,Y,Z", help="what to spend, in answers of a person"
    )
    parser.add_argument("--seeds", type=int, default=10, help="seeds 0, 1, ...; paired")
    parser.add_argument("--out", type=Path, required=True, metavar="ROUTES.JSON")
    parser.add_argument(
        "--simulate",
        default="",
        metavar="K,L",
        help="planted worlds in which the judge is mostly wrong on so many of six tags",
    )
    parser.add_argument(
        "--config",
        type=json.loads,
        default={},
        metavar="JSON",
        help='options by policy: \'{"learned": {"audit": 0.3}}\'',
    )
    parser.add_argument(
        "--judge", default="", metavar="A,B", help="names of judges; all of a file by default"
    )
    parser.add_argument("--judge-cost", type=float, default=plan.judge_cost)
    parser.add_argument("--pool", type=int, default=plan.pool, help="questions there are to ask")
    parser.add_argument("--rounds", type=int, default=plan.rounds)
    parser.add_argument("--head", default=plan.head, choices=["auto", *heads.HEADS])
    parser.add_argument("--folds", default=plan.folds, choices=["group", "items"])
    parser.add_argument(
        "--learning",
        default=plan.learning,
        choices=["both", "overwrite"],
        help="overwrite: a person's answer takes the place of the judge's, and nothing is weighed",
    )
    parser.add_argument(
        "--gains",
        action="store_true",
        help="also: on which questions people's answers are worth most, and what more would buy",
    )
    add_encoding(parser)


def run(options: Namespace) -> int:
    """Replay routing; 0 if every run succeeded."""
    labels = read_policies(options.policies, options.config)
    budgets = read_budgets(options.budgets)
    plan = Plan(
        pool=options.pool,
        rounds=options.rounds,
        judge_cost=options.judge_cost,
        head=options.head,
        folds=options.folds,
        learning=options.learning,
        config=options.config,
    )
    _check(options)
    worlds = [*_planted(options.simulate), *_read(options)]
    if not worlds:
        raise ConfigError("nothing to replay: name files, or planted worlds with --simulate")
    runs, failed = _play_all(worlds, plan, labels, budgets, options.seeds)
    found: list[Gains] = []
    if options.gains:
        found = _gains(worlds, plan, options.seeds, failed)
    _write(options, plan, labels, runs, failed, found)
    return 1 if failed else 0


def read_policies(names: str, config: Any) -> list[str]:
    """Return the labels of the policies to replay, the pure ones first.

    Raises:
        ConfigError: an unknown policy or option, or options for a policy not named.
    """
    listed = [name.strip() for name in names.split(",") if name.strip()]
    if "all" in listed:
        listed = [*POLICIES, *(name for name in listed if name != "all")]
    if not isinstance(config, dict) or not all(isinstance(v, dict) for v in config.values()):
        raise ConfigError("--config must be an object of objects: {POLICY: {OPTION: VALUE}}")
    labels = list(dict.fromkeys([*PURE, *listed]))
    if unused := sorted(config.keys() - set(labels)):
        raise ConfigError(f"--config has options for {unused[0]!r}, which is not replayed")
    for label in labels:
        get(label.partition(":")[0]).parse_config(config.get(label))
    return labels


def read_budgets(given: str) -> list[float]:
    """Return budgets, ascending.

    Raises:
        ConfigError: not a list of positive numbers.
    """
    try:
        budgets = sorted({float(one) for one in given.split(",")})
    except ValueError as error:
        raise ConfigError(f"--budgets must be numbers such as 100,200, got {given!r}") from error
    if not all(0 < one < float("inf") for one in budgets):
        raise ConfigError(f"--budgets must be positive, got {given!r}")
    return budgets


def _check(options: Namespace) -> None:
    if options.seeds < 1 or options.pca < 0:
        raise ConfigError("--seeds must be at least 1 and --pca at least 0")
    if not options.out.parent.is_dir():
        raise ConfigError(f"there is no folder {options.out.parent} to write to")


def _planted(given: str) -> list[WorldOf]:
    """The planted worlds that were asked for; another one for every seed."""
    words = [word.strip() for word in given.split(",") if word.strip()]
    if any(word not in ("0", "1", "2", "3", "4", "5", "6") for word in words):
        raise ConfigError(f"--simulate must be numbers of weak tags from 0 to 6, got {given!r}")

    def maker(weak: int) -> WorldOf:
        return lambda seed: planted(weak, seed)

    return [maker(int(word)) for word in words]


def _read(options: Namespace) -> list[WorldOf]:
    """The files, one world for all seeds."""
    encoding = Encoding(options.encoder, options.features_cache, options.pca)
    judges = [name.strip() for name in options.judge.split(",") if name.strip()]

    def known(world: JudgedWorld) -> WorldOf:
        return lambda seed: world

    found = []
    for path in options.files:
        world = read(path, judges=judges, encoding=encoding, progress=tell)
        tell(
            f"{world.name}: {len(world.gold):,} pairs, people agree on "
            f"{(world.gold != 0).mean():.0%}; {world.calls} judges"
        )
        found.append(known(world))
    return found


def _play_all(
    worlds: Sequence[WorldOf],
    plan: Plan,
    labels: Sequence[str],
    budgets: Sequence[float],
    seeds: int,
) -> tuple[list[Run], list[dict[str, Any]]]:
    """Make all runs in this process; one that fails is told and stops no other."""
    runs: list[Run] = []
    failed: list[dict[str, Any]] = []
    began, total = time.monotonic(), len(worlds) * seeds * len(budgets) * len(labels)
    with threadpool_limits(1):
        for world_of, seed in product(worlds, range(seeds)):
            world = world_of(seed)
            for budget, label in product(budgets, labels):
                try:
                    runs.append(play(world, plan, label, budget, seed))
                except Exception as error:  # hours of other runs must not be lost to one
                    failed.append(_failure(world, label, budget, seed, error))
            done = len(runs) + len(failed)
            left = (time.monotonic() - began) / done * (total - done)
            tell(f"{done} of {total} runs, about {left:.0f} s left")
    return runs, failed


def _gains(
    worlds: Sequence[WorldOf], plan: Plan, seeds: int, failed: list[dict[str, Any]]
) -> list[Gains]:
    """The gain model of every file and seed; one that cannot be had stops no other."""
    found: list[Gains] = []
    with threadpool_limits(1):
        for world_of, seed in product(worlds, range(seeds)):
            world = world_of(seed)
            try:
                found.append(gains(world, plan, seed))
            except Exception as error:
                failed.append(_failure(world, "gains", 0.0, seed, error))
            tell(f"gain model of {world.name}: seed {seed}")
    return found


def _failure(
    world: JudgedWorld, label: str, budget: float, seed: int, error: Exception
) -> dict[str, Any]:
    said = f"{type(error).__name__}: {error}"
    tell(f"FAILED: {label} on {world.name}, budget {budget:g}, seed {seed}: {said}")
    return {
        "file": world.name,
        "policy": label,
        "budget": budget,
        "seed": seed,
        "error": said,
    }


def _write(
    options: Namespace,
    plan: Plan,
    labels: Sequence[str],
    runs: Sequence[Run],
    failed: Sequence[dict[str, Any]],
    found: Sequence[Gains],
) -> None:
    cells, areas = summarise(_comparable(runs))
    settings = {
        "version": our_version(),
        **asdict(plan),
        "seeds": options.seeds,
        "policies": list(labels),
        "judges": options.judge or "all",
        "encoder": encoder_key(options.encoder) if options.files else None,
        "pca": options.pca,
    }
    made = {
        "settings": settings,
        "runs": [rounded(asdict(one)) for one in runs],
        "failed": list(failed),
        "summary": [rounded(asdict(one)) for one in cells],
        "areas": [rounded(asdict(one)) for one in areas],
    }
    if found:
        made["gains"] = [rounded(asdict(one)) for one in found]
    options.out.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    if cells:
        sys.stdout.write(table(cells) + "\n")
    if found:
        sys.stdout.write("\n" + told(found) + "\n")


def _comparable(runs: Sequence[Run]) -> list[Run]:
    """Runs whose seed has both pure sources at the same budget."""
    there = {(run.file, run.budget, run.seed, run.policy) for run in runs}
    return [
        run for run in runs if all((run.file, run.budget, run.seed, pure) in there for pure in PURE)
    ]
