"""Annotating over REST: lease, answer, renew, release, take back."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from jsonschema import Draft202012Validator

from annotator.models import Annotation, Assignment, Campaign, Slot
from annotator.services.campaigns import add_member, publish_guidelines, set_state
from tests.annotator.acts import expire
from tests.annotator.api.scripts import Script, refused
from tests.annotator.views.pages import queries
from tests.campaigns import ask, item, make_campaign


@pytest.fixture
def script(ada: User) -> Script:
    return Script(ada)


def lease(script: Script, campaign: Campaign) -> Any:
    leased = script.post(f"campaigns/{campaign.slug}/next/")
    assert leased.status_code == 200, leased.content
    return leased.json()


def put(script: Script, leased: Any, body: Any, *, key: str | None = None) -> Any:
    where = f"assignments/{leased['id']}/annotation/"
    return script.put(where, body, **{"Idempotency-Key": key or leased["submission_key"]})


def test_a_question_is_leased_and_answered(campaign: Campaign, script: Script) -> None:
    leased = lease(script, campaign)
    assert [one["letter"] for one in leased["responses"]] == ["A", "B"]
    assert leased["prompt"].startswith("Question")
    assert [form["name"] for form in leased["forms"]] == ["compare", "rationale"]
    said = put(script, leased, {"choice": "a2", "rationale": "shorter", "active_ms": 1500})
    assert said.status_code == 200
    assert said.json()["outcome"] == "preference"
    stored = Annotation.objects.get()
    first, second = Assignment.objects.get(pk=leased["id"]).display_order
    assert (stored.via, stored.tiers) == ("api", [[first], [second]])
    assert (stored.rationale, stored.active_ms) == ("shorter", 1500)
    assert lease(script, campaign)["id"] != leased["id"]


def test_asking_again_gives_the_same_question(campaign: Campaign, script: Script) -> None:
    first = lease(script, campaign)
    assert lease(script, campaign)["id"] == first["id"]
    ahead = script.post(f"campaigns/{campaign.slug}/next/", {"after": first["id"]}).json()
    assert ahead["id"] != first["id"]
    assert lease(script, campaign)["id"] == first["id"]


def test_nothing_tells_why_a_question_was_asked_or_who_wrote_what(
    campaign: Campaign, script: Script
) -> None:
    said = str(lease(script, campaign))
    for word in ("arm", "policy", "holdout", "model-one", "model-two", "score", "propensity"):
        assert word not in said


def test_the_same_answer_twice_is_one_annotation(campaign: Campaign, script: Script) -> None:
    leased = lease(script, campaign)
    first = put(script, leased, {"choice": "b1"}).json()
    assert put(script, leased, {"choice": "b1"}).json() == first
    assert Annotation.objects.count() == 1
    refused(put(script, leased, {"choice": "a1"}), 409, "answered already")
    refused(put(script, leased, {"choice": "b1"}, key=str(uuid.uuid4())), 409)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Choose one of the buttons first"),
        ({"choice": "c9"}, 400, "is not one of the answers"),
        ({"choice": {"deep": 1}}, 400, "expected text, a number"),
        ({"choice": "a1", "tags": [{}]}, 400, "list of texts"),
        ({"choice": "a1", "active_ms": -4}, 400, "active_ms"),
        ({"choice": "flag"}, 400, "what is wrong"),
        (["a1"], 400, "expected an object"),
    ],
)
def test_a_bad_answer_is_refused_and_the_question_stays_open(
    campaign: Campaign, script: Script, body: Any, status: int, words: str
) -> None:
    leased = lease(script, campaign)
    refused(put(script, leased, body), status, words)
    assert not Annotation.objects.exists()
    assert put(script, leased, {"choice": "tie"}).status_code == 200


def test_an_answer_needs_the_key_of_its_question(campaign: Campaign, script: Script) -> None:
    leased = lease(script, campaign)
    where = f"assignments/{leased['id']}/annotation/"
    refused(script.put(where, {"choice": "a1"}), 400, "submission_key")
    refused(script.put(where, {"choice": "a1"}, **{"Idempotency-Key": "x"}), 400, "a UUID")


def test_the_question_says_in_json_schema_what_an_answer_may_be(
    campaign: Campaign, script: Script
) -> None:
    schema = lease(script, campaign)["answer"]
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema).is_valid
    assert check({"verdict": "a2", "rationale": "yes"})
    assert check({"choice": "skip"})
    assert not check({"verdict": "z9"})
    assert not check({})


def test_a_lease_is_renewed_and_released(campaign: Campaign, ben: User, script: Script) -> None:
    leased = lease(script, campaign)
    expire(Assignment.objects.get(pk=leased["id"]))
    renewed = script.post(f"assignments/{leased['id']}/lease/")
    assert renewed.json()["lease_until"] > leased["lease_until"]
    assert script.delete(f"assignments/{leased['id']}/lease/").status_code == 204
    slot = Slot.objects.get(assignments=leased["id"])
    assert (slot.state, slot.holder) == ("open", None)
    taken = lease(Script(ben), campaign)
    assert Assignment.objects.get(pk=taken["id"]).slot_id == slot.pk
    refused(script.post(f"assignments/{leased['id']}/lease/"), 409, "somebody else")
    assert lease(script, campaign)["id"] != leased["id"]


def test_what_was_answered_has_no_lease_to_renew(campaign: Campaign, script: Script) -> None:
    leased = lease(script, campaign)
    put(script, leased, {"choice": "skip"})
    refused(script.post(f"assignments/{leased['id']}/lease/"), 409, "answered already")
    assert Slot.objects.get(assignments=leased["id"]).state == "open"


def test_the_last_answer_is_taken_back_and_given_again(campaign: Campaign, script: Script) -> None:
    leased = lease(script, campaign)
    put(script, leased, {"choice": "a1"})
    again = script.post(f"campaigns/{campaign.slug}/undo/").json()
    assert again["id"] == leased["id"]
    assert again["submission_key"] != leased["submission_key"]
    assert put(script, again, {"choice": "b1"}).status_code == 200
    outcomes = Annotation.objects.order_by("pk").values_list("outcome", flat=True)
    assert list(outcomes) == ["preference", "undone", "preference"]


def reason(script: Script, campaign: Campaign) -> str:
    none = script.post(f"campaigns/{campaign.slug}/next/")
    assert none.status_code == 204
    return str(none["X-Tiebreak-Reason"])


def test_where_there_is_no_question_a_header_says_why(ada: User, script: Script) -> None:
    """A first visit, too, needs no page."""
    made = make_campaign(guidelines="Read me.")
    add_member(campaign=made, user=ada)
    ask(made)
    assert reason(script, made) == "guidelines"
    refused(script.put(f"campaigns/{made.slug}/guidelines/99/read/"), 404)
    assert script.put(f"campaigns/{made.slug}/guidelines/1/read/").status_code == 204
    lease(script, made)
    publish_guidelines(campaign=made, text="Read me again.")
    assert reason(script, made) == "guidelines"
    set_state(campaign=made, state="paused")
    assert script.put(f"campaigns/{made.slug}/guidelines/2/read/").status_code == 204
    assert reason(script, made) == "paused"


def test_an_edit_and_tags_arrive_as_they_would_from_the_page(ada: User, script: Script) -> None:
    rows = [item(n, responses=[{"text": f"one {n}"}], task="edit") for n in range(4)]
    made = make_campaign(slug="edits", people=(ada,), form="edit", rows=rows)
    ask(made)
    leased = lease(script, made)
    body = {"edit_text": "better", "edit_reasons": [], "tags": []}
    assert put(script, leased, body).status_code == 200
    assert Annotation.objects.get().tiers is not None


def test_strangers_and_other_people_see_nothing(
    campaign: Campaign, sam: User, ben: User, script: Script
) -> None:
    leased = lease(script, campaign)
    for other in (Script(sam), Script(ben)):
        for call in (
            other.get(f"assignments/{leased['id']}/"),
            put(other, leased, {"choice": "a1"}),
            other.post(f"assignments/{leased['id']}/lease/"),
            other.delete(f"assignments/{leased['id']}/lease/"),
        ):
            refused(call, 404)
    for path in ("next", "undo"):
        refused(Script(sam).post(f"campaigns/{campaign.slug}/{path}/"), 404)


def test_leasing_and_answering_cost_what_the_pages_may(campaign: Campaign, script: Script) -> None:
    lease(script, campaign)
    answered = lease(script, campaign)
    assert len(run := queries(lambda: put(script, answered, {"choice": "a1"}))) <= 12, run
    assert len(run := queries(lambda: lease(script, campaign))) <= 8, run
