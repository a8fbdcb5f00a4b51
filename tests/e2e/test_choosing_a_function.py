"""The researcher's form in a browser: parameters follow the function, with and without a script."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign
from tests.e2e.shown import as_person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
ADD = "/admin/annotator/campaign/add/"
BUTTON = "input[name=_show_options][data-region=acquisition]"


def fill(page: Any) -> None:
    page.fill("#id_name", "Sea")
    page.fill("#id_slug", "sea")
    page.fill("#id_option_screen", "2.5")


def test_the_parameters_follow_the_function_and_the_keyboard_is_enough(
    page: Any, live_server: Any, ruth: User
) -> None:
    as_person(page.context, ruth, live_server.url)
    page.goto(live_server.url + ADD)
    assert page.locator("input[name=_show_options]").count() == 0  # the script does it
    fill(page)
    page.focus("#id_acquisition")
    page.keyboard.type("balpm")
    page.wait_for_selector("#id_option_beta")
    assert page.evaluate("document.activeElement.id") == "id_acquisition"
    assert "balpm" in page.inner_text("#said-acquisition")
    assert page.input_value("#id_option_screen") == "2.5"
    page.fill("#id_option_beta", "-1")
    page.keyboard.press("Enter")  # saves, as Enter does in every form of the admin
    page.wait_for_selector(".field-option_beta .errorlist")
    assert "beta must be at least" in page.inner_text(".field-option_beta .errorlist")
    assert page.input_value("#id_option_beta") == "-1"
    assert page.input_value("#id_name") == "Sea"
    page.fill("#id_option_beta", "0.5")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/annotator/campaign/")
    campaign = Campaign.objects.get()
    assert campaign.acquisition == "balpm"
    assert campaign.acquisition_config == {"screen": 2.5, "beta": 0.5}


def test_without_a_script_a_button_shows_the_parameters(
    browser: Any, live_server: Any, ruth: User
) -> None:
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(live_server.url + ADD)
    fill(page)
    page.select_option("#id_acquisition", "balpm")
    page.click(BUTTON)
    assert page.input_value("#id_option_screen") == "2.5"
    assert page.input_value("#id_name") == "Sea"
    assert page.locator(".errornote").count() == 0
    assert not Campaign.objects.exists()
    page.fill("#id_option_k", "7")
    page.press("#id_option_k", "Enter")
    assert Campaign.objects.get().acquisition_config == {"screen": 2.5, "k": 7}
    context.close()


def test_when_the_server_is_away_the_button_comes_back(
    page: Any, live_server: Any, ruth: User
) -> None:
    as_person(page.context, ruth, live_server.url)
    page.goto(live_server.url + ADD)
    page.context.set_offline(True)
    page.select_option("#id_acquisition", "balpm")
    page.wait_for_selector(BUTTON)
    page.context.set_offline(False)
    page.click(BUTTON)
    page.wait_for_selector("#id_option_beta")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_form_does_not_scroll_sideways(
    page: Any, live_server: Any, ruth: User, width: int
) -> None:
    as_person(page.context, ruth, live_server.url)
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(live_server.url + ADD)
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


FORM_BUTTON = "input[name=_show_options][data-region=form]"


def test_the_options_follow_the_forms(page: Any, live_server: Any, ruth: User) -> None:
    as_person(page.context, ruth, live_server.url)
    page.goto(live_server.url + ADD)
    fill(page)
    page.fill("#id_asked_rationale_tags", "clear, correct")
    page.select_option("#id_form", "rate")
    page.wait_for_selector("#id_asked_rate_labels")
    assert page.locator("#id_asked_compare_steps").count() == 0
    page.fill("#id_asked_rate_aspects", "helpful, truthful")
    page.check("input[name=follow_ups][value=accept]")
    page.wait_for_selector("legend, h2 >> text=Options of accept")
    assert "rate, accept" in page.inner_text("#said-form")
    assert page.input_value("#id_asked_rate_aspects") == "helpful, truthful"
    assert page.input_value("#id_option_screen") == "2.5"  # the other region is left alone
    page.press("#id_set_size", "Enter")
    page.wait_for_url("**/admin/annotator/campaign/")
    campaign = Campaign.objects.get()
    assert (campaign.form, campaign.follow_ups) == ("rate", ["accept"])
    assert campaign.form_options == {
        "rate": {"aspects": ["helpful", "truthful"]},
        "rationale": {"tags": ["clear", "correct"]},
    }


def test_without_a_script_a_button_shows_the_options_of_the_forms(
    browser: Any, live_server: Any, ruth: User
) -> None:
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(live_server.url + ADD)
    fill(page)
    page.select_option("#id_form", "rank")
    page.check("input[name=follow_ups][value=accept]")
    page.click(FORM_BUTTON)
    page.select_option("#id_asked_rank_ties", "false")
    page.press("#id_asked_rationale_share", "Enter")
    campaign = Campaign.objects.get()
    assert (campaign.form, campaign.form_options) == ("rank", {"rank": {"ties": False}})
    context.close()
