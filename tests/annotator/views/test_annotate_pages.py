"""The annotator's pages: what is shown, what is accepted, what it costs, what is refused."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator import dispatch
from annotator.models import Annotation, Annotator, Assignment, Campaign, Response
from annotator.services.campaigns import publish_guidelines, set_state
from tests.annotator.acts import answer, expire, lease
from tests.annotator.views.pages import HTMX, queries


def press(client: Client, assignment: Assignment, choice: str = "a2", **more: Any) -> Any:
    """Send an answer as the page does."""
    headers = {key: more.pop(key) for key in list(more) if key.startswith("HTTP_")}
    fields = {"choice": choice, "submission_key": str(assignment.submission_key), **more}
    return client.post(f"/a/{assignment.pk}/answer/", fields, **headers)


# --- it works ---------------------------------------------------------------------------


def test_the_page_shows_prompt_and_responses_and_no_name_of_a_model(
    campaign: Campaign, as_ada: Client
) -> None:
    page = as_ada.get(f"/c/{campaign.slug}/")
    html = page.content.decode()
    assert "why is the sky blue?" in html
    assert "<em>scattering</em>" in html
    assert "model-one" not in html
    assert "model-two" not in html
    for word in ("propensity", "random", "policy", "holdout", "acquisition"):
        assert word not in html


def test_an_answer_brings_the_next_question_in_the_same_response(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    first = lease(campaign, ada)
    reply = press(as_ada, first, **HTMX)
    assert reply.status_code == 200
    second = lease(campaign, ada)
    assert second != first
    assert str(second.pk) in reply.content.decode()


def test_without_javascript_an_answer_redirects_to_the_next_question(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    reply = press(as_ada, lease(campaign, ada))
    assert (reply.status_code, reply["Location"]) == (302, f"/c/{campaign.slug}/")


def test_timings_and_rationale_are_stored(campaign: Campaign, ada: User, as_ada: Client) -> None:
    fields = {"rationale": "Because.", "first_action_ms": "900", "active_ms": "4200"}
    press(as_ada, lease(campaign, ada), **fields)
    said = Annotation.objects.get()
    assert (said.rationale, said.first_action_ms, said.active_ms) == ("Because.", 900, 4200)


def test_a_draft_survives_a_reload(campaign: Campaign, ada: User, as_ada: Client) -> None:
    assignment = lease(campaign, ada)
    saved = as_ada.post(f"/a/{assignment.pk}/draft/", {"rationale": "half a thou"})
    assert saved.json() == {"saved": True}
    assert "half a thou" in as_ada.get(f"/c/{campaign.slug}/").content.decode()


def test_a_draft_with_a_nul_character_is_kept_without_it(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assignment = lease(campaign, ada)
    saved = as_ada.post(f"/a/{assignment.pk}/draft/", {"rationale": "a\0b"})
    assert saved.json() == {"saved": True}
    assignment.refresh_from_db()
    assert assignment.draft == {"rationale": "ab"}


def test_undo_shows_the_same_question_again(campaign: Campaign, ada: User, as_ada: Client) -> None:
    assignment = lease(campaign, ada)
    press(as_ada, assignment)
    reply = as_ada.post(f"/c/{campaign.slug}/undo/", **HTMX)
    assert str(assignment.pk) in reply.content.decode()


# --- guidelines ---------------------------------------------------------------------------


def test_guidelines_come_first_and_again_when_they_change(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    Annotator.objects.update(guidelines_read=0)
    publish_guidelines(campaign=campaign, text="Be *fair*.")
    where = f"/c/{campaign.slug}/"
    assert as_ada.get(where)["Location"] == f"{where}guidelines/"
    assert "<em>fair</em>" in as_ada.get(f"{where}guidelines/").content.decode()
    as_ada.post(f"{where}guidelines/", {"version": "1"})
    assert as_ada.get(where).status_code == 200
    assert lease(campaign, ada).guidelines_version == 1
    publish_guidelines(campaign=campaign, text="Be fair and quick.")
    assert as_ada.get(where)["Location"] == f"{where}guidelines/"


def test_guidelines_that_changed_meanwhile_are_read_again(
    campaign: Campaign, as_ada: Client
) -> None:
    Annotator.objects.update(guidelines_read=0)
    for text in ("one", "two"):
        publish_guidelines(campaign=campaign, text=text)
    as_ada.post(f"/c/{campaign.slug}/guidelines/", {"version": "1"})  # the page showed version 1
    assert as_ada.get(f"/c/{campaign.slug}/")["Location"].endswith("guidelines/")


@pytest.mark.parametrize("version", ["", "x", "99", "-1", "²", "1" * 400])
def test_a_forged_version_is_refused(campaign: Campaign, as_ada: Client, version: str) -> None:
    publish_guidelines(campaign=campaign, text="one")
    reply = as_ada.post(f"/c/{campaign.slug}/guidelines/", {"version": version})
    assert reply.status_code == 422


# --- an empty queue says why --------------------------------------------------------------


def why(client: Client, campaign: Campaign) -> str:
    page = client.get(f"/c/{campaign.slug}/")
    assert page.status_code == 200
    return str(page.context["w"].empty.reason)


def test_paused_finished_done_leased_and_preparing_are_told_apart(
    campaign: Campaign, ada: User, ben: User, as_ada: Client, as_ben: Client
) -> None:
    for _ in range(5):
        answer(lease(campaign, ada), ada)
    last = lease(campaign, ada)
    assert why(as_ben, campaign) == "leased"
    until = f'datetime="{last.lease_until:%Y-%m-%dT%H:%M}'
    assert until in as_ben.get(f"/c/{campaign.slug}/").content.decode()
    set_state(campaign=campaign, state="paused")
    assert why(as_ada, campaign) == "paused"
    set_state(campaign=campaign, state="running")
    answer(last, ada)
    assert why(as_ben, campaign) == "done"
    set_state(campaign=campaign, state="finished")
    assert why(as_ada, campaign) == "finished"


# --- what it costs --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_next_costs_at_most_eight_queries(campaign: Campaign, as_ada: Client) -> None:
    run = queries(lambda: as_ada.get(f"/c/{campaign.slug}/"))
    assert len(run) <= 8, run


@pytest.mark.django_db(transaction=True)
def test_submit_with_the_next_question_costs_at_most_twelve_queries(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assignment = lease(campaign, ada)
    run = queries(lambda: press(as_ada, assignment, **HTMX))
    assert Annotation.objects.count() == 1
    assert len(run) <= 12, run


@pytest.mark.django_db(transaction=True)
def test_an_answer_that_makes_a_round_due_costs_no_more(
    campaign: Campaign, ada: User, as_ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    Campaign.objects.update(labels_per_round=1)
    nudged: list[Campaign] = []
    monkeypatch.setattr(dispatch, "nudge", nudged.append)
    assignment = lease(campaign, ada)
    run = queries(lambda: press(as_ada, assignment, **HTMX))
    assert nudged == [campaign]
    assert len(run) <= 12, run


@pytest.mark.django_db(transaction=True)
def test_a_question_leased_ahead_is_within_the_budgets_and_not_sent_twice(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    first = lease(campaign, ada)
    pages: list[Any] = []
    url = f"/c/{campaign.slug}/ahead/"
    run = queries(lambda: pages.append(as_ada.post(url, {"after": str(first.pk)}, **HTMX)))
    assert len(run) <= 8, run
    ahead = Assignment.objects.get(ahead=True)
    assert f'data-answer="{ahead.pk}"' in pages[0].content.decode()
    headers = {**HTMX, "HTTP_X_TIEBREAK_AHEAD": str(ahead.pk)}
    run = queries(lambda: pages.append(press(as_ada, first, **headers)))
    assert len(run) <= 12, run
    assert (pages[1].status_code, pages[1].content) == (204, b"")


def test_ahead_of_what_is_asked_by_id_only(
    campaign: Campaign, as_ada: Client, as_sam: Client
) -> None:
    url = f"/c/{campaign.slug}/ahead/"
    assert as_ada.get(url).status_code == 405
    assert as_ada.post(url, {"after": "the next one"}, **HTMX).status_code == 422
    assert as_sam.post(url, {"after": str(uuid.uuid4())}, **HTMX).status_code == 404


# --- bad input: a clear answer, and nothing is lost -----------------------------------------


@pytest.mark.parametrize("choice", ["", "a9", "A is better", "a3'; DROP TABLE"])
def test_a_choice_outside_the_scale_is_refused_and_the_text_kept(
    campaign: Campaign, ada: User, as_ada: Client, choice: str
) -> None:
    reply = press(as_ada, lease(campaign, ada), choice, rationale="my long thoughts", **HTMX)
    assert reply.status_code == 422
    assert "my long thoughts" in reply.content.decode()
    assert not Annotation.objects.exists()


def test_negative_times_are_refused(campaign: Campaign, ada: User, as_ada: Client) -> None:
    assert press(as_ada, lease(campaign, ada), active_ms="-5").status_code == 422


def test_a_forged_assignment_is_not_found(campaign: Campaign, ada: User, as_ada: Client) -> None:
    forged = lease(campaign, ada)
    forged.pk = uuid.uuid4()
    assert press(as_ada, forged).status_code == 404


def test_somebody_elses_assignment_is_not_found(
    campaign: Campaign, ada: User, as_ben: Client
) -> None:
    assert press(as_ben, lease(campaign, ada)).status_code == 404
    assert not Annotation.objects.exists()


def test_a_missing_key_is_named(campaign: Campaign, ada: User, as_ada: Client) -> None:
    assignment = lease(campaign, ada)
    reply = as_ada.post(f"/a/{assignment.pk}/answer/", {"choice": "a1"})
    assert reply.status_code == 422
    assert "submission_key" in reply.content.decode()


def test_the_same_answer_twice_is_stored_once(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assignment = lease(campaign, ada)
    assert press(as_ada, assignment).status_code == press(as_ada, assignment).status_code == 302
    assert Annotation.objects.count() == 1


def test_a_second_tab_with_another_key_is_told(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assignment = lease(campaign, ada)
    press(as_ada, assignment)
    assignment.submission_key = uuid.uuid4()
    reply = press(as_ada, assignment)
    assert reply.status_code == 409
    assert "your first answer stands" in reply.content.decode()


def test_an_answer_after_the_lease_is_kept(campaign: Campaign, ada: User, as_ada: Client) -> None:
    assert press(as_ada, expire(lease(campaign, ada))).status_code == 302
    assert Annotation.objects.get().late


def test_an_expired_session_is_asked_to_sign_in_and_the_answer_then_goes_through(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    assignment = lease(campaign, ada)
    as_ada.logout()
    reply = press(as_ada, assignment, **HTMX)
    assert reply.status_code == 401
    assert reply["HX-Retarget"] == "#notice"
    wrong = as_ada.post("/signin/here/", {"username": "ada", "password": "no"}, **HTMX)
    assert wrong.status_code == 422
    signed = as_ada.post("/signin/here/", {"username": "ada", "password": "ada"}, **HTMX)
    assert signed["HX-Trigger"] == "signed-in"
    assert press(as_ada, assignment, **HTMX).status_code == 200
    assert Annotation.objects.count() == 1


def test_an_expired_session_without_javascript_leads_to_the_sign_in_page(
    campaign: Campaign, ada: User
) -> None:
    reply = press(Client(), lease(campaign, ada))
    assert reply.status_code == 302
    assert reply["Location"].startswith("/signin/?next=")


def test_a_stranger_sees_nothing_of_the_campaign(campaign: Campaign, as_sam: Client) -> None:
    for where in ("", "guidelines/", "progress/"):
        assert as_sam.get(f"/c/{campaign.slug}/{where}").status_code == 404
    assert f"/c/{campaign.slug}/" not in as_sam.get("/").content.decode()


def test_an_unknown_campaign_is_not_found(as_ada: Client) -> None:
    assert as_ada.get("/c/nowhere/").status_code == 404


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_answering_takes_post_only(
    campaign: Campaign, ada: User, as_ada: Client, method: str
) -> None:
    where = f"/a/{lease(campaign, ada).pk}/answer/"
    assert getattr(as_ada, method)(where).status_code == 405


def test_an_answer_needs_the_csrf_token(campaign: Campaign, ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    assert press(strict, lease(campaign, ada)).status_code == 403
    assert not Annotation.objects.exists()


def test_hostile_text_is_neutralised(campaign: Campaign, ada: User, as_ada: Client) -> None:
    hostile = (
        "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) "
        "![pixel](https://evil.example/p.png)"
    )
    Response.objects.update(text=hostile)
    html = as_ada.get(f"/c/{campaign.slug}/").content.decode()
    assert "<script>alert" not in html
    assert "<img" not in re.sub(r'<img[^>]*src="/static/[^>]*>', "", html)
    assert 'href="javascript' not in html


def test_pages_carry_a_strict_policy(campaign: Campaign, as_ada: Client) -> None:
    policy = as_ada.get(f"/c/{campaign.slug}/")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
