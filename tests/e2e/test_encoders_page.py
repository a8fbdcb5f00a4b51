"""A researcher trains, stops, rolls back and takes back encoders with the keyboard alone."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, EncoderVersion, Job, TrainingEstimate
from annotator.services import estimates, finetuning
from annotator.services.campaigns import add_member
from tests.annotator.finetuned import FIGURES, begun, ended, measured
from tests.campaigns import make_campaign
from tests.e2e.axe import check
from tests.e2e.keyboard import tab_to
from tests.e2e.shots import check_phone, shoot
from tests.e2e.shown import as_person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


@pytest.fixture
def campaign(ruth: User) -> Campaign:
    made = make_campaign()
    add_member(campaign=made, user=ruth, role="owner")
    return made


def opened(page: Any, live_server: Any, ruth: User) -> Any:
    as_person(page.context, ruth, live_server.url)
    page.goto(f"{live_server.url}/c/sky/encoders/")
    return page


def press(page: Any, text: str) -> None:
    """Reach a button by Tab and press it."""
    tab_to(page, text)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def used(campaign: Campaign) -> EncoderVersion | None:
    campaign.refresh_from_db()
    return finetuning.in_use(campaign)


def test_a_training_is_started_watched_and_stopped(
    page: Any, live_server: Any, ruth: User, campaign: Campaign
) -> None:
    opened(page, live_server, ruth)
    page.click("summary")
    page.fill("#id_epochs", "2")
    shoot(page, "encoders-start")
    check_phone(page)
    press(page, "Start the training")
    made = EncoderVersion.objects.get()
    assert (made.plan, made.trigger) == ({"epochs": 2}, "asked for by ruth")
    finetuning.report_state(version=made, state="training", detail="loss 0.612")
    Job.objects.filter(kind="finetune").update(state="running", done=40, total=120)
    page.wait_for_selector("text=loss 0.612 (40 of 120)")  # the page looks by itself
    shoot(page, "encoders-training")
    press(page, "Stop the training")
    made.refresh_from_db()
    assert made.state == "cancelled"
    page.wait_for_selector("text=The training was stopped.")


def test_what_it_would_take_is_seen_before_it_is_started(
    page: Any, live_server: Any, ruth: User, campaign: Campaign
) -> None:
    opened(page, live_server, ruth)
    page.click("summary")
    page.fill("#id_epochs", "2")
    tab_to(page, "Estimate first")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Waiting for a worker")
    shoot(page, "encoders-estimating")
    made = TrainingEstimate.objects.get()
    assert (made.plan, made.state) == ({"epochs": 2}, "waiting")
    estimates.record_estimate(estimate_id=made.pk, figures=FIGURES)
    page.wait_for_selector("text=12 to 25 minutes")  # the page looks by itself
    assert page.input_value("#id_epochs") == "2"  # what was chosen stays
    shoot(page, "encoders-estimate")
    check(page, "encoders-estimate")
    check_phone(page)
    press(page, "Start the training")
    assert EncoderVersion.objects.get().plan == {"epochs": 2}


def test_what_keeps_it_from_starting_is_seen_as_well(
    page: Any, live_server: Any, ruth: User, campaign: Campaign
) -> None:
    memory = {**FIGURES["memory"], "fits": False, "available": 2**28}
    measured(campaign, FIGURES | {"memory": memory, "duration": None, "held_out": 3})
    opened(page, live_server, ruth)
    assert page.is_visible("text=It does not fit into memory.")
    shoot(page, "encoders-too-large")
    check(page, "encoders-too-large")
    page.evaluate("document.querySelector('form.export-form').noValidate = true")
    page.fill("#id_epochs", "1000")
    page.click("text=Estimate first")
    page.wait_for_selector("text=less than or equal to 100")
    shoot(page, "encoders-estimate-refused")
    check_phone(page)


def test_one_press_rolls_back_and_one_takes_it_back(
    page: Any, live_server: Any, ruth: User, campaign: Campaign
) -> None:
    ended(campaign)
    second = ended(campaign)
    ended(campaign, promoted=False, reason="that it is better on the holdout may be chance")
    opened(page, live_server, ruth)
    shoot(page, "encoders")
    check(page, "encoders")
    check_phone(page)
    press(page, "Roll back to version 1")
    page.wait_for_selector("text=Version 1 is used from the next round on.")
    press(page, "Roll back to the campaign")
    assert used(campaign) is None
    press(page, "Use version 2 again")
    assert used(campaign) == second


def test_without_a_script_the_buttons_work(
    browser: Any, live_server: Any, ruth: User, campaign: Campaign
) -> None:
    begun(campaign)
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(f"{live_server.url}/c/sky/encoders/")
    page.click("text=Stop the training")
    assert EncoderVersion.objects.get().state == "cancelled"
    page.click("text=Estimate first")
    page.wait_for_selector("text=Waiting for a worker")
    assert page.url == f"{live_server.url}/c/sky/encoders/"
    assert TrainingEstimate.objects.get().state == "waiting"
