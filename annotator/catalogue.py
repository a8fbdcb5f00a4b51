"""What the campaign form offers of the learning side, which this side may not import.

A test compares it with `learning.acquisition.METHODS`, name by name and paragraph by paragraph.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.html import format_html_join
from django.utils.safestring import SafeString


@dataclass(frozen=True)
class Entry:
    """One acquisition function as a researcher sees it."""

    name: str
    summary: str
    diagnostic: bool = False


ACQUISITIONS: tuple[Entry, ...] = (
    Entry(
        "random",
        "Draws pairs uniformly from the pool. It needs no model, is right for a first batch, and "
        "is the yardstick: the part of every batch that is drawn this way shows what the other "
        "functions really save. Keep it as the policy when they save nothing.",
    ),
    Entry(
        "entropy",
        "Asks about the pairs whose winner the model is least sure of. Easy to understand and "
        "often a poor choice: it cannot tell a pair the model has not learnt from a pair that "
        "people themselves disagree on, and it likes near-duplicates. Use it to compare with.",
        diagnostic=True,
    ),
)


def names() -> list[str]:
    """Of all acquisition functions."""
    return [entry.name for entry in ACQUISITIONS]


def acquisition_choices() -> list[tuple[str, str]]:
    """For a form field."""
    return [
        (entry.name, f"{entry.name} (diagnostic)" if entry.diagnostic else entry.name)
        for entry in ACQUISITIONS
    ]


def acquisition_help() -> SafeString:
    """What each function does, under the form field."""
    paragraphs = ((entry.name, entry.summary) for entry in ACQUISITIONS)
    return format_html_join("", "<p><strong>{}</strong>: {}</p>", paragraphs)
