"""What a replay leaves: one JSON file and a table to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from learning.replay.loop import Run, Step
from learning.replay.parallel import Failure
from learning.replay.statistics import Summary

_DIGITS: Final = 6
_HEAD: Final = (
    "acquisition",
    "area log-loss",
    "gain on random [95 %]",
    "area accuracy",
    "gain on random [95 %]",
    "labels to random's end",
    "saved [95 %]",
    "s/step",
)


def results(
    *,
    settings: dict[str, Any],
    files: Sequence[dict[str, Any]],
    runs: Sequence[Run],
    failed: Sequence[Failure],
    summary: Sequence[Summary],
) -> dict[str, Any]:
    """Return everything as plain JSON values."""
    return {
        "settings": settings,
        "files": list(files),
        "runs": [_run(run) for run in runs],
        "failed": [asdict(failure) for failure in failed],
        "summary": [rounded(asdict(entry)) for entry in summary],
    }


def _run(run: Run) -> dict[str, Any]:
    return {**asdict(run), "steps": [_step(step) for step in run.steps]}


def _step(step: Step) -> dict[str, Any]:
    return dict(rounded(asdict(step)))


def rounded(value: Any) -> Any:
    """Return plain values with floats at six decimals: nobody reads more of them."""
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value


def table(summary: Sequence[Summary]) -> str:
    """Return a table a file, the best functions first."""
    files = list(dict.fromkeys(entry.file for entry in summary))
    return "\n\n".join(_of_file(file, [e for e in summary if e.file == file]) for file in files)


def _of_file(file: str, entries: list[Summary]) -> str:
    entries = sorted(entries, key=lambda entry: -entry.delta_aulc_log_loss)
    rows = [_HEAD, *(_row(entry) for entry in entries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join([f"{file}, {entries[0].seeds} seeds", *lines])


def _row(entry: Summary) -> tuple[str, ...]:
    reached = entry.labels_to_random_final
    waited = f" (waits {entry.waited:.0%})" if entry.waited else ""
    return (
        entry.acquisition + waited,
        f"{entry.aulc_log_loss:.4f}",
        f"{entry.delta_aulc_log_loss:+.4f}{_ends(entry.ci_low, entry.ci_high, '+.4f')}",
        f"{entry.aulc_accuracy:.1%}",
        f"{entry.delta_aulc_accuracy:+.1%}"
        f"{_ends(entry.accuracy_ci_low, entry.accuracy_ci_high, '+.1%')}",
        "never" if reached is None else f"{reached:.0f}",
        f"{entry.saving:.0%}{_ends(entry.saving_low, entry.saving_high, '.0%')}",
        f"{entry.seconds:.2f}",
    )


def _ends(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f" [{low:{form}}, {high:{form}}]"
