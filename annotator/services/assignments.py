"""Leasing: which slot a person gets next, and for how long it stays theirs."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from annotator import selectors
from annotator.errors import AssignmentClosed, LeaseLost, Missing, NotQualified
from annotator.models import Annotator, Assignment, Campaign, Query, Slot
from annotator.services import mixing
from annotator.services.campaigns import ensure_annotator
from annotator.services.mixing import lease_end

# Not a person's words: tokens, clocks, and which button was pressed.
NOT_DRAFTED = {"csrfmiddlewaretoken", "submission_key", "first_action_ms", "active_ms", "choice"}
LONGEST_FIELD = 1_000_000  # characters
LONGEST_NAME = 60
MOST_FIELDS = 200

# One statement decides every race: the inner SELECT locks one row that nobody else holds, the
# UPDATE takes it. An annotator is never given a query twice, whatever became of the first time.
CLAIM = """
UPDATE annotator_slot SET state = 'leased', leased_until = %(until)s, holder = %(holder)s
WHERE id = (
    SELECT slot.id FROM annotator_slot AS slot
    JOIN annotator_query AS query ON query.id = slot.query_id
    WHERE slot.campaign_id = %(campaign)s
      AND query.flagged_at IS NULL AND NOT query.withdrawn
      AND slot.reserved_for_id IS NULL
      AND (slot.state = 'open' OR (slot.state = 'leased' AND slot.leased_until < %(now)s))
      AND NOT EXISTS (
          SELECT 1 FROM annotator_assignment AS given
          WHERE given.query_id = slot.query_id AND given.annotator_id = %(annotator)s
      )
    ORDER BY slot.place, slot.id
    LIMIT 1
    FOR UPDATE OF slot SKIP LOCKED
)
RETURNING id, query_id, (
    SELECT array_agg(member.response_id) FROM annotator_queryresponse AS member
    WHERE member.query_id = annotator_slot.query_id
), (
    SELECT json_build_object(
        'form', query.form, 'parts', query.parts, 'prompt_id', query.prompt_id
    )::text
    FROM annotator_query AS query WHERE query.id = annotator_slot.query_id
)
"""


def lock_annotator(*, slug: str, user: User) -> Annotator:
    """Fetch and lock the row under which this person answers; serialises their own tabs.

    Carries `campaign`, `guidelines_version` (the newest), `stage` (what comes before the first
    question) and `given` (how many questions the person got, where some are mixed in). One query.

    Raises:
        Missing: no such campaign, a draft, or not for this person, or they never opened it.
    """
    found = (
        Annotator.objects.select_for_update(of=("self",), no_key=True)  # lets answers refer to it
        .select_related("campaign")
        .filter(user=user, campaign__in=Campaign.objects.answered_by(user).filter(slug=slug))
        .exclude(campaign__state=Campaign.State.DRAFT)
        .annotate(guidelines_version=selectors.newest_guidelines("campaign_id"))
        .annotate(stage=selectors.stage(), given=selectors.given())
        .first()
    )
    if found is None:
        raise Missing(_("no campaign “%(slug)s” that you can answer in") % {"slug": slug})
    return found


@transaction.atomic
def next_assignment(
    *, slug: str, user: User, after: uuid.UUID | None = None
) -> tuple[Annotator, Assignment | None]:
    """Lease the next slot to this person, or give back the one they have. At most five queries.

    With `after`, the one that comes next when that assignment is answered: leased ahead, so that
    it can be on the page at the press of a key.

    A person who reloads, opens a second tab or changes device gets the same question. Returns
    no assignment when the campaign is not running, the newest guidelines were not read yet
    (compare `annotator.guidelines_version` with `guidelines_read`), practice or a test come first
    (`annotator.stage`), or nothing can be served.

    Raises:
        Missing: see `lock_annotator`.
        NotQualified: the person did not pass the test that the campaign asks for.
    """
    annotator = lock_annotator(slug=slug, user=user)
    campaign = annotator.campaign
    if (
        campaign.state != Campaign.State.RUNNING
        or annotator.guidelines_read < annotator.guidelines_version  # type: ignore[attr-defined]
    ):
        return annotator, None
    refuse_unqualified(annotator)
    if annotator.stage:  # type: ignore[attr-defined]
        return annotator, None
    ahead = after is not None
    mine = _resume(annotator, after) or mixing.next_mixed_in(annotator=annotator, ahead=ahead)
    return annotator, mine or _claim(annotator, ahead=ahead)


def visit(
    *, slug: str, user: User, after: uuid.UUID | None = None
) -> tuple[Annotator, Assignment | None]:
    """As `next_assignment`; on a first visit the row under which the person answers is made.

    Raises:
        Missing: no such campaign, a draft, or not for this person.
        NotQualified: the person did not pass the test that the campaign asks for.
    """
    try:
        return next_assignment(slug=slug, user=user, after=after)
    except Missing:
        campaign = selectors.campaign_to_answer(slug=slug, user=user)
        ensure_annotator(campaign=campaign, user=user)
        return next_assignment(slug=slug, user=user, after=after)


def refuse_unqualified(annotator: Annotator) -> None:
    """Stop who did not pass the campaign's test; a researcher may waive it or give another try.

    Raises:
        NotQualified: they did not.
    """
    if annotator.disqualified_at is not None and annotator.campaign.qualification_pass > 0:
        raise NotQualified(
            _(
                "this campaign asks for a test before its questions, and too few of your answers "
                "to it were as expected; the researchers of the campaign can let you go on"
            )
        )


def _resume(annotator: Annotator, after: uuid.UUID | None) -> Assignment | None:
    """The person's own open assignment, its lease renewed if it ran out but nobody took it.

    Not while the query is held by a flag: what one person reported is shown to nobody again.
    What was leased ahead comes last, and is shown from now on, unless it is only looked up.
    """
    offered = {"query__flagged_at": None, "query__withdrawn": False}
    mine = (
        Assignment.objects.filter(annotator=annotator, **offered)
        .work()
        .open()
        .exclude(pk__in=[after] if after else [])
        .select_related("slot", "query")
        .order_by("ahead", "-shown_at")
    )
    now = timezone.now()
    for assignment in mine:
        slot = assignment.slot
        held = slot.state == Slot.State.LEASED and slot.holder == assignment.pk
        if (held and assignment.lease_until > now) or renew_lease(assignment=assignment):
            if assignment.ahead and after is None:
                assignment.ahead, assignment.shown_at = False, now
                assignment.save(update_fields=["ahead", "shown_at"])
            return assignment
    return None  # what else is open was lost to others: an answer from an old page is kept as late


def _claim(annotator: Annotator, *, ahead: bool = False) -> Assignment | None:
    now, holder = timezone.now(), uuid.uuid4()
    until = lease_end(annotator.campaign, now)
    values: dict[str, Any] = {
        "now": now,
        "until": until,
        "holder": holder,
        "campaign": annotator.campaign_id,
        "annotator": annotator.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, values)
        claimed: tuple[int, int, list[int], str] | None = cursor.fetchone()
    if claimed is None:
        return None
    slot_id, query_id, order, asked = claimed
    secrets.SystemRandom().shuffle(order)  # nobody can predict the side, not even from the seed
    return Assignment.objects.create(
        pk=holder,
        slot_id=slot_id,
        query=Query(pk=query_id, campaign_id=annotator.campaign_id, **json.loads(asked)),
        annotator=annotator,
        display_order=order,
        lease_until=until,
        guidelines_version=annotator.guidelines_read,
        ahead=ahead,
    )


def renew_lease(*, assignment: Assignment) -> bool:
    """Extend the lease while the person works, or take it up again when the slot is free.

    False when somebody else has the slot, or has filled it.
    """
    until = lease_end(assignment.annotator.campaign, timezone.now())
    with transaction.atomic():  # assignment first, then slot: the order of `record_annotation`
        Assignment.objects.select_for_update().get(pk=assignment.pk)
        mine = Q(state="leased", holder=assignment.pk) | Q(state="open")
        free = Slot.objects.filter(mine, pk=assignment.slot_id)
        if not free.update(state="leased", holder=assignment.pk, leased_until=until):
            return False
        Assignment.objects.filter(pk=assignment.pk).update(lease_until=until)
    assignment.lease_until = until
    return True


@transaction.atomic
def keep_lease(*, assignment_id: uuid.UUID, user: User) -> Assignment:
    """Renew the lease of a person's open question.

    Raises:
        Missing: no such assignment, or another person's.
        AssignmentClosed: it was answered, skipped or flagged.
        LeaseLost: somebody else has the question by now, or has answered it.
    """
    assignment = _own(assignment_id, user)
    if assignment.state != Assignment.State.OPEN:
        raise AssignmentClosed(_("this question was answered already; there is nothing to keep"))
    if not renew_lease(assignment=assignment):
        raise LeaseLost(_("somebody else has this question by now"))
    return assignment


@transaction.atomic
def release_lease(*, assignment_id: uuid.UUID, user: User) -> None:
    """Give a question back without an answer: others may have it at once, and so may this person.

    Raises:
        Missing: no such assignment, or another person's.
    """
    assignment = _own(assignment_id, user)
    mine = Slot.objects.filter(pk=assignment.slot_id, state="leased", holder=assignment.pk)
    if mine.update(state="open", leased_until=None, holder=None):
        Assignment.objects.filter(pk=assignment.pk).update(lease_until=timezone.now())


def _own(assignment_id: uuid.UUID, user: User) -> Assignment:
    """A person's assignment, locked: the order of locks is assignment, then slot."""
    mine = Assignment.objects.of_person(user).select_related("annotator__campaign")
    found = mine.select_for_update(of=("self",)).filter(pk=assignment_id).first()
    if found is None:
        raise Missing(_("no such assignment of yours"))
    return found


def drafted(data: Mapping[str, Any]) -> dict[str, Any]:
    """What of a submitted form is kept as a draft: the person's own words and choices."""
    kept: dict[str, Any] = {}
    for name, value in data.items():
        if name in NOT_DRAFTED or len(name) > LONGEST_NAME or len(kept) >= MOST_FIELDS:
            continue
        if isinstance(value, str) and value:
            kept[name] = value[:LONGEST_FIELD].replace("\0", "")  # no database text can hold it
        elif isinstance(value, list | tuple):
            words = value[:MOST_FIELDS]
            kept[name] = [str(word)[:LONGEST_NAME].replace("\0", "") for word in words]
    return kept


def save_draft(*, assignment_id: uuid.UUID, user: User, draft: Mapping[str, Any]) -> bool:
    """Keep what was typed and chosen so far, and the lease with it. False when already answered.

    Raises:
        Missing: no such assignment, or another person's.
    """
    assignment = (
        Assignment.objects.of_person(user)
        .select_related("annotator__campaign")
        .filter(pk=assignment_id)
        .first()
    )
    if assignment is None:
        raise Missing(_("no such assignment of yours"))
    if not Assignment.objects.filter(pk=assignment.pk).open().update(draft=drafted(draft)):
        return False
    renew_lease(assignment=assignment)
    return True
