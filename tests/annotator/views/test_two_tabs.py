"""Two tabs with one question and one key: the first to answer stands, the second loses nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from annotator.models import Annotation, Assignment, Campaign, Query
from annotator.services.corrections import key_after
from tests.annotator.acts import answer, lease


def two_tabs(client: Client, assignment: Assignment, **second: str) -> Any:
    """What the second of two tabs with the same question is told."""
    page = {"submission_key": str(assignment.submission_key)}
    client.post(f"/a/{assignment.pk}/answer/", {**page, "choice": "a2"})
    headers = {"headers": {"HX-Request": "true"}} if second.pop("script", "") else {}
    return client.post(f"/a/{assignment.pk}/answer/", {**page, **second}, **headers)


@pytest.mark.parametrize("script", ["", "yes"])
def test_a_second_tab_that_says_something_else_is_offered_a_correction(
    campaign: Campaign, ada: User, as_ada: Client, script: str
) -> None:
    sent = {"choice": "tie", "rationale": "second thoughts", "script": script}
    reply = two_tabs(as_ada, lease(campaign, ada), **sent)
    page = reply.content.decode()
    assert (reply.status_code, reply.headers.get("HX-Retarget")) == (409, None)
    assert "answered already, perhaps in another tab; that answer says: A better than B" in page
    assert "second thoughts" in page
    assert re.search(r'name="verdict" value="tie"[^>]* checked', page)
    said = Annotation.objects.get()
    key = {"submission_key": str(key_after(said)), "choice": "submit", "verdict": "tie"}
    assert as_ada.post(f"/a/{said.assignment_id}/change/", key).status_code == 302
    assert Annotation.objects.standing().get().outcome == "tie"


def test_a_second_tab_that_flags_keeps_the_answer_and_what_was_typed(
    campaign: Campaign, ada: User, as_ada: Client
) -> None:
    reply = two_tabs(as_ada, lease(campaign, ada), choice="flag", rationale="odd characters")
    page = reply.content.decode()
    assert reply.status_code == 409
    assert "odd characters" in page
    assert re.search(r'name="verdict" value="a2"[^>]* checked', page)
    assert Annotation.objects.get().outcome == "preference"


@pytest.mark.parametrize("over", ["skipped", "finished", "held", "a test"])
def test_a_second_tab_is_refused_in_words_where_nothing_can_be_corrected(
    campaign: Campaign, ada: User, as_ada: Client, over: str
) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "skip" if over == "skipped" else "a2")
    if over == "finished":
        Campaign.objects.update(state="finished")
    if over == "held":
        Query.objects.update(flagged_at=timezone.now())
    if over == "a test":
        Query.objects.filter(pk=assignment.query_id).update(arm="qualification")
    reply = two_tabs(as_ada, assignment, choice="tie", script="yes")
    assert (reply.status_code, reply["HX-Retarget"]) == (409, "#notice")
    assert "and not like this; the first answer stands" in reply.content.decode()
    assert Annotation.objects.count() == 1
