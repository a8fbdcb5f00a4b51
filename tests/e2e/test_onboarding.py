"""Before the first question, by keyboard alone: guidelines, practice, the test; and a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Annotator, Assignment, Campaign
from annotator.services.campaigns import add_member, publish_guidelines
from tests.campaigns import ask, item, known, make_campaign
from tests.e2e.keyboard import arrived, press, question, sign_in, tab_to

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def campaign(ada: User, ruth: User) -> Campaign:
    """Two questions to practise with, a test of two of which both must be as expected, and work."""
    rows = [item(n) for n in range(3)]
    rows += [known(n, "practice", choice=0, explanation="Paint is *not* grass.") for n in (1, 2)]
    rows += [known(n, "qualification") for n in (3, 4)]
    made = make_campaign(rows=rows, qualification_pass=1.0)
    add_member(campaign=made, user=ada)
    add_member(campaign=made, user=ruth, role="owner")
    publish_guidelines(campaign=made, text="Choose what is *true*.")
    ask(made)
    return made


def expected(page: Any) -> str:
    """The key that says what is expected of the question on the page."""
    asked = Assignment.objects.select_related("query").get(pk=question(page))
    best = asked.query.gold_answers.get().tiers[0][0]
    return "2" if asked.display_order[0] == best else "6"


def practise(page: Any, key: str, heading: str) -> None:
    """Answer one practice question, read the explanation, and go on with Enter."""
    question(page)
    page.wait_for_timeout(250)  # a key right after a swap is taken for a slip
    page.keyboard.press(key)
    page.wait_for_selector(f".explained h1:text-is('{heading}')")
    arrived(page)
    assert page.inner_text(".explained .prose em") == "not"
    assert page.evaluate("document.activeElement.tagName") == "H1"  # read aloud first
    page.wait_for_timeout(250)
    page.keyboard.press("Enter")


def begin_test(page: Any) -> None:
    page.wait_for_selector("[data-view=test-begins]")
    tab_to(page, "Start the test")
    page.keyboard.press("Enter")
    page.wait_for_selector(".standing :text('Test question 1 of 2')")


def up_to_the_test(page: Any, site: str, campaign: Campaign) -> None:
    page.goto(f"{site}/c/{campaign.slug}/")
    sign_in(page, "ada")
    page.wait_for_url("**/guidelines/")
    tab_to(page, "I have read this")
    page.keyboard.press("Enter")
    page.wait_for_selector(".standing :text('Practice 1 of 2')")
    practise(page, expected(page), "As expected")
    page.wait_for_selector(".standing :text('Practice 2 of 2')")
    practise(page, "4", "Not as expected")
    begin_test(page)


def test_practice_and_the_test_lead_to_the_first_question(
    campaign: Campaign, page: Any, live_server: Any
) -> None:
    up_to_the_test(page, live_server.url, campaign)
    press(page, expected(page))
    page.wait_for_selector(".standing :text('Test question 2 of 2')")
    page.wait_for_timeout(250)
    page.keyboard.press(expected(page))
    page.wait_for_selector("[data-view=test-passed]")
    assert "2 of 2 as expected" in page.inner_text("main")
    tab_to(page, "To the questions")
    page.keyboard.press("Enter")
    press(page, "2")
    assert [said.query.arm for said in Annotation.objects.labels()] == ["random"]
    assert Annotator.objects.get().qualified_at is not None


def test_who_does_not_pass_is_told_how_it_went_and_whom_to_ask(
    campaign: Campaign, page: Any, live_server: Any
) -> None:
    up_to_the_test(page, live_server.url, campaign)
    press(page, "4")
    page.wait_for_selector(".standing :text('Test question 2 of 2')")
    page.wait_for_timeout(250)
    page.keyboard.press(expected(page))
    page.wait_for_selector("[data-view=test-failed]")
    said = page.inner_text("main")
    assert "You answered 1 of 2 as expected; this campaign asks for 2." in said
    assert "ruth" in said
    page.goto(f"{live_server.url}/c/{campaign.slug}/")
    page.wait_for_selector("[data-view=test-failed]")
    assert not Annotation.objects.labels().exists()


@pytest.mark.parametrize("width", [360, 1280])
def test_these_pages_do_not_scroll_sideways(
    campaign: Campaign, page: Any, live_server: Any, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 740})

    def fits() -> bool:
        return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))

    page.goto(f"{live_server.url}/c/{campaign.slug}/")
    sign_in(page, "ada")
    page.wait_for_url("**/guidelines/")
    tab_to(page, "I have read this")
    page.keyboard.press("Enter")
    question(page)
    assert fits()
    page.wait_for_timeout(250)
    page.keyboard.press("4")
    page.wait_for_selector(".explained")
    assert fits()
    Annotator.objects.update(practised_at="2026-01-01T00:00Z")
    page.goto(f"{live_server.url}/c/{campaign.slug}/qualification/")
    page.wait_for_selector("[data-view=test-begins]")
    assert fits()
