"""What an annotator may run into: a session that ran out, a server that is away, odd texts."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from annotator.models import Annotation, Campaign, EncoderCard, Response, Round, Snapshot
from annotator.services.rounds import fail_round
from tests.e2e.keyboard import arrived, press, question, sign_in
from tests.worker.processes import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_a_session_that_ran_out_costs_no_answer(desk: Any) -> None:
    asked = question(desk)
    desk.keyboard.press("r")
    desk.keyboard.type("thought about it")
    desk.keyboard.press("Escape")
    Session.objects.all().delete()
    desk.keyboard.press("2")
    sign_in_place = desk.wait_for_selector("#notice input[name=username]")
    sign_in_place.focus()
    desk.keyboard.type("ada")
    desk.keyboard.press("Tab")
    desk.keyboard.type("ada")
    desk.keyboard.press("Enter")
    arrived(desk)
    assert question(desk) != asked
    said = Annotation.objects.get()
    assert (said.rationale, said.strength, str(said.assignment_id)) == (
        "thought about it",
        2,
        asked,
    )


def test_a_server_that_is_away_gets_the_answer_later_and_once(desk: Any) -> None:
    first = question(desk)
    desk.wait_for_function(
        "() => performance.getEntriesByName(location.origin + '/c/sky/ahead/').length"
    )
    desk.wait_for_timeout(300)
    desk.context.set_offline(True)
    desk.keyboard.press("7")
    desk.wait_for_selector("#notice :text('Not sent yet')")
    second = question(desk)
    assert second != first  # leased ahead: one goes on working
    desk.wait_for_timeout(250)
    desk.keyboard.press("1")
    desk.wait_for_selector("#question[aria-busy]")
    assert question(desk) == second  # there is nothing more without the server; the answer stays
    desk.context.set_offline(False)
    until(lambda: Annotation.objects.count() == 2, seconds=30, what="the answers")
    arrived(desk)
    assert question(desk) not in (first, second)
    said = {str(a.assignment_id): a for a in Annotation.objects.all()}
    assert said[first].tiers[0] == [said[first].display_order[1]]
    assert said[second].tiers[0] == [said[second].display_order[0]]


def test_a_question_whose_answer_is_on_its_way_is_not_leased_as_the_next(desk: Any) -> None:
    held: list[Any] = []
    first = question(desk)
    desk.wait_for_function(
        "() => performance.getEntriesByName(location.origin + '/c/sky/ahead/').length"
    )
    desk.wait_for_timeout(300)
    # Slower than the request for the next question:
    desk.route("**/answer/", lambda route: held.append(route))
    desk.keyboard.press("7")
    desk.wait_for_timeout(600)
    second = question(desk)
    assert second != first
    held.pop().continue_()
    desk.wait_for_function("() => document.body.dataset.unsent === '0'")
    desk.wait_for_timeout(600)
    desk.keyboard.press("1")
    desk.wait_for_timeout(300)
    assert question(desk) not in (first, second)
    held.pop().continue_()
    arrived(desk)


def test_an_answer_survives_a_browser_that_is_closed_before_it_was_sent(desk: Any) -> None:
    first = question(desk)
    desk.context.set_offline(True)
    desk.keyboard.press("7")
    desk.wait_for_selector("#notice :text('Not sent yet')")
    desk.on("dialog", lambda dialog: dialog.accept())  # "leave the page?"
    desk.goto("about:blank")
    desk.context.set_offline(False)
    desk.go_back()
    arrived(desk)
    assert str(Annotation.objects.get().assignment_id) == first
    assert question(desk) != first


def test_keys_do_nothing_while_typing(desk: Any) -> None:
    desk.keyboard.press("r")
    desk.keyboard.type("1 2 7 n s z g p")
    assert desk.input_value("#rationale") == "1 2 7 n s z g p"
    assert not Annotation.objects.exists()


def test_texts_can_be_seen_as_they_were_written(desk: Any) -> None:
    Response.objects.update(text="def f():\n    return r'\\d'")
    desk.reload()
    question(desk)
    desk.wait_for_timeout(250)
    assert "    return r'\\d'" not in desk.inner_text(".columns")
    desk.keyboard.press("p")
    assert "    return r'\\d'" in desk.inner_text(".columns")
    press(desk, "4")
    assert "    return r'\\d'" in desk.inner_text(".columns")  # stays chosen


def test_an_empty_queue_says_why(desk: Any) -> None:
    for _ in range(6):
        press(desk, "4")
    desk.wait_for_selector(".state h1")
    assert Annotation.objects.standing().count() == 6


@pytest.mark.parametrize("width", [360, 1280])
def test_no_page_scrolls_sideways(desk: Any, live_server: Any, width: int) -> None:
    Response.objects.update(text="x" * 3000 + "\n\n| " + " | ".join("column" * 4) + " |")
    desk.set_viewport_size({"width": width, "height": 740})
    for where in ("/", "/c/sky/", "/c/sky/guidelines/"):
        desk.goto(live_server.url + where)
        wide = desk.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, (where, wide)


@pytest.mark.parametrize("width", [360, 1280])
def test_the_researchers_page_does_not_scroll_sideways(
    campaign: Campaign, ruth: User, page: Any, live_server: Any, width: int
) -> None:
    figure = {"value": 0.6, "low": 0.5, "high": 0.7}
    curve = [
        {"round": n, "kind": kind, "labels": 10 * n, "n": 40, "prompts": 30}
        | {"accuracy": figure, "log_loss": figure}
        for n in range(1, 9)
        for kind in ("all", "random")
    ]
    policy = {"name": "a" * 40, "instead_of": "b" * 40, "options": {"c" * 30: "d" * 60}}
    report = {"curve": curve, "pool_left": 0, "policy": policy, "wanted": 9}
    Round.objects.filter(campaign=campaign).update(report=report)
    points = [{"labels": 10 * n, "accuracy": 0.5, "log_loss": 0.7} for n in range(1, 5)]
    said = {"sentence": "e" * 200, "curve": points, "accuracy": 0.5, "log_loss": 0.7}
    EncoderCard.objects.create(campaign=campaign, encoder_key="k", labels=9, figures=said)
    failed = Round.objects.create(campaign=campaign, number=2, trigger="x" * 150)
    fail_round(round_id=failed.pk, error="the encoder " + "y" * 300)
    Snapshot.objects.create(campaign=campaign, format="native", state="failed", error="z" * 200)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(f"{live_server.url}/c/{campaign.slug}/progress/")
    sign_in(page, "ruth")
    page.wait_for_selector("#exports")
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
