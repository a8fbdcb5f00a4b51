"""Pages in long words and from right to left: mirrored, usable at 360 px, and clean for axe."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign
from annotator.services.campaigns import add_member, publish_guidelines
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, known, make_campaign
from tests.e2e.axe import check, walk
from tests.e2e.keyboard import arrived, press, question
from tests.e2e.shots import shoot
from tests.e2e.shown import FORMS_SHOWN, as_person, several
from tests.pseudo import RIGHT_TO_LEFT, outside, speak

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

ARABIC = "السماء زرقاء بسبب تشتت الضوء. هذا نص عربي لاختبار الاتجاه."


@pytest.fixture
def visit(page: Any, live_server: Any, settings: Any) -> Any:
    """Opens a page in a language as somebody."""
    speak(settings, RIGHT_TO_LEFT)

    def go(path: str, person: User | None = None, *, language: str = RIGHT_TO_LEFT) -> Any:
        if person is not None:
            as_person(page.context, person, live_server.url)
        kept = {"name": "django_language", "value": language, "url": live_server.url}
        page.context.add_cookies([kept])
        page.emulate_media(reduced_motion="reduce")
        page.goto(live_server.url + path)
        page.wait_for_load_state("networkidle")
        return page

    return go


def look(page: Any, name: str) -> None:
    """What every page must keep, in every language."""
    shoot(page, name)
    check(page, name)
    walk(page)


def left(page: Any, selector: str) -> float:
    """Where something begins, in pixels from the left."""
    x: float = page.locator(selector).first.bounding_box()["x"]
    return x


@pytest.mark.parametrize("language", ["de", RIGHT_TO_LEFT])
@pytest.mark.parametrize("name", FORMS_SHOWN)
def test_a_question_of_every_form(ada: User, visit: Any, name: str, language: str) -> None:
    shown = FORMS_SHOWN[name]
    rows = [several(n, shown.size) for n in range(3)]
    made = make_campaign(people=(ada,), rows=rows, form=shown.form, **shown.fields)
    ask(made)
    page = visit(f"/c/{made.slug}/", ada, language=language)
    question(page)
    look(page, f"{name}-{language}".replace(" ", "-"))


def test_what_stands_at_the_beginning_stands_on_the_right(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    assert left(page, ".side-a.response") > left(page, ".side-b.response")
    assert left(page, "button.strength[value=a3]") > left(page, "button.strength[value=b3]")
    assert left(page, ".brand") > left(page, ".site-nav")


def test_arrow_keys_follow_what_is_seen(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    page.focus("button.strength[value=tie]")
    page.keyboard.press("ArrowRight")  # towards A, which is on the right
    assert page.evaluate("document.activeElement.value") == "a1"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.value") == "b1"


def test_digits_and_records_do_not_depend_on_the_direction(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    press(page, "1")
    said = Annotation.objects.get()
    assert said.tiers[0] == [said.display_order[0]]  # A, on whatever side it stood


def test_places_of_a_ranking_count_from_the_right(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,), rows=[several(n, 4) for n in range(2)], form="rank")
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    assert left(page, ".zone[data-zone='1']") > left(page, ".zone[data-zone='2']")
    page.focus(".letter[data-letter=C]")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")  # from the first place to the one on its left, the second
    assert page.input_value("[data-place=C]") == "2"


def test_texts_keep_their_own_direction(ada: User, visit: Any) -> None:
    responses = [{"text": text, "model": "m"} for text in ("English text, here.", ARABIC)]
    made = make_campaign(people=(ada,), rows=[item(0, prompt=ARABIC, responses=responses)])
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    ways = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".response-text .prose")].map(
          (text) => [/English/.test(text.textContent), getComputedStyle(text).direction]))"""
    )
    assert ways == {"true": "ltr", "false": "rtl"}
    look(page, "texts")


def said(page: Any, where: str, pattern: str = "⟦") -> str:
    """What a script has written somewhere, all of it in the language of the page."""
    page.wait_for_function(
        "([where, pattern]) => new RegExp(pattern).test(document.querySelector(where).textContent)",
        arg=[where, pattern],
    )
    assert outside(page.locator(where).inner_html()) == []
    text: str = page.locator(where).text_content()
    return text


def test_what_scripts_say_is_in_the_language_of_the_page(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    page = visit(f"/c/{made.slug}/", ada)
    question(page)
    page.fill("#rationale", "1")
    said(page, "#saved")
    page.keyboard.press("Escape")
    press(page, "1")
    said(page, "#announce")
    page.wait_for_timeout(250)  # a key this soon after a question came is taken for a slip
    page.context.set_offline(True)
    page.keyboard.press("z")
    unreached = said(page, "#notice")
    page.keyboard.press("1")
    page.wait_for_function(
        "before => document.querySelector('#notice').textContent !== before", arg=unreached
    )
    said(page, "#notice", "A")
    page.context.set_offline(False)
    arrived(page)


def test_other_pages(ada: User, visit: Any) -> None:
    rows = [known(1, "practice", choice=0, explanation=ARABIC), item(1), item(2)]
    made = make_campaign(people=(ada,), rows=rows, description=ARABIC)
    publish_guidelines(campaign=made, text=f"# {ARABIC}\n\n- {ARABIC}\n- English.")
    add_member(campaign=made, user=ada, role="owner")
    ask(made)
    for language in ("de", RIGHT_TO_LEFT):
        for path in ("/", "/keys/", f"/c/{made.slug}/guidelines/", "/c/nothing/"):
            page = visit(path, ada, language=language)
            look(page, f"page{path.replace('/', '-')}{language}")
    made.annotators.update(guidelines_read=9)
    page = visit(f"/c/{made.slug}/practice/")
    question(page)
    page.keyboard.press("1")
    page.wait_for_selector(".explained")
    look(page, "explained")


def test_my_answers(ada: User, visit: Any) -> None:
    made = make_campaign(people=(ada,))
    ask(made)
    for choice in ("a2", "tie", "neither"):
        answer(lease(made, ada), ada, choice, rationale=ARABIC)
    for language in ("de", RIGHT_TO_LEFT):
        look(visit(f"/c/{made.slug}/mine/", ada, language=language), f"mine-{language}")


def test_signing_in_and_an_empty_queue(ada: User, visit: Any) -> None:
    for language in ("de", RIGHT_TO_LEFT):
        look(visit("/signin/", language=language), f"signin-{language}")
    made = make_campaign(people=(ada,), prompts=1)
    ask(made)
    Campaign.objects.update(state="paused")
    for language in ("de", RIGHT_TO_LEFT):
        look(visit(f"/c/{made.slug}/", ada, language=language), f"empty-{language}")


def test_a_language_is_chosen_without_a_script(ada: User, browser: Any, live_server: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ada, live_server.url)
    page = context.new_page()
    page.goto(f"{live_server.url}/keys/")
    page.select_option("#language", "de")
    page.click(".language button")
    assert page.url == f"{live_server.url}/keys/"
    assert page.locator("h1").inner_text() == "Tasten"
    context.close()
