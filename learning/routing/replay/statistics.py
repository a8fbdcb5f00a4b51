"""Routing against the better pure source: paired differences with intervals over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.replay.statistics import area, interval, redraw
from learning.routing.replay.campaign import Run
from learning.routing.replay.plan import PURE

Doubles = NDArray[np.float64]

_PEOPLE, _JUDGE = PURE


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy on one file at one budget.

    Attributes:
        file: Name of the world.
        policy: Label of the policy.
        budget: What could be spent, in answers of a person.
        seeds: How many seeds it was compared on.
        accuracy: Mean over seeds, on the gold of held-out pairs.
        log_loss: The same, in nats.
        cost: Mean of what was spent.
        human_share: Questions answered by people among those answered, mean.
        better_pure: Which of the two pure sources has the higher mean accuracy here.
        delta_best_pure: Accuracy minus that of the better pure source at this budget.
        ci_low: Lower end of its 95 % interval: seeds redrawn in pairs, and the better pure
            source chosen anew in each redrawing. ``None`` with one seed.
        ci_high: Upper end.
        judge_error: Share of errors among the judge's answers that stood, mean; ``None``
            where none stood.
        fell_back: Runs in which a pure source replaced fusion.
    """

    file: str
    policy: str
    budget: float
    seeds: int
    accuracy: float
    log_loss: float
    cost: float
    human_share: float
    better_pure: str
    delta_best_pure: float
    ci_low: float | None
    ci_high: float | None
    judge_error: float | None
    fell_back: int


@dataclass(frozen=True, slots=True)
class Area:
    """One policy on one file over all budgets.

    Attributes:
        file: Name of the world.
        policy: Label of the policy.
        mean_delta: Area under the difference to the better pure source over the logarithm of
            the budget, divided by its width.
        ci_low: Lower end of its 95 % interval; ``None`` with one seed.
        ci_high: Upper end.
        better: Budgets at which the lower end of the difference is above 0.
        worst: Smallest difference at any budget.
    """

    file: str
    policy: str
    mean_delta: float
    ci_low: float | None
    ci_high: float | None
    better: int
    worst: float


def summarise(runs: Sequence[Run], *, seed: int = 0) -> tuple[list[Cell], list[Area]]:
    """Compare every policy with the better pure source, on the seeds that all three have.

    Args:
        runs: Of any files; those of both pure policies among them at every budget.
        seed: Of the bootstrap.

    Raises:
        KeyError: a pure policy has no runs at a file's budget.
    """
    table: dict[tuple[str, str, float], dict[int, Run]] = {}
    for run in runs:
        table.setdefault((run.file, run.policy, run.budget), {})[run.seed] = run
    arms = dict.fromkeys((file, policy) for file, policy, _ in table)
    cells: list[Cell] = []
    areas: list[Area] = []
    for file, policy in arms:
        budgets = sorted(b for f, p, b in table if (f, p) == (file, policy))
        drawn = []
        for budget in budgets:
            names = (policy, _PEOPLE, _JUDGE)
            cell, values = _cell([table[file, name, budget] for name in names], seed)
            cells.append(cell)
            drawn.append(values)
        areas.append(_area(cells[-len(budgets) :], drawn))
    return cells, areas


def _cell(arms: Sequence[dict[int, Run]], seed: int) -> tuple[Cell, Doubles]:
    """A cell, and its difference in every redrawing of the seeds, ``(draws,)``."""
    common = sorted(set.intersection(*(set(arm) for arm in arms)))
    mine = [arms[0][s] for s in common]
    accuracy = np.array([[arm[s].accuracy for s in common] for arm in arms])  # (3, seeds)
    means = accuracy.mean(axis=1)
    weights = redraw(len(common), np.random.default_rng(seed))
    redrawn = weights @ accuracy.T  # (draws, 3)
    deltas = redrawn[:, 0] - redrawn[:, 1:].max(axis=1)
    low, high = interval(deltas)
    errors = [run.judge_error for run in mine if run.judge_error is not None]
    return Cell(
        file=mine[0].file,
        policy=mine[0].policy,
        budget=mine[0].budget,
        seeds=len(common),
        accuracy=float(means[0]),
        log_loss=float(np.mean([run.log_loss for run in mine])),
        cost=float(np.mean([run.cost for run in mine])),
        human_share=float(np.mean([run.human_share for run in mine])),
        better_pure=_PEOPLE if means[1] >= means[2] else _JUDGE,
        delta_best_pure=float(means[0] - means[1:].max()),
        ci_low=low,
        ci_high=high,
        judge_error=float(np.mean(errors)) if errors else None,
        fell_back=sum(run.source in ("people", "judge") for run in mine),
    ), deltas


def _area(cells: Sequence[Cell], redrawn: Sequence[Doubles]) -> Area:
    budgets = np.log([cell.budget for cell in cells])
    deltas = np.array([cell.delta_best_pure for cell in cells])
    low, high = interval(area(budgets, np.stack(redrawn, axis=1)))
    return Area(
        file=cells[0].file,
        policy=cells[0].policy,
        mean_delta=float(area(budgets, deltas)),
        ci_low=low,
        ci_high=high,
        better=sum(cell.ci_low is not None and cell.ci_low > 0 for cell in cells),
        worst=float(deltas.min()),
    )


def table(cells: Sequence[Cell]) -> str:
    """Return a table a file to read: budgets down, policies across, ``accuracy delta``."""
    files = list(dict.fromkeys(cell.file for cell in cells))
    return "\n\n".join(_of_file(file, [c for c in cells if c.file == file]) for file in files)


def _of_file(file: str, cells: Sequence[Cell]) -> str:
    policies = list(dict.fromkeys(cell.policy for cell in cells))
    budgets = sorted({cell.budget for cell in cells})
    at = {(cell.policy, cell.budget): cell for cell in cells}
    rows = [["budget", *policies]]
    for budget in budgets:
        rows.append([f"{budget:g}", *(_short(at.get((name, budget))) for name in policies)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    title = f"{file}, {cells[0].seeds} seeds: accuracy, and points to the better pure source [95 %]"
    return "\n".join([title, *lines])


def _short(cell: Cell | None) -> str:
    if cell is None:
        return ""
    ends = ""
    if cell.ci_low is not None and cell.ci_high is not None:
        ends = f" [{100 * cell.ci_low:+.1f}, {100 * cell.ci_high:+.1f}]"
    return f"{cell.accuracy:.1%} {100 * cell.delta_best_pure:+.1f}{ends}"
