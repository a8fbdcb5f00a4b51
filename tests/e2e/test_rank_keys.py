"""Ranking with one's own keys and on other keyboards: the keys that the board shows put letters."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.services.preferences import save_keys
from tests.campaigns import ask, make_campaign
from tests.e2e.keyboard import key_event, question, sign_in, type_keys
from tests.e2e.shown import several
from tests.e2e.test_forms import send, shown

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

AZERTY = {"1": "&", "2": "é", "3": '"', "4": "'"}


@pytest.fixture
def board(ada: User, page: Any, live_server: Any) -> Any:
    """Opens a ranking of four for ada, who may have keys of her own."""

    def start(keys: dict[str, str] | None = None, **fields: Any) -> Any:
        made = make_campaign(
            people=(ada,), rows=[several(n, 4) for n in range(3)], form="rank", **fields
        )
        ask(made)
        save_keys(user=ada, given=keys or {})
        page.goto(f"{live_server.url}/c/{made.slug}/")
        sign_in(page, "ada")
        question(page)
        page.wait_for_timeout(250)
        return page

    return start


def placed(page: Any) -> list[str]:
    """The places of A, B, C and D as the fields have them."""
    return [page.input_value(f"#rank-{letter}") for letter in "ABCD"]


def labels(page: Any) -> list[str]:
    """What each zone of an empty board says: its name, and its key where that is another."""
    return [
        " ".join(zone.inner_text().split())
        for zone in page.locator(".zone:not([data-zone=''])").all()
    ]


def test_ones_own_keys_give_places_and_are_shown(board: Any) -> None:
    page = board({"choice.1": "w", "choice.3": "é", "choice.0": "ö"})
    assert labels(page) == ["1 W", "2", "3 É", "4"]
    assert page.inner_text(".zone[data-zone=''] kbd") == "Ö"
    assert "W, 2, É, 4. Unranked: Ö" in page.inner_text("#board-help")
    type_keys(page, "1")  # no longer a key of the board
    assert placed(page) == ["", "", "", ""]
    type_keys(page, "2", "w")
    key_event(page, "é", "Digit2")  # says what it is, and not the second place
    page.focus(".letter[data-letter=D]")
    type_keys(page, "w")
    assert placed(page) == ["2", "1", "3", "1"]
    key_event(page, "ö", "Semicolon")
    type_keys(page, "4")
    assert placed(page) == ["2", "1", "3", "4"]
    said = send(page)
    assert said.tiers == shown(said, ["B", "A", "C", "D"])


def test_a_french_keyboard_gives_places_without_shift(board: Any) -> None:
    page = board()
    for digit in "213":
        key_event(page, AZERTY[digit], f"Digit{digit}")
    assert placed(page) == ["2", "1", "3", ""]
    page.focus(".letter[data-letter=D]")
    key_event(page, AZERTY["3"], "Digit3")
    page.focus("#rank-A")
    key_event(page, AZERTY["4"], "Digit4")
    assert placed(page) == ["4", "1", "3", "3"]
    page.focus(".letter[data-letter=D]")
    key_event(page, "à", "Digit0")
    assert placed(page) == ["4", "1", "3", ""]


def test_a_key_that_is_another_button_s_is_no_place(board: Any) -> None:
    page = board({"as_written": "é"})
    key_event(page, "é", "Digit2")
    assert placed(page) == ["", "", "", ""]
    assert page.get_attribute("#as-written", "aria-pressed") == "true"


def test_a_ranking_on_its_way_is_not_changed_by_keys(board: Any, page: Any) -> None:
    page.route("**/ahead/", lambda route: route.abort())
    page.route("**/answer/", lambda route: route.abort())
    board()
    type_keys(page, *"21", "Enter")
    page.wait_for_selector("#question[aria-busy]")
    type_keys(page, "3")
    assert placed(page) == ["2", "1", "", ""]
