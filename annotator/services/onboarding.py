"""What comes before the first question: practice with explained answers, and a test."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from annotator import checks
from annotator.models import Annotation, Annotator, Assignment, Campaign, Slot
from annotator.services import mixing
from annotator.services.assignments import lock_annotator, renew_lease

TESTS = (checks.PRACTICE, checks.QUALIFICATION)


@transaction.atomic
def next_test_question(
    *, slug: str, user: User, purpose: str, begin: bool = True
) -> tuple[Annotator, Assignment | None]:
    """Give the next question of the practice round or the test; with none left, end that stage.

    Nothing is given while the campaign does not run, the guidelines are unread, or the person is
    at another stage. With `begin` off, a round that was not begun is not begun. Answers are kept,
    and are no labels.

    Raises:
        Missing: no such campaign, or not for this person, or they never opened it.
    """
    annotator = lock_annotator(slug=slug, user=user)
    if not at_stage(annotator, purpose):
        return annotator, None
    mine = Assignment.objects.filter(annotator=annotator, query__arm=purpose)
    if not begin and not mine.exists():
        return annotator, None
    under_way = (
        mine.open()
        .filter(query__gold_answers__active=True)
        .filter(query__flagged_at=None, query__withdrawn=False)
        .select_related("query", "annotator__campaign")
        .first()
    )
    if under_way is not None:
        renew_lease(assignment=under_way)
        return annotator, under_way
    left = mixing.unseen(annotator=annotator, purpose=purpose)
    if left:
        return annotator, mixing.give_known(annotator=annotator, query=left[0])
    _end(annotator, purpose)
    return annotator, None


def at_stage(annotator: Annotator, purpose: str) -> bool:
    """Whether this is what the person has to do now; the row comes from `lock_annotator`."""
    running = annotator.campaign.state == Campaign.State.RUNNING
    read = annotator.guidelines_read >= annotator.guidelines_version  # type: ignore[attr-defined]
    return running and read and annotator.stage == purpose  # type: ignore[attr-defined]


def _end(annotator: Annotator, purpose: str) -> None:
    now = timezone.now()
    if purpose == checks.PRACTICE:
        annotator.practised_at = now
    elif checks.result(annotator=annotator).passed:
        annotator.qualified_at = now
    else:
        annotator.disqualified_at = now
    annotator.stage = ""  # type: ignore[attr-defined]
    annotator.save(update_fields=["practised_at", "qualified_at", "disqualified_at"])


@transaction.atomic
def waive_test(*, annotator: Annotator) -> None:
    """A researcher lets this person go on, whatever the test said."""
    Annotator.objects.filter(pk=annotator.pk).update(
        qualified_at=timezone.now(), disqualified_at=None
    )


@transaction.atomic
def give_another_try(*, annotator: Annotator) -> int:
    """Take the answers to the test back, so that the same questions are asked once more.

    The answers stay in the history, superseded as by an undo. Returns how many there were.
    """
    locked = Annotator.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    given = (
        Assignment.objects.select_for_update(of=("self", "slot"))
        .filter(annotator=locked, query__arm=checks.QUALIFICATION)
        .exclude(state=Assignment.State.OPEN)
        .select_related("slot", "annotator__campaign")
    )
    taken_back = [_reopen(assignment) for assignment in given]
    locked.qualified_at = locked.disqualified_at = None
    locked.save(update_fields=["qualified_at", "disqualified_at"])
    return len(taken_back)


def _reopen(assignment: Assignment) -> Annotation:
    said = Annotation.objects.get(assignment=assignment, superseded_by__isnull=True)
    undone = Annotation.objects.create(
        campaign_id=said.campaign_id,
        query_id=said.query_id,
        annotator_id=said.annotator_id,
        assignment=assignment,
        supersedes=said,
        via=said.via,
        outcome=Annotation.Outcome.UNDONE,
        display_order=assignment.display_order,
        guidelines_version=assignment.guidelines_version,
    )
    until = mixing.lease_end(assignment.annotator.campaign, timezone.now())
    Slot.objects.filter(pk=assignment.slot_id).update(
        state=Slot.State.LEASED, leased_until=until, holder=assignment.pk, annotation=None
    )
    Assignment.objects.filter(pk=assignment.pk).update(
        state=Assignment.State.OPEN,
        closed_at=None,
        submission_key=uuid.uuid4(),
        lease_until=until,
        shown_at=timezone.now(),
        draft={},
        reopened=F("reopened") + 1,
    )
    return undone
