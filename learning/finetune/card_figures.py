"""The figures on a model card, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from learning.finetune.evaluate_figures import Bin, Figures
from learning.metrics import Estimate

_MOST_SLICES: Final = 20


def clean(text: str, most: int = 120) -> str:
    """Return a name on one line in which nothing is Markdown, HTML or YAML."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(text))
    bare = re.sub(r"[<>&`*_\[\]()#|!\\~{}$]", " ", line)
    return " ".join(bare.split())[:most] or "unnamed"


def figures_told(
    found: Figures | None, name: str, slices: Mapping[str, Mapping[str, Figures]]
) -> str:
    """Return figures and slices as tables; ``name`` says what they are about."""
    if found is None:
        return "It was not measured on answers that it has not seen."
    told = [
        ("Accuracy", found.accuracy, ".1%"),
        ("Accuracy at equal length", found.length.accuracy, ".1%"),
        ("Log-loss, nats", found.log_loss, ".3f"),
        ("Log-loss with ties, nats", found.log_loss_ties, ".3f"),
        ("Expected calibration error", found.ece, ".3f"),
    ]
    lines = [
        f"On {clean(name)}: {found.n:,} answers ({found.decisive:,} not ties) in "
        f"{found.groups:,} groups. Intervals are 95 %, groups redrawn.",
        "",
        "| figure | value | interval |",
        "|---|---|---|",
    ]
    lines += [_line(name, one, form) for name, one, form in told if not np.isnan(one.value)]
    for kind, parts in slices.items():
        lines += ["", f"By {clean(kind)}:", "", "| slice | answers | accuracy | log-loss |"]
        lines.append("|---|---|---|---|")
        for name, one in list(parts.items())[:_MOST_SLICES]:
            lines.append(
                f"| {clean(name, 60)} | {one.n:,} | {_told(one.accuracy, '.1%')} | "
                f"{_told(one.log_loss, '.3f')} |"
            )
    return "\n".join(lines)


def calibration(temperature: float, found: Figures | None) -> str:
    """Return the temperature, and the reliability table of what was measured."""
    lines = [f"Temperature: {temperature:.4g}. P(first is preferred) = sigmoid((reward of "
             "the first - reward of the second) / temperature)."]  # fmt: skip
    if found is not None:
        lines += [
            "",
            "| confidence | answers | mean confidence | share right |",
            "|---|---|---|---|",
        ]
        lines += [_bin(one) for one in found.reliability]
    return "\n".join(lines)


def length_told(found: Figures | None) -> str:
    """Return what length has to do with rewards."""
    if found is None or np.isnan(found.length.bias.value):
        return "How much of the reward is length was not measured."
    length = found.length
    rows = [
        ("Model's slope", length.slope, "+.3f"),
        ("People's slope", length.people, "+.3f"),
        ("Bias: what the model values length beyond people", length.bias, "+.3f"),
        ("Accuracy where the longer response won", length.longer_won, ".1%"),
        ("Accuracy where the shorter response won", length.shorter_won, ".1%"),
    ]
    return "\n".join(
        [
            f"Logits per standard deviation ({length.unit:.2f}) of the difference of log length.",
            "",
            "| figure | value | interval |",
            "|---|---|---|",
            *(_line(name, one, form) for name, one, form in rows if not np.isnan(one.value)),
        ]
    )


def _line(name: str, found: Estimate, form: str) -> str:
    low, high = f"{found.low:{form}}", f"{found.high:{form}}"
    return (
        f"| {name} | {found.value:{form}} | {'' if np.isnan(found.low) else f'{low} to {high}'} |"
    )


def _told(found: Estimate, form: str) -> str:
    if np.isnan(found.low):
        return f"{found.value:{form}}"
    return f"{found.value:{form}} ({found.low:{form}} to {found.high:{form}})"


def _bin(one: Bin) -> str:
    return (
        f"| {one.low:.0%} to {one.high:.0%} | {one.n:,} | {one.confidence:.1%} | "
        f"{one.accuracy:.1%} |"
    )
