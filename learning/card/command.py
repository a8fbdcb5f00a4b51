"""`python -m learning encoder-card`: the encoder card of an annotated file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from learning import heads
from learning.card import EncoderCard, encoder_card
from learning.encoders import encoder_key
from learning.errors import ConfigError
from learning.replay.command import about, add_encoding, our_version, tell
from learning.replay.corpus import read
from learning.replay.loop import Arm, Plan
from learning.replay.payoff import payoff
from learning.replay.report import rounded
from learning.replay.worlds import Encoding, build, embed, principal
from learning.sets import BLIND


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="CARD.JSON")
    parser.add_argument(
        "--head", default="auto", choices=["auto", *heads.HEADS], help="auto: what suits the pairs"
    )
    parser.add_argument(
        "--folds",
        default="group",
        choices=["group", "items"],
        help="test on groups never seen, or on pairs of responses that may be known",
    )
    parser.add_argument("--seed", type=int, default=0, help="of folds, subsets and bootstrap")
    parser.add_argument(
        "--payoff",
        metavar="NAME",
        help="try by replay whether choosing by this function has paid on these answers",
    )
    add_encoding(parser)


def run(options: Namespace) -> int:
    """Make the card, write it and print its sentence."""
    if not options.out.parent.is_dir():
        raise ConfigError(f"there is no folder {options.out.parent} to write to")
    arm = Arm(options.payoff) if options.payoff else None
    if arm is not None and arm.recipe.method.name in BLIND:
        raise ConfigError(f"--payoff {arm.label}: it draws at random itself; name another function")
    corpus = read(options.file)
    encoding = Encoding(options.encoder, options.features_cache, options.pca)
    raw = embed(corpus, encoding, tell)
    world = build(corpus, raw, pca=options.pca)
    unit = world.group if options.folds == "group" else np.arange(len(world.pairs))
    vectors = principal(raw.responses, world.pairs, options.pca) if options.pca else raw.responses
    with threadpool_limits(1):  # small matrices: more threads only wait for each other
        card = encoder_card(
            vectors,
            raw.surface,
            world.comparisons,
            unit[world.answers.pair],
            rng=np.random.default_rng(options.seed),
            head=None if options.head == "auto" else heads.get(options.head),
        )
        paid = None
        if arm is not None:
            plan = Plan(head=options.head, folds=options.folds)
            paid = payoff(world, arm, plan=plan, progress=_replayed)
    made = {**rounded(card.to_json()), "settings": _settings(options)}
    made["file"] = about(options.file, corpus)
    if paid is not None:
        made["payoff"] = rounded(paid.to_json())
    options.out.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(_told(corpus.name, card))
    if paid is not None:
        sys.stdout.write(f"{paid.sentence}\n")
    return 0


def _replayed(done: int, total: int) -> None:
    tell(f"replayed {done} of {total}")


def _settings(options: Namespace) -> dict[str, Any]:
    return {
        "version": our_version(),
        "encoder": encoder_key(options.encoder),
        "folds": options.folds,
        "pca": options.pca,
        "seed": options.seed,
    }


def _told(name: str, card: EncoderCard) -> str:
    rows = [
        ("accuracy", card.accuracy, ".1%"),
        ("surface features alone", card.surface_accuracy, ".1%"),
        ("log-loss", card.log_loss, ".4f"),
        ("surface features alone", card.surface_log_loss, ".4f"),
        ("two people agree", card.agreement, ".1%"),
    ]
    lines = [f"{name}: {card.labels:,} answers, {card.used:,} looked at"]
    for label, estimate, form in rows:
        if np.isnan(estimate.value):
            continue
        value, low, high = (f"{x:{form}}" for x in (estimate.value, estimate.low, estimate.high))
        lines.append(f"  {label:<24} {value:>8}  [{low}, {high}]")
    curve = ", ".join(f"{p.labels}: {p.accuracy:.1%} ({p.log_loss:.4f})" for p in card.curve)
    lines += [f"  curve: {curve}", card.sentence]
    return "\n".join(lines) + "\n"
