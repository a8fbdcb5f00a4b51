"""When a round is due, asking for one, and what the worker's result becomes: queries and slots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotator import dispatch, selectors
from annotator.errors import WrongState
from annotator.models import (
    Annotator,
    Campaign,
    ModelVersion,
    Query,
    QueryResponse,
    Round,
    Slot,
)
from annotator.services import budgets, judges, routes, webhooks

State = Round.State


@dataclass(frozen=True)
class PlannedQuery:
    """One question that a round chose, in database ids."""

    item_id: int | None
    prompt_id: int
    response_ids: tuple[int, ...]
    arm: str
    acquisition: str
    score: float | None
    propensity: float


def due_reason(status: selectors.LoopStatus, campaign: Campaign) -> str | None:
    """Why a round should start now, or None. Pure: all figures come with `status`.

    After a failed round nothing starts by itself: that round is tried again, by hand or, after a
    while, by the sweep.
    """
    if campaign.state != Campaign.State.RUNNING or status.round_live or status.round_failed:
        return None
    if status.fresh >= campaign.labels_per_round:
        return f"{status.fresh} new answers"
    if status.judging:
        return None  # more questions are on their way
    # A round cannot fill the queue beyond a batch, and somebody may wait at an empty one.
    low = max(1, min(campaign.queue_low, campaign.batch_size))
    if status.pool_left and status.waiting < low:
        return f"only {status.waiting} questions left that nobody has been given"
    if status.open_slots == 0 and status.fresh:
        return "the last answers are in"
    return None


def status_for(*, annotator: Annotator) -> selectors.LoopStatus:
    """The loop as one annotator sees it; when that says that a round is due, one is asked for."""
    status = selectors.loop_status(campaign_id=annotator.campaign_id, annotator_id=annotator.pk)
    if due_reason(status, annotator.campaign):
        dispatch.nudge(annotator.campaign)
    return status


def request_round_if_due(*, campaign: Campaign) -> Round | None:
    """Start a round when one is due. The figures only decide when; the worker counts for itself."""
    reason = due_reason(selectors.loop_status(campaign_id=campaign.pk), campaign)
    if reason and budgets.spent(campaign) and judges.asked(campaign) is None:
        return None  # nobody could answer what it chose
    try:
        return request_round(campaign=campaign, trigger=reason) if reason else None
    except WrongState:
        return None  # paused meanwhile


@transaction.atomic
def request_round(*, campaign: Campaign, trigger: str) -> Round | None:
    """Create the next round and its job, unless a round of this campaign is under way.

    Raises:
        WrongState: the campaign does not run.
    """
    locked = _lock(campaign.pk)
    _refuse_unless_running(locked)
    if locked.rounds.live().exists():
        return None
    last = locked.rounds.aggregate(last=Max("number"))["last"] or 0
    made = Round.objects.create(campaign=locked, number=last + 1, trigger=trigger)
    _enqueue(made)
    return made


def _lock(campaign_id: int) -> Campaign:
    """Rounds of one campaign never overlap: whoever decides about them holds this row."""
    locked: Campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign_id)
    return locked


def _refuse_unless_running(campaign: Campaign) -> None:
    if campaign.state != Campaign.State.RUNNING:
        raise WrongState(
            f"campaign {campaign.slug!r} is {campaign.state}; rounds run while it is running"
        )


@transaction.atomic
def retry_round(*, made: Round) -> Round:
    """Run a failed round again, under the same number.

    Raises:
        WrongState: the round has not failed, a newer one is under way, or the campaign does not
            run.
    """
    _refuse_unless_running(_lock(made.campaign_id))
    if Round.objects.filter(campaign=made.campaign_id).live().exists():
        raise WrongState("another round of this campaign is under way")
    again = Round.objects.filter(pk=made.pk, state=State.FAILED)
    asked = {"created_at": timezone.now(), "finished_at": None}  # answers until now will be seen
    if not again.update(state=State.WAITING, error="", detail="", **asked):
        raise WrongState(f"round {made.number} is {made.state}; only a failed one can be retried")
    made.refresh_from_db()
    _enqueue(made)
    return made


@transaction.atomic
def revive_round(*, made: Round) -> bool:
    """Enqueue a round that is under way without a live job, whatever became of its job."""
    _lock(made.campaign_id)
    still = Round.objects.filter(pk=made.pk).live().exists()
    if not still or made.campaign.jobs.live().filter(key=f"round:{made.pk}").exists():
        return False
    _enqueue(made)
    return True


def _enqueue(made: Round) -> None:
    dispatch.enqueue(
        kind="round",
        key=f"round:{made.pk}",
        arguments={"round": made.pk},
        campaign=made.campaign,
    )


def report_state(*, made: Round, state: str, detail: str = "") -> None:
    """Say where a round is. Ended rounds stay as they are."""
    Round.objects.filter(pk=made.pk).live().update(state=state, detail=detail[:500])


def fail_round(*, round_id: int, error: str) -> None:
    """End a round that will not be published; it can be retried."""
    Round.objects.filter(pk=round_id).live().update(
        state=State.FAILED, error=error, finished_at=timezone.now()
    )


def publish_round(
    *,
    made: Round,
    planned: Sequence[PlannedQuery],
    versions: Sequence[ModelVersion],
    annotations_seen: int,
    report: dict[str, Any],
) -> bool:
    """Store a round's models, queries and slots, once. Call inside the job's fence.

    Returns False, and stores nothing, when the round has ended already.
    """
    locked = (
        Round.objects.select_for_update(of=("self",))
        .select_related("campaign")
        .filter(pk=made.pk)
        .live()
        .first()
    )
    if locked is None:
        return False
    ModelVersion.objects.bulk_create(versions)
    chosen_by = next((v for v in versions if v.kind == ModelVersion.Kind.ALL), None)
    parts = parts_asked(locked.campaign)
    queries = Query.objects.bulk_create(
        [
            Query(
                campaign_id=locked.campaign_id,
                round=locked,
                item_id=plan.item_id,
                prompt_id=plan.prompt_id,
                form=locked.campaign.form,
                parts=parts,
                arm=plan.arm,
                acquisition=plan.acquisition,
                score=plan.score,
                propensity=plan.propensity,
                model_version=chosen_by,
            )
            for plan in planned
        ]
    )
    QueryResponse.objects.bulk_create(
        QueryResponse(query=query, response_id=response_id)
        for query, plan in zip(queries, planned, strict=True)
        for response_id in plan.response_ids
    )
    judge = judges.asked(locked.campaign)
    if judge is None:
        _publish_slots(made=locked, queries=queries)
    else:
        theirs = routes.hand_over(made=locked, queries=queries)
        _publish_slots(made=locked, queries=theirs)
    locked.state, locked.detail = State.PUBLISHED, f"{len(queries)} questions"
    locked.annotations_seen, locked.report = annotations_seen, report
    locked.finished_at = timezone.now()
    locked.save()
    told = {"round": locked.number, "queries": len(queries)}
    webhooks.emit(campaign_id=locked.campaign_id, event=webhooks.Event.ROUND, data=told)
    return True


def parts_asked(campaign: Campaign) -> dict[str, Any]:
    """The parts of a campaign's questions besides its form, as a query keeps them."""
    found = {"follow_ups": list(campaign.follow_ups), "options": dict(campaign.form_options)}
    return {name: value for name, value in found.items() if value}


def _publish_slots(*, made: Round, queries: Sequence[Query]) -> None:
    """Overlap many slots a query; older rounds are served first, so that overlaps fill up."""
    Slot.objects.bulk_create(
        Slot(campaign_id=made.campaign_id, query=query, place=made.number)
        for query in queries
        for _ in range(made.campaign.overlap)
    )


def release_flagged(*, query: Query) -> None:
    """A researcher found nothing wrong: offer the query again."""
    Query.objects.filter(pk=query.pk).update(flagged_at=None)


@transaction.atomic
def withdraw_flagged(*, query: Query) -> None:
    """A researcher agrees with the flag: nobody is given this again."""
    Query.objects.filter(pk=query.pk).update(flagged_at=None, withdrawn=True)
    Slot.objects.filter(query=query, state=Slot.State.OPEN).update(state=Slot.State.WITHDRAWN)
