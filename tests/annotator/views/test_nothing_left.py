"""Nothing is left to ask this person: because others have to answer, or because all is answered."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Annotation, Campaign, Slot
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, make_campaign


def asked_of(*people: User, overlap: int) -> Campaign:
    """Two questions, each for so many people."""
    made = make_campaign(prompts=2, people=people, overlap=overlap)
    ask(made)
    return made


def answer_all(campaign: Campaign, person: User, choice: str = "a2") -> None:
    while assignment := lease(campaign, person):
        answer(assignment, person, choice)


def opened(client: Client, campaign: Campaign, **headers: Any) -> tuple[str, str]:
    """Why nothing is asked, and the page that says so."""
    reply = client.get(f"/c/{campaign.slug}/", **headers)
    assert reply.status_code == 200
    return reply.context["w"].empty.reason, " ".join(reply.content.decode().split())


@pytest.fixture
def waiting(ada: User, ben: User) -> Campaign:
    """Ada has answered both questions, ben none."""
    made = asked_of(ada, ben, overlap=2)
    answer_all(made, ada)
    return made


def test_who_has_answered_before_others_is_told_that_they_wait(
    waiting: Campaign, as_ada: Client
) -> None:
    reason, page = opened(as_ada, waiting)
    assert reason == "others"
    assert "You have answered all that you can for now" in page
    assert "they wait for other people" in page
    assert "You have answered <strong>2</strong> questions" in page
    assert 'hx-trigger="every 15s"' in page  # looks again by itself
    assert 'data-key="z"' in page  # the last answer can be taken back


def test_a_skipped_question_waits_for_others_too(ada: User, as_ada: Client) -> None:
    campaign = asked_of(ada, overlap=1)
    answer_all(campaign, ada, "skip")
    assert opened(as_ada, campaign)[0] == "others"
    assert Slot.objects.filter(state="open").count() == 2


def test_others_who_come_later_are_asked_what_waited(waiting: Campaign, as_ben: Client) -> None:
    assert as_ben.get(f"/c/{waiting.slug}/").context["w"].assignment is not None


def test_when_all_is_answered_the_page_says_so_and_asks_no_more(
    waiting: Campaign, ben: User, as_ada: Client
) -> None:
    answer_all(waiting, ben)
    reason, page = opened(as_ada, waiting)
    assert reason == "done"
    assert "Every question has its answers" in page
    assert "hx-trigger" not in page
    assert '<a class="button primary" href="/">My campaigns</a>' in page


@pytest.mark.parametrize("last", ["others", "done"])
def test_the_last_answer_brings_the_page_at_once(
    ada: User, ben: User, as_ada: Client, last: str
) -> None:
    campaign = asked_of(ada, ben, overlap=2)
    if last == "done":
        answer_all(campaign, ben)
    answer(lease(campaign, ada), ada)
    final = lease(campaign, ada)
    fields = {"choice": "tie", "submission_key": str(final.submission_key)}
    reply = as_ada.post(f"/a/{final.pk}/answer/", fields, headers={"HX-Request": "true"})
    assert f'data-view="empty-{last}"' in reply.content.decode()


@pytest.mark.parametrize("last", ["others", "done"])
def test_the_last_answer_can_be_taken_back_from_there(
    ada: User, ben: User, as_ada: Client, last: str
) -> None:
    campaign = asked_of(ada, ben, overlap=2)
    answer_all(campaign, ada)
    if last == "done":
        answer_all(campaign, ben)
    assert opened(as_ada, campaign)[0] == last
    reply = as_ada.post(f"/c/{campaign.slug}/undo/", headers={"HX-Request": "true"})
    assert reply.context["w"].assignment is not None
    assert Annotation.objects.filter(outcome="undone").count() == 1
