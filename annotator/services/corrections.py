"""Corrections: a person changes an answer that stands. Append-only, like everything said."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator import my_answers, selectors
from annotator.answer_words import verdict
from annotator.errors import AnswerChanged, InvalidAnswer, Missing, WrongState
from annotator.forms import Answer, Timing, parse
from annotator.models import Annotation, Assignment, Slot
from annotator.querysets import TESTS
from annotator.services.annotations import fetch_assignment, says_the_same, tell, with_edit
from annotator.services.assignments import drafted, refuse_unqualified

ASIDE = ("skip", "flag")
CHANGED = gettext_lazy("this answer was changed meanwhile, perhaps in another tab")


@dataclass(frozen=True)
class Standing:
    """An answer that can be changed.

    Attributes:
        assignment: With query, annotator and campaign.
        said: What stands.
        key: The submission key of the page that changes it: always the same for this answer, so
            that a page sent twice, or two tabs, cannot both change it.
        values: The fields of the form as they were filled in.
    """

    assignment: Assignment
    said: Annotation
    key: uuid.UUID
    values: Mapping[str, Any]


def key_after(said: Annotation) -> uuid.UUID:
    """The only key under which this answer can be changed."""
    return uuid.uuid5(said.submission_key, "correction")


def standing(*, assignment_id: uuid.UUID, user: User) -> Standing:
    """A person's answer with what its page needs. Two queries.

    Raises:
        Missing: no such assignment, another person's, or one of practice or a test.
        WrongState: there is no answer that stands, or it cannot be changed now.
        NotQualified: the campaign's test was not passed.
    """
    return _standing(assignment_id=assignment_id, user=user, lock=False)


def _standing(*, assignment_id: uuid.UUID, user: User, lock: bool) -> Standing:
    assignment = fetch_assignment(assignment_id=assignment_id, user=user, lock=lock)
    query, campaign = assignment.query, assignment.annotator.campaign
    if query.arm in TESTS:
        raise Missing(_("no such answer of yours"))
    refuse_unqualified(assignment.annotator)
    if assignment.state != Assignment.State.ANSWERED:
        raise WrongState(_("there is no answer of yours to change: it was skipped or taken back"))
    if campaign.state not in my_answers.CHANGEABLE:
        raise WrongState(_("the campaign is finished: answers can no longer be changed"))
    if query.flagged_at or query.withdrawn:
        raise WrongState(_("this question was reported; a researcher decides about it"))
    said = Annotation.objects.get(assignment=assignment, superseded_by__isnull=True)
    pressed = verdict(my_answers.told(said, query.form, query.parts))
    values = {"verdict": pressed, "rationale": said.rationale, **assignment.draft}
    return Standing(assignment, said, key_after(said), values)


@transaction.atomic
def revise_annotation(
    *,
    assignment_id: uuid.UUID,
    user: User,
    submission_key: uuid.UUID,
    data: Mapping[str, Any],
) -> Annotation:
    """Store an answer that supersedes the one that stands; six queries for a plain one.

    Where the old one counted, the new one does; what was late stays late and is not counted. The
    times are those of both: attention that the question took altogether. The same page twice
    stores one, and what changes nothing is not stored.

    Raises:
        Missing: no such assignment, or another person's.
        WrongState: there is no answer that stands, or it cannot be changed now.
        NotQualified: the campaign's test was not passed.
        AnswerChanged: it was changed meanwhile, in another tab, and to something else.
        InvalidAnswer: the form was filled in wrongly, or it is a skip or a flag: those are no
            answers, and the slot may have been filled since; the answer stands.
    """
    stored = _stored(assignment_id, user, submission_key)
    if stored is not None:
        return _replayed(stored, data)
    now = _standing(assignment_id=assignment_id, user=user, lock=True)
    assignment, said = now.assignment, now.said
    if said.submission_key == submission_key:  # stored while this waited for the lock
        return _replayed(said, data)
    if submission_key != now.key:
        raise AnswerChanged(CHANGED)
    if data.get("choice") in ASIDE:
        told = _("An answer can be changed, but not skipped or flagged afterwards.")
        raise InvalidAnswer({"choice": [told]})
    answer, timing = _parsed(assignment, data)
    tiers = with_edit(answer)
    if says_the_same(said, answer, tiers):
        return said
    made = _superseding(now, answer, tiers, timing, submission_key)
    Slot.objects.filter(pk=assignment.slot_id, annotation=said).update(annotation=made)
    Assignment.objects.filter(pk=assignment.pk).update(draft=drafted(data))
    return made


def _stored(assignment_id: uuid.UUID, user: User, key: uuid.UUID) -> Annotation | None:
    """What was stored under this key already, whatever became of it since."""
    rows = Annotation.objects.filter(submission_key=key, assignment_id=assignment_id)
    related = ("annotator__campaign", "assignment__query", "assignment__annotator__campaign")
    return rows.filter(annotator__user=user).select_related(*related).first()


def _replayed(stored: Annotation, data: Mapping[str, Any]) -> Annotation:
    """The answer again, if this is the same page; two tabs have one key and say different things.

    Raises:
        AnswerChanged: another tab has stored something else under this key.
    """
    answer, _timing = _parsed(cast(Assignment, stored.assignment), data)  # it came from a page
    if not says_the_same(stored, answer, with_edit(answer)):
        raise AnswerChanged(CHANGED)
    return stored


def _parsed(assignment: Assignment, data: Mapping[str, Any]) -> tuple[Answer, Timing]:
    steps = selectors.steps(assignment.query)
    return parse(data, steps=steps, shown=selectors.seen(assignment, steps))


def _superseding(
    now: Standing,
    answer: Answer,
    tiers: list[list[int]] | None,
    timing: Timing,
    submission_key: uuid.UUID,
) -> Annotation:
    said, assignment = now.said, now.assignment
    made = Annotation.objects.create(
        campaign_id=said.campaign_id,
        query_id=said.query_id,
        annotator=assignment.annotator,
        assignment=assignment,
        supersedes=said,
        via=Annotation.Via.PAGE,
        submission_key=submission_key,
        outcome=answer.outcome,
        tiers=tiers,
        acceptable=answer.acceptable,
        strength=answer.strength,
        rationale=answer.rationale,
        details=answer.details,
        late=said.late,
        display_order=assignment.display_order,
        guidelines_version=assignment.annotator.guidelines_read,
        shown_at=said.shown_at,
        first_action_ms=said.first_action_ms,
        active_ms=_together(said.active_ms, timing.active_ms),
    )
    tell(made, assignment)
    return made


def _together(before: int | None, more: int | None) -> int | None:
    if before is None:
        return None
    return min(before + (more or 0), 2_147_483_647)
