"""Every form in a real browser with the keyboard only: what is stored, and what is exported."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, Response
from annotator.services.exports import rows as exported
from tests.campaigns import ask, make_campaign
from tests.e2e.keyboard import arrived, question, sign_in, type_keys
from tests.e2e.shots import shoot
from tests.e2e.shown import several

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def at_work(ada: User, page: Any, live_server: Any) -> Any:
    """Opens a campaign of some form for ada."""

    def start(form: str, size: int, **fields: Any) -> Campaign:
        made = make_campaign(
            people=(ada,), rows=[several(n, size) for n in range(3)], form=form, **fields
        )
        ask(made)
        page.goto(f"{live_server.url}/c/{made.slug}/")
        sign_in(page, "ada")
        question(page)
        page.wait_for_timeout(250)
        shoot(page, form)
        return made

    return start


def send(page: Any, key: str = "Enter") -> Annotation:
    """Send, wait for the next question, and return what was stored."""
    before = question(page)
    page.keyboard.press(key)
    page.wait_for_function(
        "before => document.querySelector('#question')?.dataset.answer !== before", arg=before
    )
    arrived(page)
    return Annotation.objects.order_by("-pk")[0]


def shown(said: Annotation, tiers: list[str]) -> list[list[int]]:
    """Tiers in letters as response ids of that display order."""
    return [[said.display_order["ABCDEFGHIJ".index(x)] for x in tier] for tier in tiers]


def native(campaign: Campaign) -> dict[str, Any]:
    """The exported annotation of the only answered question."""
    [(row, _)] = exported(campaign=campaign, format_name="native")
    [annotation] = row["annotations"]
    return annotation | {"responses": row["responses"]}


def test_rank_by_typing_places(at_work: Any, page: Any) -> None:
    campaign = at_work("rank", 4)
    type_keys(page, *"2132")
    said = send(page)
    assert said.tiers == shown(said, ["B", "AD", "C"])
    assert sorted(native(campaign)["ranking"]) == [1, 2, 2, 3]


def test_rank_by_arrow_keys_with_an_unranked_one(at_work: Any, page: Any) -> None:
    at_work("rank", 4)
    page.focus(".letter[data-letter=C]")
    type_keys(page, "Home")
    page.focus(".letter[data-letter=A]")
    type_keys(page, "ArrowLeft", "ArrowLeft", "ArrowLeft")  # from the tray to the second place
    said = send(page)
    assert said.tiers == shown(said, ["C", "A"])
    assert len(said.details["rank"]["unranked"]) == 2


def test_rank_by_dragging(at_work: Any, page: Any) -> None:
    at_work("rank", 4)
    for letter, place in (("B", "1"), ("A", "2"), ("D", "2"), ("C", "4")):
        page.drag_and_drop(f".letter[data-letter={letter}]", f".zone[data-zone='{place}']")
    said = send(page)
    assert said.tiers == shown(said, ["B", "AD", "C"])


def test_best_and_worst(at_work: Any, page: Any) -> None:
    campaign = at_work("best_worst", 4)
    type_keys(page, "3", "1")
    said = send(page)
    assert [len(tier) for tier in said.tiers] == [1, 2, 1]
    assert (said.tiers[0], said.tiers[2]) == tuple(shown(said, ["C", "A"]))
    assert native(campaign)["ranking"].count(2) == 2


def test_rate_with_thumbs(at_work: Any, page: Any) -> None:
    options = {"rate": {"aspects": ["overall", "truthful"], "thumbs": True}}
    campaign = at_work("rate", 2, form_options=options)
    type_keys(page, "3", "4", "u", "1", "2", "d")
    said = send(page)
    first, second = said.display_order
    assert (said.tiers, said.acceptable) == ([[first], [second]], 1)
    assert said.details["rate"]["ratings"]["truthful"] == {str(first): 4, str(second): 2}
    assert sorted(native(campaign)["ratings"]["overall"]) == [1, 3]


def test_accept(at_work: Any, page: Any) -> None:
    campaign = at_work("accept", 3)
    type_keys(page, "y", "n", "y")
    said = send(page)
    assert (said.tiers, said.acceptable) == (shown(said, ["AC", "B"]), 1)
    assert sorted(native(campaign)["ratings"]["acceptable"]) == [0, 1, 1]


def test_an_edit_becomes_a_new_response(at_work: Any, page: Any) -> None:
    campaign = at_work("edit", 1)
    type_keys(page, "e")
    page.keyboard.press("Control+End")
    page.keyboard.type(" And much more.")
    page.wait_for_selector("#edit-diff ins:has-text('more')")
    page.keyboard.press("Escape")
    said = send(page)
    made = Response.objects.get(parent__isnull=False)
    assert made.text.endswith(" And much more.")
    assert said.tiers == [[made.pk], [made.parent_id]]
    edit = native(campaign)["edit"]
    assert (edit["response"], edit["text"]) == (0, made.text)


def test_nothing_changed_is_refused_in_words_and_nothing_is_lost(at_work: Any, page: Any) -> None:
    at_work("edit", 1)
    page.keyboard.press("Enter")
    page.wait_for_selector("#errors :text('Nothing was changed')")
    page.wait_for_timeout(250)
    page.keyboard.press("Escape")
    type_keys(page, "x")
    said = send(page)
    assert (said.acceptable, said.outcome) == (1, "other")


def test_compare_with_aspects_confidence_and_a_reason(at_work: Any, page: Any) -> None:
    options = {
        "compare": {"steps": 5, "aspects": ["helpful", "harmless"], "confidence": True},
        "rationale": {"ask": "extreme", "tags": ["correct", "clear"]},
    }
    campaign = at_work("compare", 2, form_options=options)
    type_keys(page, "1", "1", "2", "3")
    page.keyboard.press("Enter")
    page.wait_for_selector("#errors :text('needs a reason')")
    page.wait_for_timeout(250)
    page.keyboard.press("Escape")
    type_keys(page, "r")
    page.keyboard.type("because")
    page.keyboard.press("Escape")
    said = send(page)
    assert (said.strength, said.tiers) == (3, shown(said, ["A", "B"]))
    assert said.details["compare"]["aspects"] == {
        "helpful": said.display_order[0],
        "harmless": "tie",
    }
    assert said.details["compare"]["confidence"] == 3
    assert native(campaign)["strength"] == 3


def test_several_forms_on_one_question(at_work: Any, page: Any) -> None:
    campaign = at_work("compare", 2, follow_ups=["accept", "edit"])
    type_keys(page, "2", "y", "n")
    page.check("input[name=edit_of][value=A]", force=True)
    type_keys(page, "e")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Better.")
    page.keyboard.press("Escape")
    said = send(page)
    made = Response.objects.get(parent__isnull=False)
    first, second = said.display_order
    assert said.tiers == [[made.pk], [first], [second]]
    assert (said.acceptable, said.strength) == (2, 2)
    assert native(campaign)["choice"] == native(campaign)["edit"]["response"]


def test_a_draft_of_everything_survives_a_reload(at_work: Any, page: Any) -> None:
    at_work("rank", 4)
    type_keys(page, *"312")
    page.wait_for_selector("#saved.good")
    page.reload()
    question(page)
    page.wait_for_timeout(250)
    assert page.input_value("#rank-A") == "3"
    type_keys(page, "4")
    said = send(page)
    assert said.tiers == shown(said, ["B", "C", "A", "D"])


def test_another_device_goes_on_exactly_where_one_left(
    at_work: Any, page: Any, browser: Any
) -> None:
    at_work("rank", 4)
    asked = question(page)
    type_keys(page, *"31")
    page.keyboard.press("r")
    page.keyboard.type("so far")
    page.wait_for_selector("#saved.good")
    elsewhere = browser.new_context(viewport={"width": 390, "height": 800}).new_page()
    elsewhere.goto(page.url)
    sign_in(elsewhere, "ada")
    assert question(elsewhere) == asked
    assert elsewhere.input_value("#rank-A") == "3"
    assert elsewhere.input_value("#rank-B") == "1"
    assert elsewhere.input_value("#rationale") == "so far"
    assert elsewhere.inner_text(".zone[data-zone='1']").split() == ["1", "B"]
    elsewhere.context.close()
