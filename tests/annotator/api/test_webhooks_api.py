"""Webhooks over REST and in the admin: made, changed, tried, removed; secrets are told once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from annotator.models import Campaign, Delivery, Webhook
from annotator.services.campaigns import add_member
from tests.annotator.api.scripts import Script, refused
from tests.annotator.conftest import signed_in

HOOK = {"url": "https://example.org/hook", "events": ["round.published"]}


@pytest.fixture
def script(ruth: User) -> Script:
    return Script(ruth)


@pytest.fixture
def made(script: Script, campaign: Campaign) -> Any:
    response = script.post(f"campaigns/{campaign.slug}/webhooks/", HOOK)
    assert response.status_code == 201
    return response


def test_the_secret_is_told_once(script: Script, campaign: Campaign, made: Any) -> None:
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    where = made["Location"].removeprefix("/api/")
    for response in (
        script.get(where),
        script.get(f"campaigns/{campaign.slug}/webhooks/"),
        script.patch(where, {"active": False}),
    ):
        assert response.status_code == 200
        assert secret not in response.content.decode()
    assert not Webhook.objects.get().active


def test_it_is_tried_and_the_log_can_be_read(script: Script, made: Any) -> None:
    where = made["Location"].removeprefix("/api/")
    tried = script.post(f"{where}test/").json()
    assert (tried["event"], tried["state"]) == ("test", "waiting")
    (logged,) = script.get(f"{where}deliveries/?state=waiting").json()["results"]
    assert logged["id"] == tried["id"]
    Delivery.objects.update(state="failed")
    again = script.post(f"{where}deliveries/{tried['id']}/again/")
    assert again.json()["state"] == "waiting"
    assert script.delete(where).status_code == 204
    refused(script.get(where), 404)


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"url": "ftp://x"}, 400, "valid URL"),
        ({"url": "https://a:b@example.org"}, 422, "user name"),
        ({"events": []}, 400, "events"),
        ({"events": ["test"]}, 400, "not a valid choice"),
    ],
)
def test_what_can_never_be_delivered_is_refused(
    script: Script, campaign: Campaign, made: Any, change: Any, status: int, words: str
) -> None:
    refused(script.post(f"campaigns/{campaign.slug}/webhooks/", HOOK | change), status, words)
    refused(script.patch(made["Location"].removeprefix("/api/"), change), status, words)
    assert Webhook.objects.get().url == HOOK["url"]


def test_a_campaign_has_so_many_at_most(
    script: Script, campaign: Campaign, as_ruth: Client
) -> None:
    Webhook.objects.bulk_create(Webhook(campaign=campaign, **HOOK, secret="x") for _ in range(20))
    refused(script.post(f"campaigns/{campaign.slug}/webhooks/", HOOK), 422, "20 webhooks at most")
    body = {"campaign": campaign.pk, "active": "on", **HOOK}
    page = as_ruth.post("/admin/annotator/webhook/add/", body).content.decode()
    assert "20 webhooks at most" in page
    assert Webhook.objects.count() == 20


def test_others_see_nothing_of_them(campaign: Campaign, made: Any, ada: User, sam: User) -> None:
    where = made["Location"].removeprefix("/api/")
    for person in (ada, sam):
        for path in (where, f"{where}deliveries/", f"campaigns/{campaign.slug}/webhooks/"):
            refused(Script(person).get(path), 404)
        refused(Script(person).post(f"{where}test/"), 404)
        refused(Script(person).delete(where), 404)
    assert Webhook.objects.exists()


def test_who_may_change_campaigns_may_have_them_told_of(campaign: Campaign, sam: User) -> None:
    User.objects.filter(pk=sam.pk).update(is_staff=True)
    permission = Permission.objects.get(codename="change_campaign")
    sam.user_permissions.add(permission)
    add, log = "/admin/annotator/webhook/add/", "/admin/annotator/delivery/"
    body = {"campaign": campaign.pk, "active": "on", **HOOK}
    client = signed_in(sam)
    assert client.get(add).status_code == client.get(log).status_code == 200
    assert "not one of the available choices" in client.post(add, body).content.decode()
    add_member(campaign=campaign, user=sam, role="researcher")
    assert client.post(add, body).status_code == 302
    assert Webhook.objects.get().created_by == sam
    sam.user_permissions.remove(permission)
    assert client.get(add).status_code == client.get(log).status_code == 403


def test_the_admin_removes_one_with_its_log(campaign: Campaign, made: Any, as_ruth: Client) -> None:
    hook = Webhook.objects.get()
    Delivery.objects.create(webhook=hook, event="test", payload={}, state="failed")
    where = f"/admin/annotator/webhook/{hook.pk}/delete/"
    assert as_ruth.post(where, {"post": "yes"}).status_code == 302
    assert not Webhook.objects.exists()
    assert not Delivery.objects.exists()


def test_the_admin_makes_one_and_shows_its_secret_once(campaign: Campaign, as_ruth: Client) -> None:
    add = "/admin/annotator/webhook/add/"
    body = {"campaign": campaign.pk, "active": "on", **HOOK}
    page = as_ruth.post(add, body, follow=True).content.decode()
    secret = Webhook.objects.get().secret
    assert secret.replace("+", "&#x2B;") in page or secret in page
    change = f"/admin/annotator/webhook/{Webhook.objects.get().pk}/change/"
    assert secret not in as_ruth.get(change).content.decode()
    bad = as_ruth.post(add, body | {"url": "ftp://x.example"}).content.decode()
    assert "Enter a valid URL" in bad or "expected http" in bad
    log = as_ruth.get("/admin/annotator/delivery/")
    assert log.status_code == 200
