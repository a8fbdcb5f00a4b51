"""Webhooks: events become rows in the transaction that made them; workers deliver the rows."""

from __future__ import annotations

import base64
import json
import secrets
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet

from annotator import dispatch
from annotator.errors import InvalidInput
from annotator.models import Annotation, Campaign, Delivery, Webhook

Event = Webhook.Event
OFFERED = (Event.ANNOTATION, Event.ROUND, Event.SNAPSHOT, Event.BUDGET, Event.ENCODER)
MOST = 20  # addresses a campaign

# One statement, whatever the number of addresses: this stands on the path of every answer.
EMIT = """
INSERT INTO annotator_delivery
    (id, webhook_id, event, payload, state, attempts, due_at, error, created_at)
SELECT gen_random_uuid(), hook.id, %(event)s, %(payload)s::jsonb, 'waiting', 0,
       statement_timestamp(), '', statement_timestamp()
FROM annotator_webhook AS hook
WHERE hook.campaign_id = %(campaign)s AND hook.active AND %(event)s = ANY(hook.events)
"""


def emit(*, campaign_id: int, event: Event, data: dict[str, Any]) -> int:
    """Queue an event for every address that wants it; returns how many do. One query.

    Call inside the transaction that makes the event true: both happen, or neither.
    """
    values: dict[str, Any] = {
        "campaign": campaign_id,
        "event": event.value,
        "payload": json.dumps(data),
    }
    with connection.cursor() as cursor:
        cursor.execute(EMIT, values)
        queued: int = cursor.rowcount
    if queued:
        dispatch.deliveries_wait()
    return queued


def about(annotation: Annotation, annotator: str) -> dict[str, Any]:
    """What an address is told of an annotation; the annotator under their pseudonym."""
    return {
        "annotation": annotation.pk,
        "query": annotation.query_id,
        "annotator": annotator,
        "outcome": str(annotation.outcome),
        "tiers": annotation.tiers,
        "supersedes": annotation.supersedes_id,
    }


def listening(campaign: Any) -> QuerySet[Webhook]:
    """The addresses that hear of a campaign's events; its id may be an outer query's."""
    return Webhook.objects.filter(campaign_id=campaign, active=True)


def new_secret() -> str:
    """A signing secret as the Standard Webhooks specification writes it."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@transaction.atomic
def add_webhook(*, campaign: Campaign, url: str, events: list[str], user: User | None) -> Webhook:
    """Tell an address of events from now on. The secret is on the row: show it once.

    Raises:
        InvalidInput: not an HTTP address, no event or an unknown one, or too many addresses.
    """
    check(url=url, events=events)
    Campaign.objects.select_for_update(no_key=True).get(pk=campaign.pk)
    check_room(campaign)
    return Webhook.objects.create(
        campaign=campaign, url=url, events=events, secret=new_secret(), created_by=user
    )


def check_room(campaign: Campaign) -> None:
    """Refuse more addresses than a campaign may have.

    Raises:
        InvalidInput: it has as many already.
    """
    if campaign.webhooks.count() >= MOST:
        raise InvalidInput(f"a campaign has {MOST} webhooks at most; remove one first")


def check(*, url: str, events: list[str]) -> None:
    """Refuse what can never be delivered.

    Raises:
        InvalidInput: not an HTTP address, no event or an unknown one.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise InvalidInput(f"url: expected http(s)://HOST/… without a user name, got {url[:80]!r}")
    known = ", ".join(OFFERED)
    if not events or (unknown := sorted(set(events) - set(OFFERED))):
        said = f"got {unknown[0]!r}" if events else "got none"
        raise InvalidInput(f"events: expected some of {known}; {said}")


@transaction.atomic
def try_webhook(*, webhook: Webhook) -> Delivery:
    """Send a test event, whatever the address is told of otherwise."""
    made = Delivery.objects.create(webhook=webhook, event=Event.TEST, payload={"hello": "world"})
    dispatch.deliveries_wait()
    return made


def send_again(*, delivery: Delivery) -> bool:
    """Try a delivery that was given up once more, from the first wait on. False while it waits."""
    waiting = {"state": Delivery.State.WAITING, "attempts": 0, "error": ""}
    ended = Delivery.objects.filter(pk=delivery.pk).exclude(state=Delivery.State.WAITING)
    moved = ended.update(**waiting, due_at=delivery.created_at)
    if moved:
        dispatch.deliveries_wait()
    return bool(moved)
