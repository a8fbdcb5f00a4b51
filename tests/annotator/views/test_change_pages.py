"""Changing an answer: the question once more, filled in, and what becomes of it."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator import dispatch
from annotator.models import Annotation, Campaign, Slot
from annotator.services.corrections import key_after
from tests.annotator.acts import answer, lease
from tests.annotator.views.pages import HTMX, html, queries

SECRETS = ("model-one", "model-two", "propensity", "random", "policy", "holdout", "gold", "arm")


@pytest.fixture
def said(campaign: Campaign, ada: User) -> Annotation:
    return answer(lease(campaign, ada), ada, "a2", rationale="first thought")


def send(client: Client, said: Annotation, verdict: str = "b3", **more: Any) -> Any:
    """Send the correction as its page does."""
    headers = {key: more.pop(key) for key in list(more) if key.startswith("HTTP_")}
    fields = {
        "choice": "submit",
        "verdict": verdict,
        "submission_key": str(key_after(said)),
        **more,
    }
    return client.post(f"/a/{said.assignment_id}/change/", fields, **headers)


def test_the_page_shows_the_same_sides_filled_in(said: Annotation, as_ada: Client) -> None:
    page = as_ada.get(f"/a/{said.assignment_id}/change/")
    assert page.context["w"].sight.shown.order == tuple(said.display_order)
    text = html(page)
    assert re.search(r'name="verdict" value="a2"[^>]* checked', text)
    assert "first thought" in text
    assert "Save the correction" in text
    assert "You answered: <strong>A better than B, clearly</strong>" in text
    for absent in ('value="skip"', 'value="flag"', 'id="undo"', "data-draft-url", "data-ahead"):
        assert absent not in text
    assert [word for word in SECRETS if re.search(rf"\b{word}\b", text)] == []


def test_a_correction_is_stored_and_leads_to_the_list(
    campaign: Campaign, said: Annotation, as_ada: Client
) -> None:
    reply = send(as_ada, said, rationale="second thought")
    assert (reply.status_code, reply["Location"]) == (302, f"/c/{campaign.slug}/mine/")
    assert Slot.objects.get(annotation__isnull=False).annotation.supersedes == said
    page = html(as_ada.get(reply["Location"]))
    assert "The correction is saved." in page
    assert ">corrected<" in page
    assert "first thought" in page


def test_the_outbox_is_led_there_only_from_the_page_itself(
    campaign: Campaign, said: Annotation, as_ada: Client
) -> None:
    reply = send(as_ada, said, **HTMX)
    assert (reply.status_code, reply["HX-Redirect"]) == (204, f"/c/{campaign.slug}/mine/")
    elsewhere = send(as_ada, said, HTTP_X_TIEBREAK_AHEAD=str(uuid4()), **HTMX)
    assert (elsewhere.status_code, elsewhere.has_header("HX-Redirect")) == (204, False)
    assert Annotation.objects.count() == 2


def test_the_same_page_twice_is_stored_once(said: Annotation, as_ada: Client) -> None:
    assert send(as_ada, said).status_code == send(as_ada, said).status_code == 302
    assert Annotation.objects.count() == 2


@pytest.mark.parametrize("headers", [HTMX, {}])
def test_an_outdated_tab_is_told_loses_nothing_and_can_save_again(
    said: Annotation, as_ada: Client, headers: dict[str, str]
) -> None:
    send(as_ada, said, "b3")
    reply = send(as_ada, said, "a1", rationale="my tab", **headers)
    assert reply.status_code == 409
    page = html(reply)
    assert "it now says: B better than A, much" in page
    assert "my tab" in page
    assert re.search(r'name="verdict" value="a1"[^>]* checked', page)
    now = Annotation.objects.get(supersedes=said)
    assert str(key_after(now)) in page
    assert send(as_ada, now, "a1", rationale="my tab").status_code == 302
    assert Annotation.objects.standing().get().rationale == "my tab"


@pytest.mark.parametrize("choice", ["", "a9", "neither of them"])
def test_a_wrong_correction_is_refused_and_the_text_kept(
    said: Annotation, as_ada: Client, choice: str
) -> None:
    reply = send(as_ada, said, choice, rationale="long thoughts", **HTMX)
    assert reply.status_code == 422
    assert "long thoughts" in html(reply)
    assert Annotation.objects.count() == 1


def test_a_forged_skip_is_refused_in_words(said: Annotation, as_ada: Client) -> None:
    reply = send(as_ada, said, choice="skip")
    assert reply.status_code == 422
    assert "not skipped or flagged afterwards" in html(reply)


@pytest.mark.parametrize("key", ["", "x"])
def test_a_missing_key_is_named(said: Annotation, as_ada: Client, key: str) -> None:
    reply = send(as_ada, said, submission_key=key)
    assert reply.status_code == 422
    assert "submission_key" in html(reply)


def test_other_peoples_answers_are_not_found(
    said: Annotation, as_ben: Client, as_ruth: Client, as_sam: Client
) -> None:
    for client in (as_ben, as_ruth, as_sam):
        assert client.get(f"/a/{said.assignment_id}/change/").status_code == 404
        assert send(client, said).status_code == 404
    assert Annotation.objects.count() == 1


def test_an_open_question_is_answered_and_not_corrected(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    reply = as_ada.get(f"/a/{lease(campaign, ada).pk}/change/")
    assert reply.status_code == 409


@pytest.mark.parametrize("method", ["put", "delete"])
def test_a_correction_takes_get_and_post_only(
    said: Annotation, as_ada: Client, method: str
) -> None:
    assert getattr(as_ada, method)(f"/a/{said.assignment_id}/change/").status_code == 405


def test_a_correction_can_make_a_round_due(
    campaign: Campaign, said: Annotation, as_ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    Campaign.objects.update(labels_per_round=2)
    nudged: list[Campaign] = []
    monkeypatch.setattr(dispatch, "nudge", nudged.append)
    send(as_ada, said)
    assert nudged == [campaign]


def test_a_session_that_ran_out_is_asked_to_sign_in(said: Annotation, as_ada: Client) -> None:
    as_ada.logout()
    assert send(as_ada, said, **HTMX).status_code == 401
    assert as_ada.get(f"/a/{said.assignment_id}/change/")["Location"].startswith("/signin/")


@pytest.mark.django_db(transaction=True)
def test_a_correction_costs_at_most_ten_queries_and_its_page_six(
    said: Annotation, as_ada: Client
) -> None:
    where = f"/a/{said.assignment_id}/change/"
    assert len(run := queries(lambda: as_ada.get(where))) <= 6, run
    assert len(run := queries(lambda: send(as_ada, said))) <= 10, run
    assert Annotation.objects.count() == 2
