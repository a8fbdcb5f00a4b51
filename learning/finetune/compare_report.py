"""Cells put together: figures with intervals over groups, differences, and when it paid."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from learning.finetune.compare_cells import Cell
from learning.finetune.evaluate_figures import surprise
from learning.finetune.gate import Verdict, examine
from learning.metrics import Estimate, bootstrap_interval, ece

BASELINE: Final = "frozen"
_NONE: Final = Estimate(float("nan"))
_SURE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Row:
    """One method with so many labels on one file, all folds and seeds together.

    Attributes:
        file, method: Which.
        labels: Mean number of labels it learnt from.
        accuracy, log_loss: Of decisive answers about groups not trained on.
        ece: Expected calibration error, without interval.
        gain: Log-loss of the frozen encoder minus this one, on the same answers: positive is
            better than frozen.
        accuracy_gain: Accuracy minus the frozen encoder's.
        seconds: Of one training with its features, mean over folds.
        answers, groups, folds: How much was looked at.
        gate: What it says of each fold; empty for the frozen encoder itself.
    """

    file: str
    method: str
    labels: int
    accuracy: Estimate
    log_loss: Estimate
    ece: float
    gain: Estimate
    accuracy_gain: Estimate
    seconds: float
    answers: int
    groups: int
    folds: int
    gate: tuple[Verdict, ...]

    @property
    def promoted(self) -> int | None:
        """In how many folds the gate lets it through; None where it could say nothing."""
        if all(one.log_loss is None for one in self.gate):
            return None
        return sum(one.promoted for one in self.gate)

    @property
    def pays(self) -> bool:
        """It is better than the frozen encoder, beyond chance."""
        return bool(self.gain.low > 0)


def rows(file: str, cells: Mapping[tuple[str, int], Sequence[Cell]], *, seed: int = 0) -> list[Row]:
    """Summarise the cells of a file, by method and number of labels.

    A method is compared with the frozen encoder on the folds that both have, which must be in
    the same order.
    """
    made = []
    for (method, labels), ours in cells.items():
        base = cells.get((BASELINE, labels), ())
        common = len(ours) == len(base)
        group = np.concatenate([cell.group for cell in ours])
        loss, hits, winner = _values(ours)
        gain = hits_gain = _NONE
        gate: list[Verdict] = []
        if common and method != BASELINE:
            gate = verdicts(ours, base, seed=seed)
            other_loss, other_hits, _ = _values(base)
            gain = _estimate(other_loss - loss, group, seed)
            hits_gain = _estimate(hits - other_hits, group, seed)
        made.append(
            Row(
                file=file,
                method=method,
                labels=round(float(np.mean([cell.labels for cell in ours]))),
                accuracy=_estimate(hits, group, seed),
                log_loss=_estimate(loss, group, seed),
                ece=ece(np.maximum(winner, 1 - winner), hits),
                gain=gain,
                accuracy_gain=hits_gain,
                seconds=float(np.mean([cell.seconds for cell in ours])),
                answers=len(group),
                groups=len(np.unique(group)),
                folds=len(ours),
                gate=tuple(gate),
            )
        )
    return made


def verdicts(ours: Sequence[Cell], base: Sequence[Cell], *, seed: int = 0) -> list[Verdict]:
    """Return what the gate says of each fold, as if it were the holdout of a campaign.

    The default head on frozen features stands for the model in use; groups stand for prompts.
    """
    said = []
    for fold, (new, old) in enumerate(zip(ours, base, strict=True)):
        rng = np.random.default_rng([seed, fold])
        won = np.ones(len(new.winner))  # left is the winner
        said.append(
            examine(_logit(new.winner), _logit(old.winner), won, new.gap, new.group, rng=rng)
        )
    return said


def pays_from(found: Sequence[Row]) -> dict[str, dict[str, int | None]]:
    """Return by file and method the fewest labels from which on it is better than frozen.

    None where with the most labels that were tried it is not, beyond chance.
    """
    told: dict[str, dict[str, int | None]] = {}
    for row in sorted(found, key=lambda one: one.labels):
        if row.method == BASELINE:
            continue
        ours = told.setdefault(row.file, {})
        if not row.pays:
            ours[row.method] = None
        elif ours.get(row.method) is None:
            ours[row.method] = row.labels
    return told


def table(found: Sequence[Row]) -> str:
    """Return the rows as a table that fits a terminal and Markdown."""
    named = ("file", "labels", "method", "accuracy", "log-loss", "gain over frozen", "ECE")
    lines = [f"| {' | '.join((*named, 'promoted', 'seconds'))} |", "|---" * 9 + "|"]
    for row in found:
        gain = "" if np.isnan(row.gain.value) else _told(row.gain, "+.3f")
        promoted = "" if row.promoted is None else f"{row.promoted} of {row.folds}"
        lines.append(
            f"| {row.file} | {row.labels:,} | {row.method} | {_told(row.accuracy, '.1%')} | "
            f"{_told(row.log_loss, '.3f')} | {gain} | {row.ece:.3f} | {promoted} | "
            f"{row.seconds:,.0f} |"
        )
    return "\n".join(lines) + "\n"


def as_csv(found: Sequence[Row]) -> str:
    """Return the rows as CSV, estimates as three columns."""
    out = io.StringIO()
    flat = [_flat(row) for row in found]
    writer = csv.DictWriter(out, list(flat[0]) if flat else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as plain values; NaN is null."""
    plain: dict[str, Any] = {
        name: [_rounded(end) for end in value.values()]
        if isinstance(value, dict)
        else _rounded(value)
        for name, value in asdict(row).items()
    }
    return plain | {"gate": [asdict(one) for one in row.gate]}


def _flat(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in (asdict(row) | {"gate": None}).items():
        if name == "gate":
            flat["promoted"] = row.promoted
        elif isinstance(value, dict):
            ends = {"value": name, "low": f"{name}_low", "high": f"{name}_high"}
            flat |= {ends[end]: _rounded(number) for end, number in value.items()}
        else:
            flat[name] = _rounded(value)
    return flat


def _values(
    cells: Sequence[Cell],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Surprise, hit and probability of the winner, of all answers of all folds."""
    winner = np.concatenate([cell.winner for cell in cells]).astype(np.float64)
    return surprise(winner), np.where(winner == 0.5, 0.5, winner > 0.5), winner


def _estimate(values: NDArray[np.float64], group: NDArray[Any], seed: int) -> Estimate:
    ends = bootstrap_interval(values, group, rng=np.random.default_rng(seed))
    return Estimate(float(values.mean()), *ends)


def _logit(winner: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(logit(np.clip(winner, _SURE, 1 - _SURE)))


def _told(found: Estimate, form: str) -> str:
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 5) if np.isfinite(value) else None
    return value
