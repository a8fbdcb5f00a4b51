"""Judges over REST: added, changed, read; keys are only named, and only to those who steer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Job, Judge, JudgeReport, Query, Slot
from annotator.services import judges
from annotator.services.campaigns import add_member
from tests.annotator.api.scripts import Script, refused
from tests.annotator.judged import SECRET_PROMPT, SECRET_REPLY, add, route, say
from tests.annotator.views.pages import queries
from tests.campaigns import ask, make_campaign

NEW = {
    "name": "small-judge",
    "model": "tiny",
    "base_url": "http://localhost:11434/v1",
    "key_name": "JUDGE_KEY_TINY",
    "price_in": "0.15",
    "spend_limit": "20",
}


@pytest.fixture
def script(ruth: User) -> Script:
    return Script(ruth)


@pytest.fixture
def viewer(campaign: Campaign, ada: User) -> Script:
    add_member(campaign=campaign, user=ada, role="viewer")
    return Script(ada)


def first_query() -> Query:
    found = Query.objects.order_by("pk").first()
    assert found is not None
    return found


# --- adding and changing --------------------------------------------------------------------


def test_a_judge_is_added_and_read_again(script: Script, campaign: Campaign) -> None:
    made = script.post(f"campaigns/{campaign.slug}/judges/", NEW)
    assert made.status_code == 201, made.content
    said = made.json()
    assert {key: said[key] for key in NEW} == NEW
    assert (said["active"], said["trouble"], said["asked"], said["spent"]) == (True, "", 0, "0")
    where = made["Location"].removeprefix("/api/")
    assert script.get(where).json() == said
    assert script.get(f"campaigns/{campaign.slug}/judges/").json() == [said]
    judge = Judge.objects.get()
    assert (judge.annotator.kind, judge.annotator.pseudonym) == ("llm", "small-judge")


def test_the_same_request_adds_one_judge(script: Script, campaign: Campaign) -> None:
    where, key = f"campaigns/{campaign.slug}/judges/", {"Idempotency-Key": "one"}
    first, again = script.post(where, NEW, **key), script.post(where, NEW, **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert Judge.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": "no name"}, "name", "valid"),
        ({"model": ""}, "model", "blank"),
        ({"base_url": ""}, "base_url", "expected the address"),
        ({"base_url": "nowhere"}, "base_url", "expected http(s)://HOST/v1"),
        ({"base_url": "ftp://example.org/v1"}, "base_url", "expected http(s)://HOST/v1"),
        ({"base_url": "https://me:secret@example.org/v1"}, "base_url", "an address alone"),
        ({"base_url": "https://example.org/v1?key=secret"}, "base_url", "an address alone"),
        ({"key_name": "SECRET_KEY"}, "key_name", "expected JUDGE_KEY_"),
        ({"key_name": "sk-a-real-key"}, "key_name", "expected JUDGE_KEY_"),
        ({"provider": "local"}, "base_url", "neither an address nor a key"),
        ({"provider": "magic"}, "provider", "not a valid choice"),
        ({"template": {"user": 5, "x": []}}, "template", "Not a valid string"),
        ({"template": {"\0": "x"}}, "template", "parts of the prompt"),
        ({"template": []}, "template", "Expected a dictionary"),
        ({"price_in": -1}, "price_in", "greater than or equal to 0"),
        ({"price_in": "NaN"}, "price_in", "number"),
        ({"spend_limit": "1e20"}, "spend_limit", "digits"),
        ({"workers": 65}, "workers", "less than or equal to 64"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(
    script: Script, campaign: Campaign, change: dict[str, Any], field: str, words: str
) -> None:
    where = f"campaigns/{campaign.slug}/judges/"
    said = refused(script.post(where, NEW | change), 400, words)
    assert set(said["errors"]) == {field}
    assert not Judge.objects.exists()
    add(campaign)
    if field != "name":
        refused(script.patch(f"judges/{Judge.objects.get().pk}/", change), 400, words)


def test_a_name_is_for_one_judge_and_stays(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    where = f"campaigns/{campaign.slug}/judges/"
    said = refused(script.post(where, NEW), 400, "has a judge 'small-judge' already")
    assert set(said["errors"]) == {"name"}
    refused(script.patch(f"judges/{judge.pk}/", {"name": "other"}), 400, "cannot be changed")
    assert script.patch(f"judges/{judge.pk}/", {"name": judge.name}).status_code == 200


def test_another_judge_takes_the_place_of_the_first(script: Script, campaign: Campaign) -> None:
    first = add(campaign)
    where = f"campaigns/{campaign.slug}/judges/"
    second = script.post(where, NEW | {"name": "other"}).json()
    assert [one["active"] for one in script.get(where).json()] == [False, True]
    assert script.patch(f"judges/{first.pk}/", {"active": True}).json()["active"]
    assert not script.get(f"judges/{second['id']}/").json()["active"]


def test_an_empty_change_forgets_what_was_wrong(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    judges.stop_asking(judge=judge, why="401: the key is wrong")
    said = script.get(f"judges/{judge.pk}/").json()
    assert said["trouble"] == "401: the key is wrong"
    assert said["troubled_at"] is not None
    said = script.patch(f"judges/{judge.pk}/").json()
    assert (said["trouble"], said["troubled_at"]) == ("", None)


@pytest.mark.parametrize("change", [{"spend_limit": "5"}, {"active": False}], ids=str)
def test_what_waits_for_a_decision_is_seen_to(
    script: Script, ruth: User, change: dict[str, Any]
) -> None:
    campaign = make_campaign()
    add_member(campaign=campaign, user=ruth, role="owner")
    judge = add(campaign)
    ask(campaign, arm="policy")
    Job.objects.all().delete()  # a message that was lost with its row
    assert not Slot.objects.exists()
    assert script.patch(f"judges/{judge.pk}/", change).status_code == 200
    asked = Job.objects.filter(kind="judge").exists()
    assert (asked, Slot.objects.count()) == ((False, 6) if "active" in change else (True, 0))


# --- who may --------------------------------------------------------------------------------


def test_viewers_read_judges_and_steer_nothing(campaign: Campaign, viewer: Script) -> None:
    judge = add(campaign, key_name="JUDGE_KEY_TINY")
    say(judge, first_query())
    where = f"judges/{judge.pk}/"
    for shown in (
        viewer.get(where).json(),
        viewer.get(f"campaigns/{campaign.slug}/judges/").json()[0],
    ):
        assert (shown["name"], shown["key_name"]) == ("small-judge", None)
    assert viewer.get(f"{where}judgements/").json()["results"][0]["calls"] is None
    refused(viewer.get(f"{where}judgements/?calls=true"), 403, "owners and researchers")
    refused(viewer.post(f"campaigns/{campaign.slug}/judges/", NEW | {"name": "x"}), 404)
    refused(viewer.patch(where, {"active": False}), 404)
    assert Judge.objects.get().active


def test_judges_of_other_campaigns_are_not_there(campaign: Campaign, ada: User, sam: User) -> None:
    judge = add(campaign)
    other = make_campaign("sea", prompts=1)
    add_member(campaign=other, user=sam, role="owner")
    for person in (ada, sam):  # an annotator, and the owner of another campaign
        script = Script(person)
        for path in ("", "judgements/", "report/"):
            refused(script.get(f"judges/{judge.pk}/{path}"), 404, "no such judge")
        refused(script.get(f"campaigns/{campaign.slug}/judges/"), 404)
        refused(script.post(f"campaigns/{campaign.slug}/judges/", NEW), 404)
        refused(script.patch(f"judges/{judge.pk}/", {"active": False}), 404)
    assert Judge.objects.get().active


def test_a_key_is_in_no_answer(
    script: Script, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY_TINY", "sk-a-very-secret-key")
    made = script.post(f"campaigns/{campaign.slug}/judges/", NEW)
    where = made["Location"].removeprefix("/api/")
    say(Judge.objects.get(), first_query())
    said = [made, script.get(where), script.get(f"{where}judgements/?calls=true")]
    assert all("very-secret" not in answer.content.decode() for answer in said)


# --- what they said -------------------------------------------------------------------------


def test_what_a_judge_said_is_read_with_what_it_cost(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    one, two = Query.objects.order_by("pk")[:2]
    made, failed = say(judge, one), say(judge, two, error="malformed")
    second, first = script.get(f"judges/{judge.pk}/judgements/").json()["results"]
    assert (first["id"], first["query"], first["annotation"]) == (
        made.pk,
        one.pk,
        made.annotation_id,
    )
    assert (first["outcome"], first["p"], first["order"]) == ("preference", 0.9, made.order)
    assert (first["money"], first["tokens_in"], first["tokens_out"]) == ("0.0024", 2000, 200)
    assert (second["id"], second["outcome"], second["p"]) == (failed.pk, None, None)
    assert (second["error"], second["told"], second["calls"]) == ("malformed", "no verdict", None)
    stands = script.get(f"judges/{judge.pk}/").json()
    assert (stands["asked"], stands["failed"], stands["spent"]) == (2, 1, "0.0048")


def test_prompts_and_replies_come_only_when_asked_for(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    say(judge, first_query())
    where = f"judges/{judge.pk}/judgements/"
    assert SECRET_PROMPT not in script.get(where).content.decode()
    (said,) = script.get(f"{where}?calls=true").json()["results"]
    straight, turned = said["calls"]
    assert straight["order"] == turned["order"][::-1] == said["order"]
    assert straight["messages"][0] == {"role": "system", "content": SECRET_PROMPT}
    assert (straight["reply"], straight["money"]) == (SECRET_REPLY, "0.0012")


def test_judgements_are_filtered_and_paged(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    asked = list(Query.objects.order_by("pk"))
    for number, query in enumerate(asked):
        say(judge, query, error="" if number % 2 else "refused")
    where = f"judges/{judge.pk}/judgements/"

    def count(query: str) -> int:
        return len(script.get(f"{where}?{query}").json()["results"])

    assert (count("error=refused"), count(f"query={asked[0].pk}"), count("inconsistent=true")) == (
        *(3, 1, 0),
    )
    refused(script.get(f"{where}?verdict=a"), 400, "not a filter")
    page = script.get(f"{where}?page_size=4").json()
    rest = script.get(page["next"].partition("/api/")[2]).json()
    assert [one["query"] for one in page["results"] + rest["results"]] == [
        query.pk for query in reversed(asked)
    ]


def test_reading_costs_the_same_however_much_was_said(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    asked = list(Query.objects.order_by("pk"))
    where = f"judges/{judge.pk}/judgements/?calls=true"
    say(judge, asked[0])
    few = queries(lambda: script.get(where))
    for query in asked[1:]:
        say(judge, query)
    assert len(many := queries(lambda: script.get(where))) == len(few) <= 6, many
    assert len(run := queries(lambda: script.get(f"judges/{judge.pk}/"))) <= 4, run
    listed = f"campaigns/{campaign.slug}/judges/"
    add(campaign, "other")
    assert len(run := queries(lambda: script.get(listed))) <= 5, run


def test_the_newest_report_is_read_and_none_is_told(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    where = f"judges/{judge.pk}/report/"
    refused(script.get(where), 404, "no report yet")
    judges.record_report(judge=judge, audited=20, figures={"agreement": 0.7})
    judges.record_report(judge=judge, audited=60, figures={"agreement": 0.8})
    said = script.get(where).json()
    assert (said["audited"], said["figures"]) == (60, {"agreement": 0.8})
    assert JudgeReport.objects.count() == 2


# --- routes ---------------------------------------------------------------------------------


def test_a_question_says_who_was_to_answer_it_and_why(script: Script, campaign: Campaign) -> None:
    judge = add(campaign)
    one, two, three = Query.objects.order_by("pk")[:3]
    route(judge, one, audit=True, reason="audit")
    route(judge, two, "judge")
    base = f"campaigns/{campaign.slug}/queries/"
    said = script.get(f"{base}{one.pk}/").json()["route"]
    assert said.pop("created_at")
    assert said == {
        "to": "human",
        "reason": "audit",
        "policy": "learned",
        "judge": "small-judge",
        "audit": True,
        "error": 0.3,
        "value": 0.02,
        "propensity": 0.6,
        "seconds": 21.0,
    }
    assert script.get(f"{base}{three.pk}/").json()["route"] is None

    def ids(query: str) -> list[int]:
        return [row["id"] for row in script.get(f"{base}?{query}").json()["results"]]

    assert (ids("to=judge"), ids("reason=audit")) == ([two.pk], [one.pk])
    refused(script.get(f"{base}?to=nobody-else"), 400, "not a valid choice")
    assert len(run := queries(lambda: script.get(base))) <= 5, run


# --- the campaign's settings ----------------------------------------------------------------


def test_routing_is_set_like_choosing(script: Script, campaign: Campaign) -> None:
    where = f"campaigns/{campaign.slug}/"
    said = script.get(where).json()
    assert (said["routing"], said["routing_config"]) == ("learned", {})
    assert (said["human_share"], said["human_minutes"], said["people_only"]) == (0.5, None, [])
    change = {
        "routing": "guaranteed",
        "routing_config": {"alpha": 0.1, "pilot": 100},
        "human_share": 0.3,
        "human_minutes": 90,
        "people_only": ["safety"],
    }
    said = script.patch(where, change).json()
    assert {key: said[key] for key in change} == change | {"routing_config": {"alpha": 0.1}}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"routing": "magic"}, "routing", "expected one of"),
        ({"routing_config": {"alpha": 0.1}}, "routing_config", "learned has no option 'alpha'"),
        ({"routing_config": {"audit": 0}}, "routing_config", "must be at least 0.15"),
        ({"routing_config": []}, "routing_config", "expected options by name"),
        ({"human_share": 1.5}, "human_share", "less than or equal to 1"),
        ({"human_share": "nan"}, "human_share", "number"),
        ({"human_minutes": -1}, "human_minutes", "greater than or equal to 0"),
        ({"human_minutes": "inf"}, "human_minutes", "number"),
        ({"people_only": ["x" * 101]}, "people_only", "no more than 100"),
    ],
)
def test_routing_that_cannot_be_is_refused_at_its_field(
    script: Script, campaign: Campaign, change: dict[str, Any], field: str, words: str
) -> None:
    said = refused(script.patch(f"campaigns/{campaign.slug}/", change), 400, words)
    assert set(said["errors"]) == {field}, json.dumps(said)
