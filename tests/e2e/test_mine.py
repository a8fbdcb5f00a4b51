"""One's own keys, one's answers, and a correction: in a real browser with the keyboard only."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, Preferences
from annotator.services.exports import rows as exported
from annotator.services.preferences import save_keys
from tests.e2e.keyboard import arrived, key_event, press, question, tab_to
from tests.e2e.shots import check_phone, shoot

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def tab_to_field(page: Any, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == name:
            return
    raise AssertionError(f"the field {name} cannot be reached with Tab")


def set_key(page: Any, action: str, key: str) -> None:
    """Reach a field of the page of keys, press the new key, save."""
    page.wait_for_selector(".keys")
    tab_to_field(page, f"key-{action}")
    page.keyboard.insert_text(key)
    page.keyboard.press("Enter")


def test_a_key_is_changed_and_only_the_new_one_answers(desk: Any, campaign: Campaign) -> None:
    first = question(desk)
    tab_to(desk, "Keys")  # of the site
    tab_to(desk, "Keys")  # of the workspace: leads back
    desk.keyboard.press("Enter")
    set_key(desk, "neither", "w")
    desk.wait_for_selector(".message :text('saved'), .message:has-text('saved')")
    check_phone(desk)
    shoot(desk, "keys")
    tab_to(desk, "Back to the questions")
    desk.keyboard.press("Enter")
    assert question(desk) == first
    desk.wait_for_timeout(250)
    desk.keyboard.press("n")
    desk.wait_for_timeout(400)
    assert question(desk) == first
    assert not Annotation.objects.exists()
    press(desk, "w")
    assert Annotation.objects.get().outcome == "neither"


def test_a_clash_is_told_beside_the_field_which_gets_the_focus(desk: Any) -> None:
    tab_to(desk, "Keys")
    desk.keyboard.press("Enter")
    set_key(desk, "skip", "f")
    desk.wait_for_selector("#error-skip")
    desk.wait_for_function("document.activeElement.name === 'key-skip'")
    check_phone(desk)
    shoot(desk, "keys-clash")
    assert not Preferences.objects.exists()
    desk.keyboard.insert_text("w")  # typed over what was there
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".message")
    assert Preferences.objects.get().keys == {"skip": "w"}


@pytest.mark.parametrize(
    ("action", "key", "code", "outcome"),
    [
        ("skip", "я", "KeyZ", "skip"),  # its place is that of undo
        ("skip", "é", "Digit2", "skip"),  # its place is that of the second choice
        ("neither", "ü", "BracketLeft", "neither"),
    ],
)
def test_keys_of_other_layouts_do_what_they_say_and_not_what_their_place_says(
    desk: Any, ada: User, action: str, key: str, code: str, outcome: str
) -> None:
    save_keys(user=ada, given={action: key})
    desk.reload()
    before = question(desk)
    desk.wait_for_timeout(250)
    key_event(desk, key, code)
    desk.wait_for_function(
        "before => document.querySelector('#question')?.dataset.answer !== before", arg=before
    )
    arrived(desk)
    assert Annotation.objects.get().outcome == outcome


def test_keys_that_mean_nothing_answer_by_their_place(desk: Any) -> None:
    before = question(desk)
    key_event(desk, "é", "Digit2")  # the second choice on a French keyboard
    desk.wait_for_function(
        "before => document.querySelector('#question')?.dataset.answer !== before", arg=before
    )
    arrived(desk)
    assert Annotation.objects.get().strength == 2


def open_last_answer(page: Any) -> None:
    """From the question to the list, and from there to the newest answer."""
    page.wait_for_timeout(250)
    page.keyboard.press("h")
    page.wait_for_selector(".answers")
    check_phone(page)
    shoot(page, "answers")
    tab_to(page, "change it")
    page.keyboard.press("Enter")
    page.wait_for_selector("#question :text('Save the correction')")
    page.wait_for_timeout(250)


def test_an_answer_is_found_and_corrected(desk: Any, campaign: Campaign) -> None:
    press(desk, "1")
    press(desk, "4")
    open_last_answer(desk)
    check_phone(desk)
    shoot(desk, "correction")
    assert desk.is_checked("input[name=verdict][value=tie]")
    desk.keyboard.press("7")
    desk.keyboard.press("r")
    desk.keyboard.type("on second thought")
    desk.keyboard.press("Escape")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".badge:text-is('corrected')")
    arrived_at = desk.inner_text(".answered >> nth=0")
    assert "B better than A, much" in arrived_at
    made = Annotation.objects.get(supersedes__isnull=False)
    assert (made.strength, made.rationale) == (3, "on second thought")
    assert made.tiers == [[pk] for pk in reversed(made.display_order)]
    answers = [
        row["annotations"][0] for row, _ in exported(campaign=campaign, format_name="native")
    ]
    assert [a["strength"] for a in answers if a.get("rationale")] == [3]


def test_what_is_typed_into_a_correction_survives_a_reload(desk: Any) -> None:
    press(desk, "1")
    open_last_answer(desk)
    desk.keyboard.press("r")
    desk.keyboard.type("half a thought")
    desk.reload()
    desk.wait_for_selector("#question")
    assert desk.input_value("#rationale") == "half a thought"
    assert Annotation.objects.count() == 1


def test_a_correction_waits_for_a_server_that_is_away(desk: Any) -> None:
    press(desk, "1")
    open_last_answer(desk)
    desk.context.set_offline(True)
    desk.keyboard.press("4")
    desk.keyboard.press("Enter")
    desk.wait_for_selector("#notice :text('Not sent yet')")
    desk.context.set_offline(False)
    desk.wait_for_selector(".badge:text-is('corrected')", timeout=40_000)
    assert Annotation.objects.get(supersedes__isnull=False).outcome == "tie"


def test_a_second_tab_is_told_and_keeps_what_it_has(desk: Any, ada: User) -> None:
    press(desk, "1")
    open_last_answer(desk)
    other = desk.context.new_page()
    other.goto(desk.url)
    other.wait_for_selector("#question")
    desk.keyboard.press("4")
    desk.keyboard.press("Enter")
    desk.wait_for_selector(".badge:text-is('corrected')")
    other.fill("#rationale", "from the other tab")
    other.press("#rationale", "Escape")
    other.wait_for_timeout(250)
    other.keyboard.press("Enter")
    other.wait_for_selector("#errors :text('meanwhile')")
    assert other.input_value("#rationale") == "from the other tab"
    other.wait_for_timeout(250)
    other.click(".send")
    other.wait_for_selector(".badge:text-is('corrected')")
    said = Annotation.objects.standing().get()
    assert (said.outcome, said.rationale) == ("preference", "from the other tab")
