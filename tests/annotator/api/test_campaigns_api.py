"""Campaigns over REST: made, changed, started, staffed; items imported; what happened read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from rest_framework.throttling import UserRateThrottle

from annotator.models import AnsweredRequest, Campaign, Item, Job, Membership, Round
from tests.annotator.acts import answer, lease
from tests.annotator.api.scripts import Script, refused
from tests.campaigns import item


@pytest.fixture
def script(ruth: User) -> Script:
    return Script(ruth)


MINE = {"slug": "mine", "name": "Mine", "form": "compare", "batch_size": 4}


def made(script: Script, **changes: Any) -> Any:
    response = script.post("campaigns/", MINE | changes)
    assert response.status_code == 201, response.content
    return response


def test_a_campaign_from_nothing_to_its_first_round(script: Script, ada: User) -> None:
    response = made(script, holdout_prompts=0.2)
    assert response["Location"] == "/api/campaigns/mine/"
    rows = [item(n) for n in range(10)]
    report = script.post("campaigns/mine/items/", rows)
    assert report.status_code == 201
    assert (report.json()["items"], report.json()["rejected"]) == (10, 0)
    assert script.post("campaigns/mine/guidelines/", {"text": "Be *kind*."}).status_code == 201
    member = script.post("campaigns/mine/members/", {"user": "ada", "role": "annotator"})
    assert member.status_code == 201
    assert script.post("campaigns/mine/state/", {"state": "running"}).json()["state"] == "running"
    assert Job.objects.filter(kind="round").exists()
    rounds = script.get("campaigns/mine/rounds/").json()["results"]
    assert [one["number"] for one in rounds] == [1]
    assert Membership.objects.get(user=ada).role == "annotator"


def test_settings_are_changed_by_the_rules_of_the_form(script: Script) -> None:
    made(script)
    changed = script.patch("campaigns/mine/", {"acquisition": "entropy", "overlap": 3})
    assert (changed.json()["acquisition"], changed.json()["overlap"]) == ("entropy", 3)
    for body, words in [
        ({"acquisition": "guess"}, "expected one of"),
        ({"acquisition_config": {"gone": 1}}, "no option"),
        ({"overlap": 0}, "overlap"),
        ({"random_share": 0.9, "holdout_share": 0.9}, "less than 5 %"),
        ({"encoder": "magic"}, "expected default"),
        ({"slug": "other"}, "cannot be changed"),
    ]:
        refused(script.patch("campaigns/mine/", body), 400, words)
    refused(script.patch("campaigns/mine/", {"form_options": {"compare": {"steps": 9}}}), 400)
    campaign = Campaign.objects.get()
    assert (campaign.acquisition, campaign.overlap, campaign.form_options) == ("entropy", 3, {})


def test_what_the_start_drew_cannot_be_changed_after_it(script: Script, campaign: Campaign) -> None:
    where = f"campaigns/{campaign.slug}/"
    refused(script.patch(where, {"seed": 4}), 400, "after the start")
    refused(script.patch(where, {"overlap": 4}), 400, "after the start")
    unchanged = {"seed": campaign.seed, "overlap": campaign.overlap}
    assert script.patch(where, {**unchanged, "batch_size": 5}).status_code == 200


def test_the_seed_is_settled_once_prompts_have_drawn_their_lots(script: Script) -> None:
    made(script)
    assert script.patch("campaigns/mine/", {"seed": 4}).status_code == 200
    script.post("campaigns/mine/items/", item(1))
    refused(script.patch("campaigns/mine/", {"seed": 5}), 400, "once prompts are imported")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (MINE | {"slug": "no spaces"}, "slug"),
        ({"name": "No slug"}, "required"),
        (MINE | {"form": "guess"}, "not a valid choice"),
        ([1], "Invalid data"),
    ],
)
def test_a_bad_campaign_is_refused_whole(script: Script, body: Any, words: str) -> None:
    refused(script.post("campaigns/", body), 400, words)
    assert not Campaign.objects.exists()


def test_who_may_not_make_campaigns_is_told(ada: User) -> None:
    refused(Script(ada).post("campaigns/", MINE), 403, "an administrator can let you")


def test_states_follow_each_other(script: Script, campaign: Campaign) -> None:
    where = f"campaigns/{campaign.slug}/state/"
    refused(script.post(where, {"state": "running"}), 409, "cannot become")
    assert script.post(where, {"state": "paused"}).json()["state"] == "paused"
    refused(script.post(where, {"state": "draft"}), 400)


# --- items ----------------------------------------------------------------------------------


def lines(script: Script, slug: str, body: bytes, query: str = "") -> Any:
    return script.client.post(
        f"/api/campaigns/{slug}/items/{query}", body, content_type="application/x-ndjson"
    )


def test_json_lines_are_imported_and_repeated_without_harm(
    script: Script, campaign: Campaign
) -> None:
    body = "".join(json.dumps(item(n)) + "\n" for n in range(50, 53)).encode()
    assert lines(script, campaign.slug, body).json()["items"] == 3
    again = lines(script, campaign.slug, body).json()
    assert (again["items"], again["unchanged"]) == (0, 3)
    one = script.get(f"campaigns/{campaign.slug}/items/toy:50/").json()
    assert one["responses"][0]["model"] == "model-one"


def test_bad_rows_are_named_and_nothing_is_stored(script: Script, campaign: Campaign) -> None:
    before = Item.objects.count()
    good, bad = item(60), item(61, prompt=5)
    body = f"{json.dumps(good)}\n{json.dumps(bad)}\nnot json\n".encode()
    said = refused(lines(script, campaign.slug, body), 422, "nothing was imported")
    assert [(one["line"], one["field"]) for one in said["problems"]][:1] == [(2, "prompt")]
    assert said["problems"][-1]["line"] == 3
    assert Item.objects.count() == before
    kept = lines(script, campaign.slug, body, "?keep_good=true").json()
    assert (kept["items"], kept["rejected"]) == (1, 2)
    refused(lines(script, campaign.slug, body, "?keep_best=true"), 400, "not a filter")
    refused(script.post(f"campaigns/{campaign.slug}/items/", []), 422, "no rows")


def test_more_than_an_upload_may_have_is_refused(
    script: Script, campaign: Campaign, settings: Any
) -> None:
    settings.MAX_UPLOAD_BYTES = 100
    refused(script.post(f"campaigns/{campaign.slug}/items/", [item(70)]), 422, "the limit is 100")


# --- what happened --------------------------------------------------------------------------


def test_pages_follow_each_other_until_the_end(script: Script, campaign: Campaign) -> None:
    seen, where = [], f"campaigns/{campaign.slug}/items/?page_size=4"
    while where:
        page = script.get(where).json()
        seen += [one["id"] for one in page["results"]]
        where = (page["next"] or "").partition("/api/")[2]
    assert sorted(seen) == sorted(Item.objects.values_list("external_id", flat=True))


def test_what_was_asked_and_answered_can_be_read(
    script: Script, campaign: Campaign, ada: User
) -> None:
    said = answer(lease(campaign, ada), ada, "a2")
    base = f"campaigns/{campaign.slug}"
    (one,) = script.get(f"{base}/annotations/").json()["results"]
    assert (one["id"], one["tiers"], one["arm"]) == (said.pk, said.tiers, "random")
    query = script.get(f"{base}/queries/{one['query']}/").json()
    assert {r["id"] for r in query["responses"]} == {pk for tier in said.tiers for pk in tier}
    (who,) = [a for a in script.get(f"{base}/annotators/").json()["results"] if a["answers"]]
    assert who["pseudonym"] == one["annotator"]
    assert "ada" not in json.dumps([one, who])
    metrics = script.get(f"{base}/metrics/").json()
    assert (metrics["judgements"], metrics["slots"]["answered"]) == (1, 1)
    assert script.get(f"{base}/models/").json()["results"] == []


def test_lists_are_filtered_and_refuse_what_they_do_not_know(
    script: Script, campaign: Campaign, ada: User
) -> None:
    answer(lease(campaign, ada), ada, "a2")
    answer(lease(campaign, ada), ada, "skip")
    base = f"campaigns/{campaign.slug}"

    def count(query: str) -> int:
        return len(script.get(f"{base}/{query}").json()["results"])

    assert count("annotations/?outcome=skip") == 1
    assert count("annotations/?standing=true") == 1
    assert count("annotations/?since=2100-01-01T00:00:00Z") == 0
    assert count("queries/?arm=random") == 6
    assert count("queries/?arm=holdout") == 0
    assert count("items/?group=group 1") == 1
    refused(script.get(f"{base}/annotations/?outcom=skip"), 400, "not a filter")
    refused(script.get(f"{base}/annotations/?since=yesterday"), 400, "since")
    refused(script.get(f"{base}/queries/?cursor=zzz"), 404)


def test_a_round_is_asked_for_once(script: Script, campaign: Campaign) -> None:
    Round.objects.all().delete()
    first = script.post(f"campaigns/{campaign.slug}/rounds/")
    assert first.status_code == 202
    again = script.post(f"campaigns/{campaign.slug}/rounds/")
    assert (again.status_code, again.json()["number"]) == (200, first.json()["number"])
    where = first["Location"].removeprefix("/api/")
    assert script.get(where).json()["trigger"] == "asked for by ruth"
    refused(script.post(f"{where}retry/"), 409, "is under way")


def test_annotators_read_the_guidelines_that_they_are_to_follow(
    campaign: Campaign, ada: User, sam: User, script: Script
) -> None:
    where = f"campaigns/{campaign.slug}/guidelines/"
    script.post(where, {"text": "Be fair."})
    assert [one["text"] for one in Script(ada).get(where).json()] == ["Be fair."]
    refused(Script(sam).get(where), 404)
    Campaign.objects.update(state="draft")
    refused(Script(ada).get(where), 404)
    assert script.get(where).status_code == 200


def test_campaigns_come_in_pages(script: Script, ada: User) -> None:
    for n in range(3):
        made(script, slug=f"c{n}")
    page = script.get("campaigns/?page_size=2").json()
    assert [one["slug"] for one in page["results"]] == ["c2", "c1"]
    assert page["next"] is not None
    assert Script(ada).get("campaigns/").json()["results"] == []


READING = ["", "items/", "queries/", "annotations/", "annotators/", "rounds/", "models/"]
READING += ["metrics/", "exports/", "imports/"]
STEERING = ["state/", "guidelines/", "members/", "items/", "rounds/"]


@pytest.mark.parametrize("path", READING)
def test_reading_is_for_researchers_and_viewers(campaign: Campaign, ada: User, path: str) -> None:
    where = f"campaigns/{campaign.slug}/{path}"
    refused(Script(ada).get(where), 404)  # an annotator
    Membership.objects.filter(user=ada).update(role="viewer")
    assert Script(ada).get(where).status_code == 200


@pytest.mark.parametrize("path", STEERING)
def test_changing_is_for_researchers(campaign: Campaign, ada: User, sam: User, path: str) -> None:
    where = f"campaigns/{campaign.slug}/{path}"
    Membership.objects.filter(user=ada).update(role="viewer")
    for person in (ada, sam):
        refused(Script(person).post(where, {}), 404)
    refused(Script(ada).patch(f"campaigns/{campaign.slug}/", {"overlap": 2}), 404)


# --- what all endpoints have in common ------------------------------------------------------


def test_without_a_token_nothing_is_said(campaign: Campaign, client: Any) -> None:
    asked = client.get(f"/api/campaigns/{campaign.slug}/")
    assert asked.status_code == 401
    assert asked["WWW-Authenticate"] == "Token"


def test_an_address_that_does_not_exist_is_refused_in_the_same_shape(script: Script) -> None:
    refused(script.get("nowhere/"), 404, "every address is listed")
    refused(script.delete("campaigns/"), 405)


def test_what_did_not_change_is_not_sent_again(script: Script, campaign: Campaign) -> None:
    first = script.get(f"campaigns/{campaign.slug}/")
    same = script.get(f"campaigns/{campaign.slug}/", **{"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    Campaign.objects.update(name="Other")
    other = script.get(f"campaigns/{campaign.slug}/", **{"If-None-Match": first["ETag"]})
    assert other.json()["name"] == "Other"


def test_another_version_of_the_api_is_refused(script: Script) -> None:
    asked = script.get("campaigns/", Accept="application/json; version=7")
    refused(asked, 406)
    assert script.get("campaigns/", Accept="application/json; version=1").status_code == 200


# --- idempotency keys -----------------------------------------------------------------------


def test_a_request_sent_again_with_its_key_is_answered_again(script: Script) -> None:
    key = {"Idempotency-Key": "one"}
    first = script.post("campaigns/", MINE, **key)
    again = script.post("campaigns/", MINE, **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert Campaign.objects.count() == 1


def test_a_key_is_for_one_request(script: Script, ada: User) -> None:
    key = {"Idempotency-Key": "one"}
    script.post("campaigns/", MINE, **key)
    refused(script.post("campaigns/", MINE | {"slug": "two"}, **key), 422, "another request")
    refused(script.post("campaigns/", MINE, **{"Idempotency-Key": "é"}), 400, "visible ASCII")
    refused(Script(ada).post("campaigns/", MINE, **key), 403)  # a key of one's own


def test_what_was_refused_may_be_sent_again_under_its_key(script: Script) -> None:
    key = {"Idempotency-Key": "one"}
    refused(script.post("campaigns/", {"slug": "x"}, **key), 400)
    assert not AnsweredRequest.objects.exists()
    assert script.post("campaigns/", MINE, **key).status_code == 201


def test_too_many_requests_are_told_when_to_come_again(
    script: Script, ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.clear()
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", {"user": "2/min"})
    for _ in range(2):
        assert script.get("campaigns/").status_code == 200
    late = script.get("campaigns/")
    refused(late, 429, "throttled")
    assert 0 < int(late["Retry-After"]) <= 60
    assert Script(ada).get("campaigns/").status_code == 200  # each person has their own
    cache.clear()
