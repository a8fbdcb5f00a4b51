"""Exports over REST with a token: asked for, built, downloaded, refused to strangers."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.authtoken.models import Token

from annotator.models import Campaign, Job, Snapshot
from tests.annotator.acts import answer, lease
from worker import child, jobs


def token(user: User) -> Client:
    """A script of this person."""
    key = Token.objects.create(user=user).key
    return Client(headers={"Authorization": f"Token {key}"})


@pytest.fixture
def script(ruth: User) -> Client:
    return token(ruth)


def build() -> None:
    for job in Job.objects.filter(state="queued", kind="snapshot"):
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)


def ask(client: Client, campaign: Campaign, **body: Any) -> Any:
    where = f"/api/campaigns/{campaign.slug}/exports/"
    return client.post(where, json.dumps(body), content_type="application/json")


def test_an_export_is_asked_for_built_and_downloaded(
    campaign: Campaign, ada: User, script: Client
) -> None:
    answer(lease(campaign, ada), ada)
    asked = ask(script, campaign, format="trl-preference")
    assert asked.status_code == 202
    where = asked["Location"]
    assert script.get(where).json()["state"] == "queued"
    assert script.get(f"{where}download/").status_code == 422
    build()
    ready = script.get(where).json()
    assert ready["state"] == "ready"
    blob = b"".join(script.get(ready["download"]).streaming_content)
    stated = ready["manifest"]["files"]["data.jsonl"]
    assert hashlib.sha256(blob).hexdigest() == stated["sha256"]
    assert set(json.loads(blob)) == {"prompt", "chosen", "rejected"}
    for part in ("provenance.jsonl", "manifest.json"):
        beside = script.get(f"{where}download/?part={part}")
        assert json.loads(b"".join(beside.streaming_content))


def test_an_export_does_not_change_when_more_is_answered(
    campaign: Campaign, ada: User, script: Client
) -> None:
    answer(lease(campaign, ada), ada)
    where = ask(script, campaign, format="native")["Location"]
    build()
    before = b"".join(script.get(f"{where}download/").streaming_content)
    answer(lease(campaign, ada), ada)
    assert b"".join(script.get(f"{where}download/").streaming_content) == before


def test_an_empty_export_fails_in_words(campaign: Campaign, script: Client) -> None:
    where = ask(script, campaign, format="native")["Location"]
    build()
    told = script.get(where).json()
    assert told["state"] == "failed"
    assert "nothing to export" in told["error"]


@pytest.mark.parametrize("body", [{}, {"format": "csv"}, {"format": "native", "include_gold": "?"}])
def test_a_wrong_request_is_named(campaign: Campaign, script: Client, body: dict[str, Any]) -> None:
    reply = ask(script, campaign, **body)
    assert reply.status_code == 400
    assert reply["Content-Type"] == "application/problem+json"
    assert reply.json()["errors"]
    assert not Snapshot.objects.exists()


def test_broken_json_is_a_problem_too(campaign: Campaign, script: Client) -> None:
    where = f"/api/campaigns/{campaign.slug}/exports/"
    reply = script.post(where, "{", content_type="application/json")
    assert reply.status_code == 400
    assert "JSON parse error" in reply.json()["detail"]


def test_without_a_token_there_is_nothing(campaign: Campaign) -> None:
    assert Client().get("/api/campaigns/").status_code == 401
    assert ask(Client(), campaign, format="native").status_code == 401


def test_annotators_and_strangers_do_not_export(
    campaign: Campaign, ada: User, sam: User, script: Client
) -> None:
    answer(lease(campaign, ada), ada)
    where = ask(script, campaign, format="native")["Location"]
    for person in (ada, sam):
        client = token(person)
        assert ask(client, campaign, format="native").status_code == 404
        assert client.get(where).status_code == 404
        assert client.get(f"{where}download/").status_code == 404
        assert client.get("/api/campaigns/").json()["results"] == []


def test_an_unknown_part_is_refused(campaign: Campaign, ada: User, script: Client) -> None:
    answer(lease(campaign, ada), ada)
    where = ask(script, campaign, format="native")["Location"]
    build()
    reply = script.get(f"{where}download/?part=../../secret_key")
    assert reply.status_code == 422
    assert "expected one of data.jsonl" in reply.json()["detail"]


# --- options, cancelling, comparing ---------------------------------------------------------


def test_options_are_those_of_the_page_and_the_command(
    campaign: Campaign, ada: User, script: Client
) -> None:
    answer(lease(campaign, ada), ada)
    asked = ask(script, campaign, format="trl-preference", margin="strength", minimum_agreement=0.5)
    assert asked.status_code == 202
    options = asked.json()["options"]
    assert (options["margin"], options["minimum_agreement"]) == ("strength", 0.5)
    assert options["consensus"] == "auto"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"format": "guess"}, 400, "not a valid choice"),
        ({"format": "trl-preference", "ties": "maybe"}, 400, "not a valid choice"),
        ({"format": "trl-preference", "minimum_agreement": 7}, 400, "less than or equal to 1"),
        ({"format": "trl-preference", "container": "zip"}, 422, "expected one of"),
        ({"format": "native", "container": "parquet"}, 422, "trees"),
        ({"format": "native", "margin": "strength"}, 422, "margin"),
    ],
)
def test_what_cannot_be_exported_is_refused_at_once(
    campaign: Campaign, script: Client, body: dict[str, Any], status: int, words: str
) -> None:
    asked = ask(script, campaign, **body)
    assert asked.status_code == status, asked.content
    assert words in asked.content.decode()
    assert not Snapshot.objects.exists()


def test_an_export_is_stopped(campaign: Campaign, ada: User, script: Client) -> None:
    answer(lease(campaign, ada), ada)
    where = ask(script, campaign, format="native")["Location"]
    assert token(ada).delete(where).status_code == 404
    assert script.delete(where).status_code == 204
    assert script.get(where).json()["state"] == "cancelled"
    assert script.delete(where).status_code == 409


def test_two_exports_are_compared(campaign: Campaign, ada: User, script: Client) -> None:
    ids = []
    for _ in range(2):
        answer(lease(campaign, ada), ada)
        ids.append(ask(script, campaign, format="trl-preference").json()["id"])
        build()
    old, new = ids
    told = script.get(f"/api/exports/{new}/difference/?with={old}").json()
    assert (told["added"], told["removed"], told["changed"], told["same"]) == (1, 0, 0, 1)
    assert len(told["examples"]["added"]) == 1
    assert script.get(f"/api/exports/{new}/difference/").status_code == 400
    assert token(ada).get(f"/api/exports/{new}/difference/?with={old}").status_code == 404
