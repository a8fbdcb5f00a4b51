"""One person, one keyboard, the whole path: sign in, read, answer, undo, refill, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, Campaign, Round
from annotator.services.campaigns import add_member, create_campaign, start_campaign
from config.broker import install_queue_schema
from tests.campaigns import load
from tests.e2e.keyboard import press, question, sign_in, tab_to
from tests.worker.loops import FIELDS, rich
from tests.worker.processes import process, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

KEYS = "1234567n"
REASON = "The reason, with keys like 1 and z in it"


@pytest.fixture
def campaign(ada: User, ruth: User) -> Campaign:
    install_queue_schema()
    made = create_campaign(
        slug="loop", name="Longer or shorter", owner=ruth, guidelines="Choose *well*.", **FIELDS
    )
    load(made, [rich(number) for number in range(60)])
    add_member(campaign=made, user=ada)
    return start_campaign(campaign=made)


def begin(page: Any, site: str) -> None:
    """Sign in, choose the campaign, read the guidelines."""
    page.goto(site)
    sign_in(page, "ada")
    page.wait_for_url(f"{site}/")
    tab_to(page, "Annotate")
    page.keyboard.press("Enter")
    page.wait_for_url("**/guidelines/")
    assert page.inner_text(".prose em") == "well"
    tab_to(page, "I have read this")
    page.keyboard.press("Enter")


def answer_twenty(page: Any) -> str:
    """Nineteen answers, then one with a reason that survives a reload; returns the twentieth."""
    for number in range(19):
        press(page, KEYS[number % len(KEYS)])
    page.keyboard.press("r")
    page.keyboard.type(REASON)
    page.wait_for_timeout(1500)
    page.reload()
    assert page.input_value("#rationale") == REASON
    twentieth = question(page)
    press(page, "7")
    return twentieth


def undo_and_answer_again(page: Any, before: str) -> None:
    """Take the last answer back and give another."""
    page.wait_for_timeout(250)
    page.keyboard.press("z")
    page.wait_for_function(
        "id => document.querySelector('#question')?.dataset.answer === id", arg=before
    )
    assert Annotation.objects.standing().count() == 19
    press(page, "1")
    last = Annotation.objects.order_by("-pk")[0]
    assert (last.outcome, last.strength, last.rationale) == ("preference", 3, REASON)
    assert last.tiers == [[pk] for pk in last.display_order]
    assert last.active_ms is not None


def export_as_researcher(page: Any, site: str, out: Path) -> None:
    """Sign in as the researcher, ask for an export, download it."""
    page.goto(f"{site}/")
    tab_to(page, "Sign out")
    page.keyboard.press("Enter")
    sign_in(page, "ruth")
    page.wait_for_url(f"{site}/")
    tab_to(page, "Progress")
    page.keyboard.press("Enter")
    page.wait_for_url("**/progress/")
    tab_to(page, "Make the export")  # native, the first of the list
    page.keyboard.press("Enter")
    page.wait_for_selector("#exports a[href*=download]", timeout=60_000)
    tab_to(page, "Download")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    waiting.value.save_as(out)


def test_the_whole_path_with_the_keyboard_only(
    campaign: Campaign, page: Any, live_server: Any, tmp_path: Path, settings: Any
) -> None:
    settings.VAR_DIR = tmp_path  # what the worker writes, the web process serves
    out = tmp_path / "taken.jsonl"
    with process("beat", tmp_path), process("worker", tmp_path):
        begin(page, live_server.url)
        twentieth = answer_twenty(page)
        assert Annotation.objects.standing().count() == 20
        undo_and_answer_again(page, twentieth)
        # 12 questions a round: the queue has been refilled while the person went on.
        until(lambda: Round.objects.filter(state="published").count() >= 2, what="a refill")
        question(page)
        export_as_researcher(page, live_server.url, out)

    rows = [json.loads(line) for line in out.read_text().splitlines()]
    standing = Annotation.objects.standing().filter(query__prompt__is_holdout=False)
    assert sum(len(row["annotations"]) for row in rows) == standing.count() > 10
    assert {row["source"] for row in rows} == {"toy"}
