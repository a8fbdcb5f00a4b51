"""Two tabs with one question: what the second says is neither ignored nor lost."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.models import Annotation, Campaign
from tests.e2e.keyboard import press, question, sign_in
from tests.worker.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def tabs(campaign: Campaign, page: Any, live_server: Any) -> tuple[Any, Any]:
    """Ada at work, in two tabs with the same question."""
    work = f"{live_server.url}/c/{campaign.slug}/"
    page.goto(work)
    sign_in(page, "ada")
    question(page)
    second = page.context.new_page()
    second.goto(work)
    assert question(second) == question(page)
    page.bring_to_front()
    page.wait_for_timeout(400)
    return page, second


def write_reason(page: Any, text: str) -> None:
    page.keyboard.press("r")
    page.keyboard.type(text)
    page.keyboard.press("Escape")


def test_the_same_answer_in_two_tabs_counts_once_and_both_go_on(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    press(first, "2")
    press(second, "2")
    until(lambda: Annotation.objects.count() == 1, seconds=10, what="one answer")
    assert question(second) == question(first)


def test_another_answer_in_a_second_tab_becomes_a_correction(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    press(first, "1")
    second.bring_to_front()
    write_reason(second, "from the second tab")
    second.keyboard.press("4")
    second.wait_for_selector("#errors :text('answered already, perhaps in another tab')")
    assert second.is_checked("input[name=verdict][value=tie]")
    assert second.input_value("#rationale") == "from the second tab"
    assert Annotation.objects.get().outcome == "preference"
    second.wait_for_timeout(250)
    second.keyboard.press("Enter")
    second.wait_for_selector(".badge:text-is('corrected')")
    said = Annotation.objects.standing().get()
    assert (said.outcome, said.rationale) == ("tie", "from the second tab")


def test_what_was_refused_is_there_when_it_is_corrected_later(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    press(first, "1")
    second.bring_to_front()
    write_reason(second, "from the second tab")
    second.keyboard.press("4")
    second.wait_for_selector("#errors")
    second.click("text=Back to the questions")
    assert question(second) == question(first)
    second.wait_for_timeout(250)
    second.keyboard.press("h")
    second.click("text=change it")
    second.wait_for_selector("#question :text('Save the correction')")
    assert second.input_value("#rationale") == "from the second tab"
    assert second.is_checked("input[name=verdict][value=tie]")


def test_what_a_skipped_question_was_told_comes_back_with_it(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    press(first, "s")
    second.bring_to_front()
    write_reason(second, "from the second tab")
    second.keyboard.press("4")
    second.wait_for_selector("#notice :text('and not like this')")
    second.reload()
    second.wait_for_timeout(250)
    asked = question(second)
    second.keyboard.press("z")
    second.wait_for_function(
        "asked => document.querySelector('#question').dataset.answer !== asked", arg=asked
    )
    assert second.input_value("#rationale") == "from the second tab"


def test_without_a_connection_both_tabs_keep_what_they_say(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    first.context.route("**/ahead/", lambda route: route.abort())
    first.context.route("**/answer/", lambda route: route.abort())
    first.reload()
    second.reload()
    first.wait_for_timeout(300)
    second.wait_for_timeout(300)
    first.keyboard.press("1")
    first.wait_for_selector("#question[aria-busy]")
    second.keyboard.press("4")
    second.wait_for_selector("#question[aria-busy]")
    second.wait_for_selector("#notice button:text('Try now')")
    first.context.unroute("**/answer/")  # either tab may be the one that sends both
    until(lambda: any(tab.is_visible("#errors") for tab in tabs), seconds=30, what="the refusal")
    told, other = sorted(tabs, key=lambda tab: not tab.is_visible("#errors"))
    assert "answered already" in told.inner_text("#errors")
    assert told.is_checked("input[name=verdict][value=tie]")
    said = Annotation.objects.get()
    assert said.outcome == "preference"
    other.wait_for_function(  # nothing is left to be sent: it goes on with what is next
        "said => document.querySelector('#question')?.dataset.answer !== said",
        arg=str(said.assignment_id),
    )
    assert other.is_enabled("#question button[name=choice] >> nth=0")


def test_a_tab_that_waited_goes_on_when_another_has_sent_its_answer(tabs: tuple[Any, Any]) -> None:
    first, second = tabs
    first.context.set_offline(True)
    first.keyboard.press("2")
    first.wait_for_selector("#notice :text('Not sent yet')")
    first.route("**/answer/", lambda route: route.abort())  # this tab alone has no luck
    first.context.set_offline(False)
    second.bring_to_front()
    second.evaluate("() => dispatchEvent(new Event('online'))")
    until(lambda: Annotation.objects.count() == 1, seconds=30, what="the answer")
    first.bring_to_front()
    first.wait_for_selector("#notice :text('Not sent yet')", state="detached", timeout=40_000)
    assert question(first) != str(Annotation.objects.get().assignment_id)
