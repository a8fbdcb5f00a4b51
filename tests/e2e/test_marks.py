"""Marked passages: stored in characters of the text, by mouse and by keyboard."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.models import Annotation, Assignment
from tests.e2e.keyboard import press, question
from tests.e2e.shots import shoot
from tests.e2e.texts import MARKING, select

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


TEXT = "A first 👍 sentence.\r\nA *second* one\u200b here. The third."


def stored_marks(page: Any) -> list[dict[str, Any]]:
    press(page, "4")
    said = Annotation.objects.get()
    return list(said.details["rationale"]["highlights"])


def test_marks_are_stored_in_characters_of_the_text(reading: Any) -> None:
    page = reading(TEXT, "other words", form_options=MARKING)
    page.wait_for_selector(".marking #mark")
    page.keyboard.press("p")
    select(page, "second", ".as-written")
    page.select_option("#mark-tag", "unsafe")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    assert "second" in page.inner_text(".marks-list")
    select(page, " here.", ".as-written")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    assert page.evaluate("CSS.highlights.get('marks').size") >= 2
    shoot(page, "marks")
    second, here = stored_marks(page)
    assert TEXT[second["start"] : second["end"]] == "second"
    assert second["tag"] == "unsafe"
    assert TEXT[here["start"] : here["end"]] == "here."


def test_marks_in_formatted_text_are_found_or_asked_for_again(reading: Any) -> None:
    page = reading("Some *very* plain words. Words, words.", "other", form_options=MARKING)
    select(page, "plain words", ".prose")
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    select(page, "ords", ".prose")  # stands there three times
    page.keyboard.press("m")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent.includes('more than once')"
    )
    assert page.get_attribute("#as-written", "aria-pressed") == "true"
    assert page.locator(".marks-list li").count() == 1
    (only,) = stored_marks(page)
    assert (only["start"], only["end"], only["tag"]) == (12, 23, "")


def test_marks_with_the_keyboard_only(reading: Any) -> None:
    page = reading(
        "One sentence. Two sentences.", "One sentence. Two sentences.", form_options=MARKING
    )
    page.focus("[data-sentence='1']")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent === 'A: Two sentences.'"
    )
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li")
    page.focus(".response.side-b .as-written")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(100)
    page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    first, last = stored_marks(page)
    said = Annotation.objects.get()
    assert (first["response"], first["start"], first["end"]) == (said.display_order[0], 14, 28)
    assert (last["response"], last["start"], last["end"]) == (said.display_order[1], 0, 3)


def test_marks_are_drafts_too_and_can_be_removed(reading: Any) -> None:
    page = reading("Some words to mark.", "other", form_options=MARKING)
    for part in ("Some words", "to mark"):
        select(page, part, ".prose")
        page.keyboard.press("m")
    page.wait_for_selector(".marks-list li >> nth=1")
    page.wait_for_timeout(1500)
    assert "Some" not in str(Assignment.objects.get().draft)  # places, not words
    page.reload()
    question(page)
    page.wait_for_selector(".marks-list li >> nth=1")
    page.focus(".marks-list li:first-child button")
    page.keyboard.press("Enter")
    assert page.locator(".marks-list li").count() == 1
    page.wait_for_timeout(300)
    (only,) = stored_marks(page)
    assert (only["start"], only["end"]) == (11, 18)
