"""Summary figures of learning curves: area, labels to a target, paired intervals.

All curves of one file share their labels, so that values are arrays ``(seeds, steps)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning.replay.loop import Run

BASELINE: Final = "random"
DRAWS: Final = 10_000
_LEVEL: Final = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Summary:
    """One function on one file.

    Attributes:
        file: Name of the world.
        acquisition: Label of the arm.
        seeds: How many seeds it was compared on.
        aulc_log_loss: Area under the log-loss curve over its length, in nats; lower is better.
        aulc_accuracy: The same for accuracy; higher is better.
        delta_aulc_log_loss: Random's area minus this one's: **positive is better than random**.
        ci_low: Lower end of its 95 % interval, paired over seeds; ``None`` with one seed.
        ci_high: Upper end.
        delta_aulc_accuracy: This area minus random's: positive is better than random.
        accuracy_ci_low: Lower end of its interval.
        accuracy_ci_high: Upper end.
        wins: Seeds on which its log-loss area is below random's.
        final_log_loss: At the last step, mean over seeds.
        final_accuracy: The same for accuracy.
        labels_to_random_final: Labels after which its mean log-loss curve is down to where
            random's ends; ``None`` if it never is.
        saving: One minus these labels over all labels; 0 for never.
        saving_low: Lower end of the interval of the saving, seeds redrawn.
        saving_high: Upper end.
        seed_labels_to_random_final: The same seed by seed, against random's mean final
            log-loss; ``None`` where a seed never gets there.
        censored: How many of these are ``None``.
        waited: Share of its rounds in which it waited for more answers; another function chose.
        seconds: Of a step, median over steps and seeds.
    """

    file: str
    acquisition: str
    seeds: int
    aulc_log_loss: float
    aulc_accuracy: float
    delta_aulc_log_loss: float
    ci_low: float | None
    ci_high: float | None
    delta_aulc_accuracy: float
    accuracy_ci_low: float | None
    accuracy_ci_high: float | None
    wins: int
    final_log_loss: float
    final_accuracy: float
    labels_to_random_final: float | None
    saving: float
    saving_low: float | None
    saving_high: float | None
    seed_labels_to_random_final: tuple[float | None, ...]
    censored: int
    waited: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """All seeds of one function on one file.

    Attributes:
        labels: Shape ``(steps,)``, ascending.
        log_loss: Shape ``(seeds, steps)``.
        accuracy: Shape ``(seeds, steps)``.
        waited: Rounds in which the function waited, shape ``(seeds,)``.
        seconds: Shape ``(seeds, steps)``.
    """

    labels: Floats
    log_loss: Floats
    accuracy: Floats
    waited: Floats
    seconds: Floats

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Curves:
        """Stack runs of equal labels."""
        listed = list(runs)

        def table(name: str) -> Floats:
            return np.array([[getattr(step, name) for step in run.steps] for run in listed])

        return cls(
            table("labels")[0].astype(np.float64),
            table("log_loss"),
            table("accuracy"),
            np.array([float(run.waited) for run in listed]),
            table("seconds"),
        )


def area(labels: Floats, values: Floats) -> Floats:
    """Return the area under curves over the width of the axis; shape ``values.shape[:-1]``.

    The trapezoid rule over ``labels`` ``(steps,)``; a curve of one point is its value.
    """
    if len(labels) == 1:
        return np.asarray(values[..., 0])
    return np.asarray(np.trapezoid(values, labels, axis=-1) / (labels[-1] - labels[0]))


def labels_to(labels: Floats, curves: Floats, target: Floats | float) -> Floats:
    """Return where falling curves first are at or below a target; NaN where they never are.

    Args:
        labels: Shape ``(steps,)``.
        curves: Shape ``(..., steps)``; linear between steps.
        target: A number for each curve, shape ``curves.shape[:-1]``, or one for all.
    """
    goal = np.broadcast_to(np.asarray(target, dtype=np.float64), curves.shape[:-1])
    below = curves <= goal[..., None]
    at = below.argmax(axis=-1)
    before = np.maximum(at - 1, 0)

    def value(step: NDArray[np.int64]) -> Floats:
        return np.take_along_axis(curves, step[..., None], axis=-1)[..., 0]

    fall = np.where(at > 0, value(before) - value(at), 1.0)
    share = np.where(at > 0, (value(before) - goal) / fall, 0.0)
    place = labels[before] + share * (labels[at] - labels[before])
    return np.where(below.any(axis=-1), place, np.nan)


def interval(values: Floats) -> tuple[float | None, float | None]:
    """Return the middle 95 % of bootstrap replicates ``(draws,)``; none where they are NaN."""
    if np.isnan(values).any():
        return None, None
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def redraw(seeds: int, rng: np.random.Generator) -> Floats:
    """Return the weight of each seed in each bootstrap replicate, shape ``(draws, seeds)``.

    One seed alone says nothing of spread: its weights are NaN.
    """
    if seeds < 2:
        return np.full((1, seeds), np.nan)
    return rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=DRAWS) / seeds


def summarise(runs: Sequence[Run], *, baseline: str = BASELINE, seed: int = 0) -> list[Summary]:
    """Compare every function with random, file by file, on the seeds that both have.

    Args:
        runs: Of any files and functions.
        baseline: Label of what stands for random.
        seed: Of the bootstrap.

    Raises:
        KeyError: there is a file without runs of the baseline.
    """
    by_arm: dict[tuple[str, str], dict[int, Run]] = {}
    for run in runs:
        by_arm.setdefault((run.file, run.acquisition), {})[run.seed] = run
    found = []
    for (file, label), mine in by_arm.items():
        drawn = by_arm[file, baseline]
        common = sorted(mine.keys() & drawn.keys())
        if common:
            arm = Curves.of(mine[s] for s in common)
            random = Curves.of(drawn[s] for s in common)
            found.append(_compare(file, label, arm, random, np.random.default_rng(seed)))
    return found


def _compare(
    file: str, label: str, arm: Curves, random: Curves, rng: np.random.Generator
) -> Summary:
    labels, seeds = arm.labels, len(arm.log_loss)
    weights = redraw(seeds, rng)  # the same redrawn seeds for every figure
    loss, hits = area(labels, arm.log_loss), area(labels, arm.accuracy)
    gain = area(labels, random.log_loss) - loss
    more_hits = hits - area(labels, random.accuracy)
    ci, hits_ci = interval(weights @ gain), interval(weights @ more_hits)
    target = random.log_loss[:, -1]
    reached = float(labels_to(labels, arm.log_loss.mean(axis=0), target.mean()))
    redrawn = labels_to(labels, weights @ arm.log_loss, weights @ target)
    savings = interval(_saving(labels, redrawn)) if seeds > 1 else (None, None)
    by_seed = labels_to(labels, arm.log_loss, target.mean())
    return Summary(
        file=file,
        acquisition=label,
        seeds=seeds,
        aulc_log_loss=float(loss.mean()),
        aulc_accuracy=float(hits.mean()),
        delta_aulc_log_loss=float(gain.mean()),
        ci_low=ci[0],
        ci_high=ci[1],
        delta_aulc_accuracy=float(more_hits.mean()),
        accuracy_ci_low=hits_ci[0],
        accuracy_ci_high=hits_ci[1],
        wins=int((gain > 0).sum()),
        final_log_loss=float(arm.log_loss[:, -1].mean()),
        final_accuracy=float(arm.accuracy[:, -1].mean()),
        labels_to_random_final=None if np.isnan(reached) else reached,
        saving=float(_saving(labels, np.array(reached))),
        saving_low=savings[0],
        saving_high=savings[1],
        seed_labels_to_random_final=tuple(None if np.isnan(at) else float(at) for at in by_seed),
        censored=int(np.isnan(by_seed).sum()),
        waited=float(arm.waited.mean() / max(len(labels) - 1, 1)),
        seconds=float(np.median(arm.seconds)),
    )


def _saving(labels: Floats, reached: Floats) -> Floats:
    """The share of all labels that is not needed; none is saved where it is never reached."""
    return np.where(np.isnan(reached), 0.0, 1.0 - reached / labels[-1])
