"""Texts to read: hostile ones, directions, long ones beside each other, and what differs."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.models import Annotation, Prompt, Response
from tests.annotator.test_content import HOSTILE
from tests.e2e.axe import violations
from tests.e2e.keyboard import press, question
from tests.e2e.shots import check_width, shoot
from tests.e2e.texts import CODE, LONG, LONGER, MARKING, MATHS, MIXED, TABLE, select, with_text

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


# --- hostile texts -----------------------------------------------------------------------


def test_hostile_texts_stay_texts(reading: Any) -> None:
    hostile = "\n\n".join(HOSTILE)
    page = reading("a", "b")
    Response.objects.filter(text="a").update(text=hostile)  # an import refuses some of them
    turns = [{"role": "system", "content": hostile}, {"role": "user", "content": "and?"}]
    Prompt.objects.update(content=turns)
    page.reload()
    question(page)
    page.wait_for_timeout(300)
    said: list[str] = []
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    assert page.locator(":is(.prose, .as-written) :is(script, iframe, svg, form, img)").count() == 0
    page.keyboard.press("p")
    assert "<script>alert(1)</script>" in with_text(page, "script").inner_text()
    page.wait_for_timeout(200)
    assert said == []


def test_a_megabyte_can_be_read_and_answered(reading: Any) -> None:
    page = reading("*word* [x](y) " * 70_000 + "the very end", "b")
    assert "Too much to format" in with_text(page, "the very end").inner_text()
    press(page, "4")
    assert Annotation.objects.count() == 1


# --- directions --------------------------------------------------------------------------


def test_each_paragraph_runs_in_its_own_direction(reading: Any) -> None:
    page = reading(MIXED, "\u200fمرحبا\n\nthen English", prompt="لماذا؟ because")
    shoot(page, "mixed")
    found = page.evaluate(
        "[...document.querySelectorAll('.columns .prose :is(p, li, td, code)')]"
        ".map(e => [e.textContent.trim(), getComputedStyle(e).direction])"
    )
    directions = dict(found)
    assert directions["one"] == directions["x = 1"] == directions["English first, then:"] == "ltr"
    assert directions["اثنان وثلاثة"] == directions["שלום עולם"] == directions["نعم"] == "rtl"
    assert directions["then English"] == "ltr"
    check_width(page)


def test_characters_that_nobody_sees_are_told_and_shown(reading: Any) -> None:
    page = reading("pay \u202e001\u202c now\u200b", "b")
    response = with_text(page, "pay")
    assert "3 invisible characters" in response.inner_text()
    page.keyboard.press("p")
    page.wait_for_selector(".unseen.badge")
    assert "pay U+202E001U+202C nowU+200B" in response.inner_text()
    shoot(page, "unseen")


# --- long texts beside each other --------------------------------------------------------


def tops(page: Any) -> list[float]:
    return page.evaluate(
        "[...document.querySelectorAll('.columns .response-text')]"
        ".map(e => e.scrollTop / Math.max(1, e.scrollHeight - e.clientHeight))"
    )


def scroll_first(page: Any, share: float) -> None:
    page.evaluate(
        "share => { const e = document.querySelector('.columns .response-text');"
        " e.scrollTop = share * (e.scrollHeight - e.clientHeight) }",
        share,
    )
    page.wait_for_timeout(150)


def test_long_responses_scroll_apart_or_together(reading: Any) -> None:
    page = reading(LONG, LONGER)
    assert "Scroll: page" in page.inner_text("#scrolling")
    page.keyboard.press("l")
    assert "Scroll: apart" in page.inner_text("#scrolling")
    scroll_first(page, 0.5)
    assert tops(page)[0] == pytest.approx(0.5, abs=0.01)
    assert tops(page)[1] == 0
    page.keyboard.press("l")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent.includes('together')"
    )
    scroll_first(page, 0.5)
    assert tops(page) == pytest.approx([0.5, 0.5], abs=0.01)
    scroll_first(page, 1)
    assert tops(page) == pytest.approx([1, 1], abs=0.01)
    shoot(page, "together")
    page.focus(".response.side-b .response-text")  # by keyboard, from the other side
    page.keyboard.press("Home")
    page.wait_for_timeout(400)
    assert tops(page) == pytest.approx([0, 0], abs=0.01)
    page.keyboard.press("l")
    assert page.locator("[data-scrolling]").count() == 0


def test_short_responses_need_no_areas(reading: Any) -> None:
    page = reading("short", "short too")
    assert not page.is_visible("#scrolling")
    page.keyboard.press("l")
    assert page.locator("[data-scrolling]").count() == 0


# --- differences -------------------------------------------------------------------------


def test_differences_are_marked_on_both_sides_and_told(reading: Any) -> None:
    page = reading(
        "The sky is blue because air scatters *short* waves more than long ones.",
        "The sky looks blue because air scatters short waves far more than long ones.",
    )
    page.keyboard.press("v")
    page.wait_for_selector(".differences mark")
    shoot(page, "differences")
    assert page.get_attribute("#differences", "aria-pressed") == "true"
    read = (
        "e => { const c = e.cloneNode(true);"
        " c.querySelectorAll('.visually-hidden').forEach(h => h.remove()); return c.textContent }"
    )
    first = with_text(page, "*short*").locator(".differences mark")
    assert [first.nth(n).evaluate(read) for n in range(first.count())] == ["is", "*", "*"]
    assert "only here: is end" in " ".join(first.first.text_content().split())
    assert not page.locator(".columns .prose").first.is_visible()
    page.keyboard.press("v")
    assert page.locator(".differences").count() == 0
    assert page.locator(".columns .prose").first.is_visible()


def test_the_same_text_twice_is_said_to_be_the_same(reading: Any) -> None:
    page = reading("same  words", "same words")
    page.evaluate(
        "document.querySelectorAll('.columns .as-written').forEach(e => { e.textContent = 'x y' })"
    )
    page.keyboard.press("v")
    assert "The two responses are the same" in page.inner_text(".differences >> nth=0")


# --- access ------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "p", "v", "l"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_any_view_of_rich_texts(reading: Any, key: str, theme: str) -> None:
    rich = "\n\n".join(
        [MATHS, CODE, TABLE, MIXED, LONG, "$\\frac{$ \u202e [x](https://example.org)"]
    )
    page = reading(rich, LONGER, form_options=MARKING)
    page.emulate_media(color_scheme=theme)
    page.evaluate("scrollTo(0, 600)")
    page.wait_for_selector(".math.typeset")
    select(page, "Line 7 of", ".prose")
    page.keyboard.press("m")
    if key:
        page.keyboard.press(key)
    page.wait_for_timeout(300)
    assert violations(page) == []
