"""What every form of feedback gives: an answer with a weak order, whatever was clicked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from annotator.models import Annotation

Outcome = Annotation.Outcome


@dataclass(frozen=True)
class Answer:
    """One validated answer, in response ids: independent of the side a response was shown on."""

    outcome: Outcome
    tiers: tuple[tuple[int, ...], ...] | None = None
    acceptable: int | None = None
    strength: int | None = None
    rationale: str = ""


@dataclass(frozen=True)
class Timing:
    """How long the person took, as their browser measured it. Milliseconds."""

    first_action_ms: int | None = None
    active_ms: int | None = None


class FormKind(Protocol):
    """One module of `annotator.forms`: input rules, weak order, template."""

    name: str
    template: str

    def parse(
        self, data: Mapping[str, object], *, display_order: Sequence[int]
    ) -> tuple[Answer, Timing]:
        """Validate what was sent. Raises `InvalidAnswer` with the errors by field."""
        ...
