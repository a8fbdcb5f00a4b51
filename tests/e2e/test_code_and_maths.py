"""Code to copy and maths to typeset, in responses and in guidelines."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign
from annotator.services.campaigns import publish_guidelines
from tests.campaigns import make_campaign
from tests.e2e.keyboard import question, sign_in
from tests.e2e.shots import check_width, shoot
from tests.e2e.texts import CODE, MATHS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


# --- code --------------------------------------------------------------------------------


def test_code_is_copied_with_the_keyboard(reading: Any) -> None:
    page = reading(CODE, "no code")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shoot(page, "code")
    page.focus("button.copy")
    page.keyboard.press("Enter")
    page.wait_for_selector("button.copy:text('Copied')")
    code = CODE.partition("```python\n")[2].partition("\n```")[0]
    assert page.evaluate("navigator.clipboard.readText()") == code
    page.wait_for_function("() => document.querySelector('#announce').textContent === 'Copied'")
    assert page.inner_text(".code .language") == "python"
    assert page.evaluate("document.querySelector('.prose pre').tabIndex") == 0  # scrolls inside
    check_width(page)


def test_without_a_clipboard_code_is_copied_all_the_same(reading: Any) -> None:
    page = reading(CODE)
    page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("button.copy")
    page.wait_for_selector("button.copy:text('Copied')")


def test_an_unclosed_fence_is_code_to_the_end(reading: Any) -> None:
    page = reading("so:\n\n```js\nlet x = 1;\n\n# not a title", "b")
    assert "# not a title" in page.inner_text(".prose pre")


# --- maths -------------------------------------------------------------------------------


def test_maths_is_typeset(reading: Any) -> None:
    page = reading(MATHS, "none")
    page.wait_for_selector(".math.typeset .katex-html")
    page.wait_for_function("() => document.querySelectorAll('.math.typeset').length === 4")
    assert page.locator(".katex-display").count() == 2
    assert page.locator(".math math").count() == 4  # for screen readers
    assert "$5 and $10" in page.inner_text(".columns")
    page.wait_for_function("() => document.fonts.check('16px KaTeX_Main')")
    shoot(page, "maths")


def test_maths_is_fetched_only_where_there_is_some(reading: Any) -> None:
    asked: list[str] = []
    page = reading("no maths, $5", "none")
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    question(page)
    page.wait_for_timeout(500)
    assert [url for url in asked if "katex" in url] == []


MALFORMED = [
    "\\frac{1}{",
    "\\undefined{x}^",
    "\\def\\a{\\a\\a}\\a",
    "\\def\\a{\\b\\b}\\def\\b{\\c\\c}\\def\\c{\\d\\d}\\def\\d{\\e\\e}\\def\\e{\\f\\f}" * 3 + "\\a^",
    "{" * 2000 + "}" * 2000 + "^",
    "\\frac{" * 300 + "1^" + "}{2}" * 300 + "^",
]
COMMANDS = [
    "\\href{javascript:alert(1)}{x}^2",
    "\\url{javascript:alert(1)}^2",
    "\\includegraphics{https://evil.example/x.png}^2",
    "\\htmlStyle{position:fixed}{x}^2",
    "\\htmlClass{primary}{x}^2",
    "\\rule{1000em}{1000em}^2",
    "\\color{red}x^2",
]


def test_malformed_maths_is_shown_as_its_source_and_breaks_nothing(reading: Any) -> None:
    text = "\n\n".join(f"$${tex}$$" for tex in MALFORMED) + "\n\n$x^2$ the end"
    page = reading(text, "none")
    page.wait_for_selector(".math.malformed")
    page.evaluate("document.querySelectorAll('.math').forEach(m => m.scrollIntoView())")
    page.wait_for_function(
        "() => document.querySelectorAll('.math:not(.typeset, .malformed)').length === 0",
        timeout=20_000,
    )
    assert page.locator(".math.malformed").first.inner_text() == "$$\\frac{1}{$$"
    assert "cannot be typeset" in page.locator(".math.malformed").first.get_attribute("title")
    assert page.locator(".math.typeset").count() >= 1
    check_width(page)


def test_commands_that_reach_out_of_a_formula_do_nothing(reading: Any) -> None:
    page = reading("\n\n".join(f"$${tex}$$" for tex in COMMANDS), "none")
    page.wait_for_selector(".math.typeset")
    page.wait_for_timeout(500)
    assert page.locator(".math :is(a, img)").count() == 0
    assert page.locator(".math .primary").count() == 0
    tall = page.evaluate(
        "Math.max(...[...document.querySelectorAll('.math')].map(m => m.offsetHeight))"
    )
    assert tall < 1000
    check_width(page)


# --- guidelines --------------------------------------------------------------------------


def test_guidelines_may_have_maths_and_code(
    ada: User, ruth: User, page: Any, live_server: Any
) -> None:
    made: Campaign = make_campaign(people=(ada,))
    publish_guidelines(campaign=made, text=MATHS + "\n\n" + CODE)
    page.goto(f"{live_server.url}/c/{made.slug}/guidelines/")
    sign_in(page, "ada")
    page.wait_for_selector(".math.typeset")
    page.wait_for_selector("button.copy")
    check_width(page)
