"""Recording answers: append-only, idempotent, never more counted than wanted."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator import selectors
from annotator.errors import (
    AnsweredElsewhere,
    AssignmentClosed,
    InvalidAnswer,
    Missing,
    NothingToUndo,
)
from annotator.forms import EDITED, Answer, parse
from annotator.models import Annotation, Assignment, Campaign, Query, Response, Slot
from annotator.services import webhooks
from annotator.services.assignments import drafted, lock_annotator, refuse_unqualified
from annotator.services.imports import digest
from annotator.services.mixing import lease_end

Outcome = Annotation.Outcome
CLOSED_AS = {Outcome.SKIP: Assignment.State.SKIPPED, Outcome.FLAG: Assignment.State.FLAGGED}


def fetch_assignment(*, assignment_id: uuid.UUID, user: User, lock: bool = False) -> Assignment:
    """The assignment with slot, query, annotator and campaign, if it is this person's. One query.

    `heard` says whether a webhook listens to the campaign.

    Raises:
        Missing: no such assignment, or another person's (told apart for nobody).
    """
    rows = Assignment.objects.of_person(user).select_related("slot", "query", "annotator__campaign")
    rows = rows.annotate(heard=Exists(webhooks.listening(OuterRef("query__campaign_id"))))
    if lock:
        rows = rows.select_for_update(of=("self", "slot"))
    found = rows.filter(pk=assignment_id).first()
    if found is None:
        raise Missing(_("no such assignment of yours"))
    return found


@transaction.atomic
def record_annotation(
    *,
    assignment_id: uuid.UUID,
    user: User,
    submission_key: uuid.UUID,
    data: Mapping[str, object],
    via: str = Annotation.Via.PAGE,
) -> Annotation:
    """Check one answer by the rules of the query's form, store it, close the assignment.

    Four queries for a plain answer.

    The same page twice stores one annotation and returns it again. An answer after the lease ran
    out is kept and marked late; it counts only when nobody else has taken the slot.

    Raises:
        Missing: no such assignment, or another person's.
        AssignmentClosed: answered already under another key.
        AnsweredElsewhere: answered already under this key, and otherwise.
        InvalidAnswer: the form was filled in wrongly; the assignment stays open.
        NotQualified: the campaign's test was not passed.
    """
    assignment = fetch_assignment(assignment_id=assignment_id, user=user, lock=True)
    if assignment.state != Assignment.State.OPEN or submission_key != assignment.submission_key:
        return _replayed(assignment, submission_key, data)
    refuse_unqualified(assignment.annotator)
    steps = selectors.steps(assignment.query)
    answer, timing = parse(data, steps=steps, shown=selectors.seen(assignment, steps))
    previous = _last_of(assignment)
    annotation = Annotation.objects.create(
        campaign_id=assignment.query.campaign_id,
        query_id=assignment.query_id,
        annotator_id=assignment.annotator_id,
        assignment=assignment,
        supersedes=previous,
        via=via,
        submission_key=submission_key,
        outcome=answer.outcome,
        tiers=with_edit(answer),
        acceptable=answer.acceptable,
        strength=answer.strength,
        rationale=answer.rationale,
        details=answer.details,
        late=timezone.now() > assignment.lease_until,
        display_order=assignment.display_order,
        guidelines_version=assignment.guidelines_version,
        shown_at=assignment.shown_at,
        first_action_ms=timing.first_action_ms,
        active_ms=timing.active_ms,
    )
    _settle_slot(assignment, annotation)
    tell(annotation, assignment)
    assignment.state = CLOSED_AS.get(answer.outcome, Assignment.State.ANSWERED)
    assignment.closed_at = timezone.now()
    assignment.draft = drafted(data)  # an undo brings all of it back
    assignment.save(update_fields=["state", "closed_at", "draft"])
    return annotation


def tell(annotation: Annotation, assignment: Assignment) -> None:
    """Webhooks hear of every annotation: answers, corrections, and what was taken back."""
    if not getattr(assignment, "heard", True):
        return  # nobody listens: most campaigns, and no query for them
    webhooks.emit(
        campaign_id=annotation.campaign_id,
        event=webhooks.Event.ANNOTATION,
        data=webhooks.about(annotation, assignment.annotator.pseudonym),
    )


def with_edit(answer: Answer) -> list[list[int]] | None:
    """The weak order, with the id of the new response where an edit made one."""
    if answer.tiers is None:
        return None
    made = 0
    if answer.edit is not None:
        parent = Response.objects.get(pk=answer.edit.of)
        text = answer.edit.text
        made = Response.objects.get_or_create(
            prompt_id=parent.prompt_id,
            digest=digest({"text": text, "parent": parent.digest}),
            defaults={"text": text, "parent": parent},
        )[0].pk
    return [[made if pk == EDITED else pk for pk in tier] for tier in answer.tiers]


def _replayed(
    assignment: Assignment, submission_key: uuid.UUID, data: Mapping[str, object]
) -> Annotation:
    """The answer again, if this is the same page: two tabs have one key and may differ."""
    stored = Annotation.objects.filter(assignment=assignment, submission_key=submission_key).first()
    if stored is None:
        raise AssignmentClosed(
            _(
                "this question was answered already, perhaps in another tab; "
                "your first answer stands"
            )
        )
    if not _repeats(stored, assignment, data):
        raise AnsweredElsewhere(
            _(
                "this question was answered already, perhaps in another tab, and not like this; "
                "the first answer stands"
            )
        )
    return stored


def _repeats(stored: Annotation, assignment: Assignment, data: Mapping[str, object]) -> bool:
    steps = selectors.steps(assignment.query)
    try:
        answer, _timing = parse(data, steps=steps, shown=selectors.seen(assignment, steps))
    except InvalidAnswer:  # what was stored is not
        return False
    return says_the_same(stored, answer, with_edit(answer))


def says_the_same(
    stored: Annotation, answer: Answer, tiers: Sequence[Sequence[int]] | None
) -> bool:
    """Whether an answer is what is stored already; the time it took does not matter."""
    before = (stored.outcome, stored.acceptable, stored.strength, stored.rationale, stored.details)
    after = (answer.outcome, answer.acceptable, answer.strength, answer.rationale, answer.details)
    return before == after and stored.tiers == tiers


def _last_of(assignment: Assignment) -> Annotation | None:
    """What a new answer follows: the undo that reopened this assignment, if there was one."""
    if not assignment.reopened:
        return None
    return Annotation.objects.filter(assignment=assignment, superseded_by__isnull=True).first()


def _settle_slot(assignment: Assignment, annotation: Annotation) -> None:
    """Count the answer, or give the slot back; a flag holds the query for a researcher."""
    if annotation.outcome == Outcome.FLAG:
        Query.objects.filter(pk=assignment.query_id).update(flagged_at=timezone.now())
    slot = assignment.slot
    mine = slot.state == Slot.State.LEASED and slot.holder == assignment.pk
    if not mine and slot.state != Slot.State.OPEN:
        return  # late, and somebody else has the slot or filled it: kept, not counted
    held = Slot.objects.filter(pk=slot.pk)
    if annotation.outcome in CLOSED_AS:
        held.update(state=Slot.State.OPEN, leased_until=None, holder=None)
    else:
        held.update(state=Slot.State.ANSWERED, leased_until=None, annotation=annotation)


@transaction.atomic
def undo_last(*, slug: str, user: User) -> Assignment:
    """Take back a person's latest answer in a campaign and open its assignment again.

    Again and again: the one before follows.

    The answer stays in the history; an annotation of outcome `undone` supersedes it, and the
    person gets the same question with the same sides, and what they had typed.

    Raises:
        Missing: no such campaign of theirs.
        NothingToUndo: no answer is left, the campaign does not run, or the slot has been given to
            somebody else since (after a skip).
    """
    annotator = lock_annotator(slug=slug, user=user)
    if annotator.campaign.state != Campaign.State.RUNNING:
        paused = annotator.campaign.state == Campaign.State.PAUSED
        raise NothingToUndo(
            _("the campaign is paused: an answer taken back now could not be given again")
            if paused
            else _("the campaign is finished: an answer taken back now could not be given again")
        )
    last = (
        Assignment.objects.select_for_update(of=("self", "slot"))
        .filter(annotator=annotator, closed_at__isnull=False)
        .work()
        .select_related("slot", "query", "annotator__campaign")
        .order_by("-closed_at")
        .first()
    )
    if last is None or last.state == Assignment.State.OPEN:
        raise NothingToUndo(_("there is no answer of yours to take back"))
    said = Annotation.objects.get(assignment=last, superseded_by__isnull=True)
    until = lease_end(last.annotator.campaign, timezone.now())
    _check_slot(last, said)
    if said.outcome == Outcome.FLAG:
        _lift_flag(said)
    undone = Annotation.objects.create(
        campaign_id=said.campaign_id,
        query_id=said.query_id,
        annotator_id=said.annotator_id,
        assignment=last,
        supersedes=said,
        via=said.via,
        outcome=Outcome.UNDONE,
        display_order=last.display_order,
        guidelines_version=last.guidelines_version,
    )
    tell(undone, last)
    Slot.objects.filter(pk=last.slot_id).update(
        state=Slot.State.LEASED, leased_until=until, holder=last.pk, annotation=None
    )
    last.state, last.closed_at = Assignment.State.OPEN, None
    last.submission_key, last.lease_until = uuid.uuid4(), until
    last.shown_at, last.reopened = timezone.now(), F("reopened") + 1
    last.save()
    last.refresh_from_db()
    return last


def _check_slot(assignment: Assignment, said: Annotation) -> None:
    """The slot goes back to the person if their answer filled it, or if nobody took it since."""
    slot = assignment.slot
    if slot.annotation_id != said.pk and slot.state != Slot.State.OPEN:
        raise NothingToUndo(_("somebody else has this question by now; your answer stands"))


def _lift_flag(said: Annotation) -> None:
    """Offer the query again, unless somebody else flagged it too."""
    # One at a time: of several who take their flags back, the last sees that none is left.
    Query.objects.select_for_update(no_key=True).get(pk=said.query_id)
    flags = Annotation.objects.filter(query_id=said.query_id, outcome=Outcome.FLAG).current()
    if not flags.exclude(pk=said.pk).exists():
        Query.objects.filter(pk=said.query_id).update(flagged_at=None)
