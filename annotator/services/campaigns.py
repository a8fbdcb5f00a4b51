"""Create, start, pause and staff a campaign."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from annotator.errors import InvalidInput, WrongState
from annotator.models import Annotator, Campaign, Guidelines, Membership, Prompt
from annotator.services import rounds
from annotator.services.asking import check_asking, check_pool
from annotator.services.locks import lock_pool

State = Campaign.State
SETTLED_AT_START = ("form", "candidates", "seed", "holdout_prompts", "overlap")


@transaction.atomic
def create_campaign(
    *, slug: str, name: str, owner: User | None = None, guidelines: str = "", **fields: Any
) -> Campaign:
    """Create a draft campaign, its owner and the first guidelines.

    Raises:
        ValidationError: a field is out of range, the slug is taken, or forms and options do not
            fit together.
    """
    campaign = Campaign(slug=slug, name=name, created_by=owner, **fields)
    campaign.full_clean()
    check_asking(campaign)
    campaign.save()
    if owner is not None:
        add_member(campaign=campaign, user=owner, role=Membership.Role.OWNER)
    if guidelines:
        publish_guidelines(campaign=campaign, text=guidelines)
    return campaign


@transaction.atomic
def add_member(
    *, campaign: Campaign, user: User, role: str = Membership.Role.ANNOTATOR
) -> Membership:
    """Give a person a role in a campaign, or change the one they have."""
    membership, _ = Membership.objects.update_or_create(
        campaign=campaign, user=user, defaults={"role": role}
    )
    return membership


def ensure_annotator(*, campaign: Campaign, user: User) -> Annotator:
    """The row under which a person answers; its pseudonym is drawn, not derived from anything."""
    annotator, _ = Annotator.objects.get_or_create(
        campaign=campaign, user=user, defaults={"pseudonym": f"p-{secrets.token_hex(6)}"}
    )
    return annotator


@transaction.atomic
def publish_guidelines(*, campaign: Campaign, text: str) -> Guidelines:
    """Add the next version of the guidelines; annotators read it before their next answer."""
    if not text.strip():
        raise InvalidInput("guidelines: expected some text, got none")
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)  # one at a time counts up
    last = campaign.guidelines.aggregate(last=Max("version"))["last"] or 0
    return Guidelines.objects.create(campaign=campaign, version=last + 1, text=text)


@transaction.atomic
def start_campaign(*, campaign: Campaign) -> Campaign:
    """Reserve the holdout, open the campaign and ask for the first round.

    Raises:
        WrongState: it was started before.
        InvalidInput: the pool is empty, nothing would be left beside the holdout, or nothing in
            it has as many responses as the form shows.
    """
    lock_pool(campaign)  # an import under way is waited for: its prompts take part in the lot
    locked: Campaign = Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    if locked.state != State.DRAFT:
        raise WrongState(f"campaign {locked.slug!r} is {locked.state}; only a draft can be started")
    reserve_holdout(campaign=locked)
    check_pool(locked)
    locked.state, locked.started_at = State.RUNNING, timezone.now()
    locked.save(update_fields=["state", "started_at"])
    rounds.request_round(campaign=locked, trigger="campaign started")
    return locked


def reserve_holdout(*, campaign: Campaign) -> int:
    """Mark the prompts that are never trained on; returns how many.

    A prompt is held out when its lot, drawn from the campaign's seed, falls below the share;
    so prompts imported later are reserved by the same rule. At least one prompt is reserved
    when a holdout is wanted at all, and at least one is left to train on.
    """
    prompts = Prompt.objects.filter(campaign=campaign)
    total = prompts.count()
    if total == 0:
        raise InvalidInput("the pool is empty: import items first (admin, or import_items)")
    prompts.update(is_holdout=False)
    if campaign.holdout_prompts == 0:
        return 0
    if total < 2:
        raise InvalidInput("one prompt only: import more, or set the share of holdout prompts to 0")
    reserved = prompts.filter(lot__lt=campaign.holdout_prompts).update(is_holdout=True)
    if reserved == 0:
        reserved = prompts.filter(pk=prompts.order_by("lot").values("pk")[:1]).update(
            is_holdout=True
        )
    if reserved == total:
        kept = prompts.order_by("-lot").values("pk")[:1]
        reserved -= prompts.filter(pk=kept).update(is_holdout=False)
    return reserved


@transaction.atomic
def set_state(*, campaign: Campaign, state: str) -> Campaign:
    """Pause, resume or finish a started campaign. Answers under way are still accepted.

    Raises:
        WrongState: the campaign is a draft, or finished, or already in that state.
    """
    allowed = {
        State.PAUSED: [State.RUNNING],
        State.RUNNING: [State.PAUSED],
        State.FINISHED: [State.RUNNING, State.PAUSED],
    }
    moved = Campaign.objects.filter(pk=campaign.pk, state__in=allowed[State(state)])
    if not moved.update(state=state):
        campaign.refresh_from_db(fields=["state"])
        raise WrongState(
            f"campaign {campaign.slug!r} is {campaign.state}; it cannot become {state}"
        )
    campaign.refresh_from_db(fields=["state"])
    if state == State.RUNNING:
        rounds.request_round_if_due(campaign=campaign)
    return campaign


def mark_guidelines_read(*, annotator: Annotator, version: int) -> None:
    """Remember the latest version a person has read; never goes back."""
    Annotator.objects.filter(pk=annotator.pk, guidelines_read__lt=version).update(
        guidelines_read=version
    )
