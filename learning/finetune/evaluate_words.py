"""Figures of a reward model as a table that fits a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from learning.finetune.evaluate_figures import Figures
from learning.metrics import Estimate

_MOST: Final = 12  # rows a table; the JSON has all
_WIDTH: Final = 34


def table(name: str, found: Figures, slices: Mapping[str, Mapping[str, Figures]]) -> str:
    """Return the figures of one file and of its slices."""
    length = found.length
    rows = [
        ("accuracy", found.accuracy, ".1%"),
        ("  at equal length", length.accuracy, ".1%"),
        ("  where the longer one won", length.longer_won, ".1%"),
        ("  where the shorter one won", length.shorter_won, ".1%"),
        ("log-loss", found.log_loss, ".4f"),
        ("  with ties", found.log_loss_ties, ".4f"),
        ("calibration error", found.ece, ".4f"),
        ("ties have the smaller margin", found.tie_auc, ".1%"),
        ("length bias, logits a unit", length.bias, "+.3f"),
        ("  the model's slope", length.slope, "+.3f"),
        ("  people's slope", length.people, "+.3f"),
    ]
    lines = [
        f"{printable(name)}: {found.n:,} answers, {found.ties:.0%} ties, {found.groups:,} groups"
    ]
    for label, estimate, form in rows:
        if not np.isnan(estimate.value):
            lines.append(f"  {label:<30} {_value(estimate, form)}")
    for kind, parts in slices.items():
        lines += ["", f"  {f'by {kind}':<{_WIDTH}} {'answers':>8}  accuracy{'':18}log-loss"]
        for part, figures in list(parts.items())[:_MOST]:
            lines.append(
                f"  {_short(part):<{_WIDTH}} {figures.n:>8,}  {_value(figures.accuracy, '.1%'):<25}"
                f" {_value(figures.log_loss, '.3f')}"
            )
        if len(parts) > _MOST:
            lines.append(f"  and {len(parts) - _MOST} more: see --out")
    return "\n".join(lines) + "\n\n"


def printable(text: str) -> str:
    """Return a name without what could move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _short(name: str) -> str:
    clean = printable(name)
    return clean if len(clean) <= _WIDTH else clean[: _WIDTH - 1] + "…"


def _value(estimate: Estimate, form: str) -> str:
    value = f"{estimate.value:{form}}"
    if np.isnan(estimate.low):
        return value
    return f"{value} [{estimate.low:{form}}, {estimate.high:{form}}]"
