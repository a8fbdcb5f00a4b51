"""Imports over REST: any file or a data set by name, taken in by a worker, all or nothing."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Import, Item, Job
from tests.annotator.api.scripts import Script, refused
from tests.campaigns import item
from worker import handlers, jobs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def script(ruth: User) -> Script:
    return Script(ruth)


def work() -> None:
    for queued in Job.objects.filter(state="queued", kind="import"):
        job = jobs.claim(queued.pk)
        assert job is not None
        try:
            handlers.HANDLERS[job.kind](job)
        except handlers.PERMANENT as error:
            handlers.fail(job, str(error), again=False)


def upload(script: Script, slug: str, body: bytes, query: str = "", **headers: str) -> Any:
    return script.client.post(
        f"/api/campaigns/{slug}/imports/{query}",
        body,
        content_type="application/octet-stream",
        headers=headers,
    )


PAIRS = b"".join(
    json.dumps({"prompt": f"Q{n}?", "chosen": f"good {n}", "rejected": f"bad {n}"}).encode() + b"\n"
    for n in range(4)
)


def test_a_foreign_file_is_recognised_and_stored_by_a_worker(
    script: Script, campaign: Campaign
) -> None:
    before = Item.objects.count()
    asked = upload(script, campaign.slug, gzip.compress(PAIRS), "?filename=pairs.jsonl.gz")
    assert asked.status_code == 202
    assert asked.json()["name"] == "pairs.jsonl.gz"
    assert Item.objects.count() == before
    work()
    where = asked["Location"].removeprefix("/api/")
    done = script.get(where).json()
    assert (done["state"], done["format"]) == ("done", "trl-preference")
    assert done["counts"]["items"] == 4
    assert Item.objects.count() == before + 4
    listed = script.get(f"campaigns/{campaign.slug}/imports/").json()["results"]
    assert [one["id"] for one in listed] == [done["id"]]
    refused(script.delete(where), 409, "cannot be cancelled")


def test_bad_rows_are_named_and_can_be_left_out_after_a_look(
    script: Script, campaign: Campaign
) -> None:
    rows = f"{json.dumps(item(80))}\n{json.dumps(item(81, prompt=7))}\n".encode()
    asked = upload(script, campaign.slug, rows)
    work()
    where = asked["Location"].removeprefix("/api/")
    said = script.get(where).json()
    assert said["state"] == "refused"
    assert (said["problems"][0]["line"], said["problems"][0]["field"]) == (2, "prompt")
    rejects = script.get(said["rejects"].removeprefix("/api/"))
    assert json.loads(b"".join(rejects.streaming_content))["line"] == 2
    assert script.post(f"{where}confirm/", {"keep_good": True}).status_code == 202
    work()
    done = script.get(where).json()
    assert (done["state"], done["counts"]["items"]) == ("done", 1)
    refused(script.post(f"{where}confirm/"), 409, "cannot be confirmed")


def test_it_waits_to_be_confirmed_where_somebody_wants_to_look(
    script: Script, campaign: Campaign
) -> None:
    before = Item.objects.count()
    asked = upload(script, campaign.slug, PAIRS, "?look_first=true")
    work()
    where = asked["Location"].removeprefix("/api/")
    seen = script.get(where).json()
    assert seen["state"] == "checked"
    assert "Q0?" in json.dumps(seen["shown"])
    assert Item.objects.count() == before
    assert script.delete(where).status_code == 204
    assert script.get(where).json()["state"] == "cancelled"


def test_the_same_upload_under_one_key_is_one_import(script: Script, campaign: Campaign) -> None:
    key = {"Idempotency-Key": "one"}
    first = upload(script, campaign.slug, PAIRS, **key)
    again = upload(script, campaign.slug, PAIRS, **key)
    assert again.json()["id"] == first.json()["id"]
    refused(upload(script, campaign.slug, PAIRS + b"\n", **key), 422, "another request")
    assert Import.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "query", "status", "words"),
    [
        ({"name": "not a data set"}, "", 422, "hf:OWNER/NAME"),
        ({}, "", 400, "required"),
        ({"name": "hf:a/b", "columns": {"nope": "x"}}, "", 422, "nope"),
        ({"name": "hf:a/b"}, "?file_format=guess", 400, "not a valid choice"),
        ({"name": "hf:a/b"}, "?strength_max=0", 400, "strength_max"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_at_once(
    script: Script, campaign: Campaign, body: Any, query: str, status: int, words: str
) -> None:
    refused(script.post(f"campaigns/{campaign.slug}/imports/{query}", body), status, words)
    assert not Import.objects.exists()


def test_too_large_a_file_is_refused(script: Script, campaign: Campaign, settings: Any) -> None:
    settings.MAX_UPLOAD_BYTES = 50
    refused(upload(script, campaign.slug, PAIRS), 422, "the limit for an upload is 50")


def test_others_see_nothing(campaign: Campaign, script: Script, ada: User, sam: User) -> None:
    asked = upload(script, campaign.slug, PAIRS)
    where = asked["Location"].removeprefix("/api/")
    for person in (Script(ada), Script(sam)):
        refused(person.get(where), 404)
        refused(person.delete(where), 404)
        refused(person.post(f"{where}confirm/"), 404)
        refused(person.get(f"{where}rejects/"), 404)
        refused(upload(person, campaign.slug, PAIRS), 404)
