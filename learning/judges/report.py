"""The report of one judge against people, and the command that prints it for a file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.errors import ConfigError, NotEnoughData
from learning.judges.bias import BiasReport, Position, by_tag, kin, self_preference
from learning.judges.calibration import METHODS, out_of_fold
from learning.judges.controls import Control, controls, differences
from learning.judges.forms.base import SURE
from learning.judges.labelled import Labelled, read
from learning.judges.quality import quality
from learning.metrics import Estimate
from learning.text import Prompt

Doubles = NDArray[np.float64]
_TAGS: Final = 12  # rows of the table that is printed


def bias_report(
    judge: str,
    p: Doubles,
    people: Doubles,
    *,
    prompts: Sequence[Prompt],
    responses: Sequence[tuple[str, str]],
    clusters: Sequence[str],
    rng: np.random.Generator,
    authors: Sequence[tuple[str, str]] | None = None,
    tags: Sequence[Sequence[str]] | None = None,
    position: Position | None = None,
    method: str = "auto",
) -> BiasReport:
    """Measure everything about a judge that these rows can show.

    Rows should be a random sample: the judge's and people's answers to the same questions with
    two responses. What cannot be measured is None and has a note.

    Args:
        judge: Its name, by which its kin is found.
        p: P_judge(first preferred), both orders averaged, shape ``(n,)``.
        people: Share of people who prefer the first, ties as one half, shape ``(n,)``.
        prompts, responses: Their texts.
        clusters: Prompt or group of each question.
        rng: For folds and bootstraps.
        authors: Names of the models that wrote the responses.
        tags: Tags of each question; the first one is the group of the calibration.
        position: From `learning.judges.bias.position`, where both orders were asked.
        method: Of the calibration.

    Raises:
        NotEnoughData: there is no row.
        ShapeError: arrays of different lengths.
    """
    unit = np.asarray(clusters)
    notes = [] if position else ["position: only known where both display orders were asked"]
    groups = [names[0] if names else "" for names in tags] if tags is not None else None
    calibrated = out_of_fold(p, people, groups, clusters=unit, rng=rng, method=method)
    found: tuple[Control, ...] = ()
    try:
        gaps = differences(prompts, [r[0] for r in responses], [r[1] for r in responses])
        found = controls(_decided(p), people, gaps, clusters=unit, rng=rng)
    except NotEnoughData as error:
        notes.append(f"controls: {error}")
    own = kin(judge, authors) if authors is not None else np.full(len(p), -1)
    rows = own >= 0
    preference = None
    try:
        ours = np.where(own == 1, 1 - p, p)[rows]
        theirs = np.where(own == 1, 1 - people, people)[rows]
        preference = self_preference(ours, theirs, clusters=unit[rows], rng=rng)
    except NotEnoughData as error:
        notes.append(f"self-preference: {error}")
    return BiasReport(
        judge=judge,
        raw=quality(p, people),
        calibrated=quality(calibrated, people),
        position=position,
        controls=found,
        self_preference=preference,
        tags=by_tag(p, people, tags) if tags is not None else (),
        notes=tuple(notes),
    )


def _decided(p: Doubles) -> Doubles:
    return np.asarray((np.sign(p - 0.5) + 1) / 2, dtype=np.float64)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("file", type=Path, metavar="FILE", help="native, with kinds human and llm")
    parser.add_argument("--judge", metavar="NAME", help="only this one")
    parser.add_argument("--calibration", default="auto", choices=METHODS)
    parser.add_argument("--seed", type=int, default=0, help="of folds and bootstrap")
    parser.add_argument("--out", type=Path, metavar="REPORT.JSON", help="all figures")


def run(options: Namespace) -> int:
    """Report on the judges of a file: tables on standard output, everything in a file."""
    if options.out is not None and not options.out.parent.is_dir():
        raise ConfigError(f"there is no folder {options.out.parent} to write to")
    tables = read(options.file)
    names = [table.judge for table in tables]
    if options.judge is not None and options.judge not in names:
        raise ConfigError(
            f"no judge {options.judge!r} in {options.file}; it has {', '.join(names)}"
        )
    wanted = [table for table in tables if options.judge in (None, table.judge)]
    made: dict[str, Any] = {"file": options.file.name, "seed": options.seed, "judges": []}
    for table in wanted:
        report = of_table(table, np.random.default_rng(options.seed), options.calibration)
        people = float(np.mean(table.alike)) if table.alike else None
        made["judges"].append({**report.to_json(), "two_people_agree": people})
        sys.stdout.write("\n".join(told(report, people)) + "\n\n")
    if options.out is not None:
        text = json.dumps(_without_nan(made), indent=1, ensure_ascii=False)
        options.out.write_text(text + "\n", encoding="utf-8")
    return 0


def of_table(table: Labelled, rng: np.random.Generator, method: str) -> BiasReport:
    """Report on one judge of a file. A bare choice counts as 95 to 5, before calibration."""
    said = np.array(table.said)
    return bias_report(
        table.judge,
        0.5 + (said - 0.5) * (2 * SURE - 1),
        np.array(table.people),
        prompts=table.prompts,
        responses=table.responses,
        clusters=table.groups,
        rng=rng,
        authors=table.authors,
        tags=table.tags if any(table.tags) else None,
        method=method,
    )


def told(report: BiasReport, people: float | None = None) -> list[str]:
    """Return the report as lines of text."""
    raw, after = report.raw, report.calibrated
    lines = [
        f"{report.judge}: {raw.n:,} questions",
        f"  agrees with most people {_share(raw.agreement)}, ties as halves",
        f"  where both are decided {_share(raw.decided)}, {raw.n_decided:,} questions",
    ]
    if people is not None:
        lines.append(f"  two people say the same {people:.1%}")
    for name, a, b in (
        ("ECE", raw.ece, after.ece),
        ("Brier", raw.brier, after.brier),
        ("log-loss", raw.log_loss, after.log_loss),
    ):
        lines.append(f"  {name:<9} {a:.4f}, calibrated on other prompts {b:.4f}")
    for one in report.controls:
        lines.append(
            f"  {one.name:<9} judge {one.judge:+.2f}, people {one.people:+.2f}, difference "
            f"{_number(one.difference)}"
        )
    if (own := report.self_preference) is not None:
        lines.append(
            f"  own kin   judge {own.judge:.1%}, people {own.people:.1%}, DBG {_number(own.dbg)} "
            f"on {own.questions} questions"
        )
    if (side := report.position) is not None:
        lines.append(f"  shown first is chosen {_share(side.first)}, {side.calls} calls")
    shown = report.tags[:_TAGS]
    for tag in shown:
        lines.append(f"  {tag.tag[:40]:<40} {tag.n:>5}  {_share(tag.agreement)}")
    if len(report.tags) > len(shown):
        lines.append(f"  and {len(report.tags) - len(shown)} tags with more agreement")
    return lines + [f"  {note}" for note in report.notes]


def _share(found: Estimate) -> str:
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def _number(found: Estimate) -> str:
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and value != value else value
