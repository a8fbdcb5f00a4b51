"""What the workspace template may know of a question: its parts, texts, keys, and what was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from annotator import keys, selectors
from annotator.checks import Place
from annotator.forms import ASIDE, Step
from annotator.models import Annotator, Assignment
from annotator.my_answers import Version


@dataclass(frozen=True)
class PartView:
    """One part as its template shows it: the part, its options, its context."""

    name: str
    question: str
    help: str
    template: str
    card: str
    context: Mapping[str, Any]


@dataclass(frozen=True)
class Workspace:
    """Everything the workspace template may know. No arm, score, model or other answer.

    Attributes:
        instant: Whether one press answers: a comparison and nothing else.
        correcting: The submission key of a correction, where an answer is being changed.
        version: What that answer says so far, in words.
        stage: Where in a practice round or test this question stands.
    """

    annotator: Annotator
    status: selectors.LoopStatus
    keys: Mapping[str, str]
    assignment: Assignment | None = None
    sight: selectors.Sight | None = None
    parts: tuple[PartView, ...] = ()
    rationale: PartView | None = None
    instant: bool = False
    empty: selectors.EmptyQueue | None = None
    correcting: UUID | None = None
    version: Version | None = None
    stage: Place | None = None
    errors: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def lease_seconds(self) -> int:
        """How long a question stays reserved without a sign of life."""
        return 60 * self.annotator.campaign.lease_minutes

    @property
    def asides(self) -> list[tuple[str, str]]:
        """The ways out of a question that are no answer to it."""
        return [] if self.correcting else list(ASIDE.items())


def question(
    annotator: Annotator,
    assignment: Assignment,
    status: selectors.LoopStatus,
    *,
    errors: Mapping[str, list[str]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Workspace:
    """One question with what was said about it so far."""
    sight = selectors.sight(assignment=assignment)
    said = assignment.draft if values is None else values
    steps = selectors.steps(assignment.query)
    *parts, rationale = (_part(step, sight, said) for step in steps)
    return Workspace(
        annotator,
        status,
        keys.keys_for(status.own_keys),
        assignment,
        sight,
        parts=tuple(parts),
        rationale=rationale,
        instant=_instant(steps),
        errors=errors or {},
    )


def _part(step: Step, sight: selectors.Sight, said: Mapping[str, Any]) -> PartView:
    part = step.part
    context = part.context(shown=sight.shown, options=step.options, values=said)
    return PartView(part.name, part.question, part.help, part.template, part.card, context)


def _instant(steps: tuple[Step, ...]) -> bool:
    lead, *rest = steps
    plain = not lead.options.get("aspects") and not lead.options.get("confidence")
    return lead.part.name == "compare" and plain and len(rest) == 1


def plain(sent: Any) -> dict[str, Any]:
    """A submitted form as plain values: a list where a name can stand several times."""
    several = ("tags", "edit_reasons")
    return {name: sent.getlist(name) if name in several else sent[name] for name in sent}
