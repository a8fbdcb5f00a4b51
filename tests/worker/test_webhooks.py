"""Webhooks: queued with what they tell of, signed, tried again, each try in the log."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from annotator.errors import InvalidInput
from annotator.models import Campaign, Delivery, Webhook
from annotator.services import webhooks as services
from annotator.services.annotations import undo_last
from tests.annotator.acts import answer, lease
from tests.campaigns import ask
from worker import webhooks
from worker.schedule import sweep

pytestmark = pytest.mark.django_db


class Receiver(HTTPServer):
    """Another system: remembers what it is sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        super().__init__(("127.0.0.1", 0), Listening)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?x=1"


class Listening(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.heard.append((dict(self.headers), body))
        status = server.answers.pop(0) if server.answers else 204
        self.send_response(status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Silence."""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE = True
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def hook(campaign: Campaign, url: str, *events: str) -> Webhook:
    named = list(events) or [event.value for event in services.OFFERED]
    return services.add_webhook(campaign=campaign, url=url, events=named, user=None)


def later() -> None:
    """Time goes by."""
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(state="waiting").update(due_at=past)


def test_an_answer_is_told_signed_and_logged(
    campaign: Campaign, ada: User, receiver: Receiver
) -> None:
    made = hook(campaign, receiver.url)
    said = answer(lease(campaign, ada), ada)
    assert webhooks.deliver() == 1
    ((headers, body),) = receiver.heard
    told = json.loads(body)
    assert (told["type"], told["campaign"]) == ("annotation.recorded", campaign.slug)
    assert told["data"]["annotation"] == said.pk
    assert told["data"]["annotator"].startswith("p-")
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{wanted}"
    logged = Delivery.objects.get()
    assert (logged.state, logged.status, logged.attempts) == ("delivered", 204, 1)
    assert str(logged.pk) == told["id"] == headers["webhook-id"]
    assert webhooks.deliver() == 0


def test_the_signature_is_the_one_of_the_specification() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, reference test vector
    found = webhooks.signature(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        name="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_only_what_was_asked_for_is_told_and_only_to_those_who_listen(
    campaign: Campaign, ada: User, receiver: Receiver
) -> None:
    hook(campaign, receiver.url, "round.published")
    off = hook(campaign, receiver.url)
    Webhook.objects.filter(pk=off.pk).update(active=False)
    answer(lease(campaign, ada), ada)
    assert not Delivery.objects.exists()
    ask(campaign, most=2)
    (told,) = Delivery.objects.all()
    assert (told.event, told.payload["round"]) == ("round.published", 2)


def test_what_was_taken_back_is_told_too(campaign: Campaign, ada: User) -> None:
    hook(campaign, "https://example.org/hook")
    said = answer(lease(campaign, ada), ada)
    undo_last(slug=campaign.slug, user=ada)
    newest = Delivery.objects.first()
    assert newest is not None
    assert (newest.payload["outcome"], newest.payload["supersedes"]) == ("undone", said.pk)


def test_an_event_that_is_rolled_back_was_never_told(campaign: Campaign) -> None:
    hook(campaign, "https://example.org/hook")
    with transaction.atomic():
        services.emit(campaign_id=campaign.pk, event=services.Event.ROUND, data={})
        transaction.set_rollback(True)
    assert not Delivery.objects.exists()


def test_failures_are_tried_again_with_growing_waits(
    campaign: Campaign, ada: User, receiver: Receiver
) -> None:
    hook(campaign, receiver.url)
    answer(lease(campaign, ada), ada)
    receiver.answers = [500, 302, 429]
    waits = []
    for status in (500, 302, 429):
        before = timezone.now()
        assert webhooks.deliver() == 1
        told = Delivery.objects.get()
        assert (told.state, told.status) == ("waiting", status)
        assert f"answered {status}" in told.error
        waits.append((told.due_at - before).total_seconds())
        assert webhooks.deliver() == 0  # not due
        later()
    assert waits == pytest.approx([10, 60, 300], abs=5)
    webhooks.deliver()
    assert Delivery.objects.get().state == "delivered"
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    assert len({body for _, body in receiver.heard}) == 1


def test_who_does_not_answer_keeps_nobody_waiting(
    campaign: Campaign, ada: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BATCH", 1)
    hook(campaign, "http://127.0.0.1:1/")
    hook(campaign, receiver.url)
    for _ in range(3):
        answer(lease(campaign, ada), ada)
    assert webhooks.deliver() == 4  # three to the one that hears, one to the other
    assert len(receiver.heard) == 3
    waiting = Delivery.objects.filter(state="waiting")
    assert sorted(waiting.values_list("attempts", flat=True)) == [0, 0, 1]
    assert not waiting.filter(due_at__lte=timezone.now()).exists()


def test_after_a_minute_other_tasks_go_first(
    campaign: Campaign, ada: User, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BATCH", 1)
    monkeypatch.setattr(webhooks, "TURN", -1.0)
    rung: list[bool] = []
    monkeypatch.setattr("annotator.dispatch.deliveries_wait", lambda: rung.append(True))
    hook(campaign, receiver.url)
    for _ in range(2):
        answer(lease(campaign, ada), ada)
    rung.clear()
    assert webhooks.deliver() == 1
    assert rung == [True]


def test_it_is_given_up_in_the_end_and_can_be_sent_again(
    campaign: Campaign, ada: User, receiver: Receiver
) -> None:
    hook(campaign, receiver.url)
    answer(lease(campaign, ada), ada)
    receiver.answers = [503] * 8
    for _ in range(8):
        later()
        webhooks.deliver()
    told = Delivery.objects.get()
    assert (told.state, told.attempts) == ("failed", 8)
    later()
    assert webhooks.deliver() == 0
    assert services.send_again(delivery=told)
    webhooks.deliver()
    assert Delivery.objects.get().state == "delivered"


def test_an_address_that_nobody_listens_at_is_named(campaign: Campaign, settings: Any) -> None:
    settings.WEBHOOK_PRIVATE = True
    made = hook(campaign, "http://127.0.0.1:1/")
    services.try_webhook(webhook=made)
    webhooks.deliver()
    told = Delivery.objects.get()
    assert told.state == "failed"  # a test is tried once
    assert "refused" in told.error.lower()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://localhost/", "http://169.254.169.254/latest/meta-data"]
)
def test_addresses_inside_the_network_are_refused_unless_allowed(
    campaign: Campaign, settings: Any, url: str
) -> None:
    settings.WEBHOOK_PRIVATE = False
    services.try_webhook(webhook=hook(campaign, url))
    webhooks.deliver()
    assert "inside the network" in Delivery.objects.get().error


@pytest.mark.parametrize(
    ("url", "events", "words"),
    [
        ("ftp://example.org", ["round.published"], "expected http"),
        ("https:///path", ["round.published"], "expected http"),
        ("https://me:secret@example.org", ["round.published"], "without a user name"),
        ("https://example.org", [], "got none"),
        ("https://example.org", ["round.finished"], "got 'round.finished'"),
    ],
)
def test_what_can_never_be_delivered_is_refused(
    campaign: Campaign, url: str, events: list[str], words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        services.add_webhook(campaign=campaign, url=url, events=events, user=None)
    assert not Webhook.objects.exists()


def test_a_worker_that_died_leaves_its_delivery_to_another(
    campaign: Campaign, ada: User, receiver: Receiver
) -> None:
    hook(campaign, receiver.url)
    answer(lease(campaign, ada), ada)
    assert len(webhooks._claim()) == 1  # and nothing more is heard of it
    assert webhooks.deliver() == 0
    later()
    assert webhooks.deliver() == 1
    assert Delivery.objects.get().state == "delivered"


def test_the_sweep_forgets_old_entries_of_the_log(campaign: Campaign, ada: User) -> None:
    hook(campaign, "https://example.org/hook")
    answer(lease(campaign, ada), ada)
    old = timezone.now() - timedelta(days=40)
    Delivery.objects.update(created_at=old)
    sweep()
    assert Delivery.objects.count() == 1  # it waits
    Delivery.objects.update(state="failed")
    sweep()
    assert not Delivery.objects.exists()


def test_nobody_who_listens_costs_one_query(
    campaign: Campaign, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        services.emit(campaign_id=campaign.pk, event=services.Event.ROUND, data={})
