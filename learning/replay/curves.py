"""Learning curves of a replay as figures to draw: means over seeds with paired bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.replay.loop import Run
from learning.replay.statistics import BASELINE, Curves, Summary, redraw

MOST: Final = 8  # lines in one panel that can be told apart

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One curve: values over labels, each ``(steps,)``, and the band around them if any."""

    name: str
    labels: Floats
    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share their axes.

    Attributes:
        title: What is drawn.
        percent: Whether values are shares.
        lines: Random first.
    """

    title: str
    percent: bool
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """The panels of one file."""

    title: str
    panels: tuple[Panel, ...]


def worth_drawing(summary: Sequence[Summary], wanted: Sequence[str] = ()) -> list[str]:
    """Return the functions to draw: random, then the wanted ones or those that gain most.

    With more than ``MOST`` functions the rest is left to the table; a gain is the mean over
    files of the area gained on random.
    """
    gains: dict[str, list[float]] = {}
    for entry in summary:
        gains.setdefault(entry.acquisition, []).append(entry.delta_aulc_log_loss)
    others = [name for name in gains if name != BASELINE and (not wanted or name in wanted)]
    best = sorted(others, key=lambda name: -float(np.mean(gains[name])))[: MOST - 1]
    return [BASELINE, *(name for name in others if name in best)]


def rows(runs: Sequence[Run], names: Sequence[str]) -> list[Row]:
    """Return the panels of every file: log-loss, accuracy, and the gain on random's log-loss.

    Bands are 95 % bootstrap intervals of the *difference* from random, paired over seeds, laid
    around random's mean: what a seed's test fold does to all functions alike is not in them.
    """
    by_file: dict[str, dict[str, dict[int, Run]]] = {}
    for run in runs:
        if run.acquisition in names:
            arms = by_file.setdefault(run.file, {})
            arms.setdefault(run.acquisition, {})[run.seed] = run
    return [_row(file, arms, names) for file, arms in by_file.items() if BASELINE in arms]


def _row(file: str, arms: dict[str, dict[int, Run]], names: Sequence[str]) -> Row:
    baseline = arms[BASELINE]
    loss, hits, gain = [], [], []
    for name in (name for name in names if name in arms):
        common = sorted(arms[name].keys() & baseline.keys())
        if not common:
            continue
        arm = Curves.of(arms[name][seed] for seed in common)
        random = Curves.of(baseline[seed] for seed in common)
        loss.append(_line(name, arm.labels, arm.log_loss, random.log_loss))
        hits.append(_line(name, arm.labels, arm.accuracy, random.accuracy))
        gain.append(
            _line(name, arm.labels, random.log_loss - arm.log_loss, np.zeros_like(arm.log_loss))
        )
    tested = next(iter(baseline.values()))
    return Row(
        title=f"{file}: {len(baseline)} seeds, {tested.pool:,} pairs to choose from",
        panels=(
            Panel("log-loss on held-out answers (lower is better)", False, tuple(loss)),
            Panel("accuracy on held-out answers", True, tuple(hits)),
            Panel("log-loss gained on random (higher is better)", False, tuple(gain)),
        ),
    )


def _line(name: str, labels: Floats, values: Floats, baseline: Floats) -> Line:
    """A mean curve ``(steps,)`` of values ``(seeds, steps)`` with its band."""
    mean, centre = values.mean(axis=0), baseline.mean(axis=0)
    if name == BASELINE or len(values) < 2:
        return Line(name, labels, mean, mean, mean)
    weights = redraw(len(values), np.random.default_rng(0))
    drawn = weights @ (values - baseline)  # (draws, steps)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    return Line(name, labels, mean, centre + low, centre + high)
