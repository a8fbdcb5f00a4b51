"""Forms of feedback, by name. A new one is a module here and a name in `sequence.FORMS`."""

from __future__ import annotations

from .base import EDITED, Answer, Edit, Part, Said, Shown, Timing
from .described import answer_schema
from .sequence import ASIDE, FORMS, PARTS, Step, checked, parse, sequence, sizes

__all__ = [
    "ASIDE",
    "EDITED",
    "FORMS",
    "PARTS",
    "Answer",
    "Edit",
    "Part",
    "Said",
    "Shown",
    "Step",
    "Timing",
    "answer_schema",
    "checked",
    "parse",
    "sequence",
    "sizes",
]
