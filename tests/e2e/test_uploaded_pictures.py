"""Uploaded pictures in a real browser: seen, enlarged by keyboard, and words where one is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.storage import default_storage

from annotator.models import Campaign
from tests.campaigns import ask, make_campaign
from tests.drawn import drawn, put
from tests.e2e.axe import violations
from tests.e2e.shown import as_person
from tests.e2e.test_whole_path import question

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

ADDRESS = "**/pictures/**"
DRAWN = "() => [...document.querySelectorAll('.prose img')].every((i) => i.naturalWidth > 0)"


@pytest.fixture
def charts(ada: User, settings: Any, tmp_path: Path) -> Campaign:
    """One comparison of two charts."""
    settings.MEDIA_ROOT = tmp_path / "media"
    made = make_campaign(people=(ada,), prompts=1)
    put(made, {"wide.png": drawn(size=(1600, 400)), "tall.png": drawn(size=(300, 1200), shade=3)})
    first, second = made.prompts.get().responses.order_by("pk")
    for response, name in ((first, "wide"), (second, "tall")):
        response.text = f"See ![a {name} chart](picture:{name}.png)."
        response.save()
    ask(made)
    return made


@pytest.fixture
def opened(charts: Campaign, ada: User, page: Any, live_server: Any) -> Any:
    """Open the question for ada, with a handler for requests of pictures."""

    def open_(handle: Any = None) -> Any:
        if handle is not None:
            page.route(ADDRESS, handle)
        as_person(page.context, ada, live_server.url)
        page.goto(f"{live_server.url}/c/{charts.slug}/")
        question(page)
        return page

    return open_


def test_a_picture_is_seen_and_enlarged_by_keyboard(opened: Any) -> None:
    page = opened()
    page.wait_for_function(DRAWN)
    wide = page.locator("img[alt='a wide chart']")
    box = wide.bounding_box()
    assert box["width"] / box["height"] == pytest.approx(4, rel=0.02)
    tall = page.locator("img[alt='a tall chart']").bounding_box()
    assert (tall["width"], tall["height"]) == (96, 384)
    assert violations(page) == []
    link = page.locator("a.picture", has=wide)
    assert link.get_attribute("aria-label") == "Enlarge: a wide chart"
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog#picture[open] img[alt='a wide chart']")
    page.wait_for_function("() => document.querySelector('#picture img').naturalWidth === 1600")
    larger = page.locator("#picture img").bounding_box()
    assert larger["width"] > box["width"]
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#picture:not([open])", state="attached")
    assert link.evaluate("(element) => element === document.activeElement")


def test_the_page_does_not_jump_when_a_picture_arrives(opened: Any) -> None:
    held: list[Any] = []
    page = opened(lambda route: held.append(route))
    page.wait_for_timeout(300)
    assert held
    before = [page.locator(".prose img").nth(n).bounding_box() for n in range(2)]
    assert all(box["width"] > 90 for box in before)
    for route in held:
        route.continue_()
    page.wait_for_function(DRAWN)
    assert [page.locator(".prose img").nth(n).bounding_box() for n in range(2)] == before
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_timeout(200)
    for picture in page.locator(".prose img").all():
        box, shape = (
            picture.bounding_box(),
            picture.evaluate("(i) => i.naturalWidth / i.naturalHeight"),
        )
        assert box["width"] / box["height"] == pytest.approx(shape, rel=0.02)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_picture_that_is_gone_is_words(opened: Any, charts: Campaign) -> None:
    default_storage.delete(charts.pictures.get(name="wide.png").path)
    charts.pictures.filter(name="tall.png").update(name="other.png")
    page = opened()
    page.wait_for_function("() => document.querySelectorAll('.broken-picture').length === 2")
    said = " ".join(page.locator(".broken-picture").all_inner_texts())
    for words in ("a wide chart", "a tall chart"):
        assert words in said
    assert said.count("This picture could not be loaded.") == 2
    assert page.locator(".prose :is(img, a.picture)").count() == 0
    assert violations(page) == []
