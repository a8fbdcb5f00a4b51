"""Delivering webhooks: signed, tried again with growing waits, each try in the log.

At least once: a worker that dies between sending and noting it leaves the row to another one, so
receivers tell repeats by `webhook-id`. Signatures follow https://www.standardwebhooks.com.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
import time
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import urllib3
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from annotator import dispatch
from annotator.models import Delivery

BATCH = 5  # claimed at once: at its slowest, a batch ends before its lease does
LEASE = timedelta(minutes=2)  # a worker that says nothing for so long has died
TURN = 60.0  # seconds after which a worker lets other tasks go first
WAITS = tuple(timedelta(seconds=s) for s in (10, 60, 300, 1800, 7200, 21_600, 86_400))
TIMEOUT = urllib3.Timeout(connect=5, read=10)
MOST_READ = 2000  # bytes of an answer that are looked at

CLAIM = """
UPDATE annotator_delivery SET due_at = %(lease)s, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM annotator_delivery WHERE state = 'waiting' AND due_at <= %(now)s
    ORDER BY due_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


class Refused(Exception):
    """Where it must not be sent to."""


def deliver() -> int:
    """Send what is due, for a minute at most; returns how many were tried."""
    tried, began = 0, time.monotonic()
    while claimed := _claim():
        for delivery in Delivery.objects.filter(pk__in=claimed).select_related("webhook__campaign"):
            _try(delivery)
        tried += len(claimed)
        if time.monotonic() - began > TURN:
            dispatch.deliveries_wait()
            break
    return tried


def _claim() -> list[Any]:
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"lease": now + LEASE, "now": now, "most": BATCH})
        return [row[0] for row in cursor.fetchall()]


def _try(delivery: Delivery) -> None:
    hook = delivery.webhook
    status, error = None, "the webhook was switched off"
    if hook.active or delivery.event == "test":
        status, error = _send(delivery)
    mine = Delivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts)
    if not error:
        mine.update(state="delivered", status=status, error="", delivered_at=Now())
    elif not hook.active or delivery.attempts > len(WAITS) or delivery.event == "test":
        mine.update(state="failed", status=status, error=error)
    else:
        now, wait = timezone.now(), WAITS[delivery.attempts - 1]
        mine.update(status=status, error=error, due_at=now + wait)
        # Who does not answer is left alone for a while: others would wait behind each try.
        hook.deliveries.filter(state="waiting", due_at__lte=now).update(due_at=now + WAITS[0])


def body_of(delivery: Delivery) -> bytes:
    """What is sent: the same bytes at every try."""
    said = {
        "id": str(delivery.pk),
        "type": delivery.event,
        "timestamp": delivery.created_at.isoformat(),
        "campaign": delivery.webhook.campaign.slug,
        "data": delivery.payload,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def signature(*, secret: str, name: str, at: int, body: bytes) -> str:
    """`v1,BASE64`: HMAC-SHA256 over `id.timestamp.body`."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def _send(delivery: Delivery) -> tuple[int | None, str]:
    """The status and what went wrong, empty when nothing did."""
    body, at = body_of(delivery), int(time.time())
    name, secret = str(delivery.pk), delivery.webhook.secret
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Tiebreak/{settings.VERSION}",
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(secret=secret, name=name, at=at, body=body),
    }
    try:
        answer = _post(delivery.webhook.url, body, headers)
    except Refused as refused:
        return None, str(refused)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        return None, f"{type(error).__name__}: {error}"[:500]
    if 200 <= answer.status < 300:
        return answer.status, ""
    return answer.status, f"answered {answer.status}, expected 2xx"


def _post(url: str, body: bytes, headers: dict[str, str]) -> urllib3.BaseHTTPResponse:
    """Send to the very address that was looked at: a name may mean another one a moment later."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _address(host, port)
    named = {**headers, "Host": parts.netloc}
    if parts.scheme == "https":
        pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
            address, port, server_hostname=host, assert_hostname=host, timeout=TIMEOUT
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=TIMEOUT)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with pool:
        answer = pool.urlopen(
            "POST",
            path,
            body=body,
            headers=named,
            redirect=False,
            retries=False,
            preload_content=False,
        )
        answer.read(MOST_READ)
        answer.release_conn()
    return answer


def _address(host: str, port: int) -> str:
    """The address of a host.

    Raises:
        Refused: it is not one of the open internet, and the operator did not allow others.
    """
    found = str(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0])
    if not settings.WEBHOOK_PRIVATE and not ipaddress.ip_address(found).is_global:
        raise Refused(
            f"{host} is {found}, an address inside the network; the operator can allow these "
            "(WEBHOOK_PRIVATE)"
        )
    return found
