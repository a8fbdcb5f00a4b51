"""The researcher sets up routing and a judge in a browser, with and without a script."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Judge, Query
from annotator.services import judges
from annotator.services.campaigns import add_member
from tests.annotator.judged import add, route, say
from tests.campaigns import ask, make_campaign
from tests.e2e.shots import check_phone, shoot
from tests.e2e.shown import as_person

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
ADMIN = "/admin/annotator"
ADD = f"{ADMIN}/campaign/add/"
BUTTON = "input[name=_show_options][data-region=routing]"


def fill(page: Any) -> None:
    page.fill("#id_name", "Sea")
    page.fill("#id_slug", "sea")
    page.fill("#id_routing_audit", "0.4")


def test_the_options_follow_the_policy(page: Any, live_server: Any, ruth: User) -> None:
    as_person(page.context, ruth, live_server.url)
    page.goto(live_server.url + ADD)
    fill(page)
    page.select_option("#id_routing", "guaranteed")
    page.wait_for_selector("#id_routing_alpha")
    assert "guaranteed" in page.inner_text("#said-routing")
    assert page.locator("#id_routing_floor").count() == 0
    assert page.input_value("#id_routing_audit") == "0.4"
    assert page.locator("#id_option_screen").count() == 1  # the other region is left alone
    page.fill("#id_people_only", "safety")
    shoot(page, "campaign-routing")
    check_phone(page)
    page.press("#id_routing_alpha", "Enter")
    page.wait_for_url("**/admin/annotator/campaign/")
    campaign = Campaign.objects.get()
    assert (campaign.routing, campaign.routing_config) == ("guaranteed", {"audit": 0.4})
    assert campaign.people_only == ["safety"]


def test_without_a_script_a_button_shows_the_options(
    browser: Any, live_server: Any, ruth: User
) -> None:
    context = browser.new_context(java_script_enabled=False)
    as_person(context, ruth, live_server.url)
    page = context.new_page()
    page.goto(live_server.url + ADD)
    fill(page)
    page.select_option("#id_routing", "guaranteed")
    page.click(BUTTON)
    assert page.input_value("#id_routing_audit") == "0.4"
    assert not Campaign.objects.exists()
    page.fill("#id_routing_alpha", "0.05")
    page.press("#id_routing_alpha", "Enter")
    assert Campaign.objects.get().routing_config == {"audit": 0.4, "alpha": 0.05}
    context.close()


def test_a_judge_is_added_by_hand_and_its_troubles_are_read(
    page: Any, live_server: Any, ruth: User
) -> None:
    campaign = make_campaign()
    add_member(campaign=campaign, user=ruth, role="owner")
    as_person(page.context, ruth, live_server.url)
    page.goto(f"{live_server.url}{ADMIN}/judge/add/")
    check_phone(page)
    shoot(page, "judge-add")
    page.select_option("#id_campaign", label="Sky")
    page.fill("#id_name", "small-judge")
    page.fill("#id_base_url", "http://localhost:11434/v1")
    page.fill("#id_model", "qwen2.5:7b")
    page.fill("#id_key_name", "sk-not-a-name")
    page.press("#id_key_name", "Enter")
    page.wait_for_selector(".field-key_name .errorlist")
    assert "JUDGE_KEY_" in page.inner_text(".field-key_name .errorlist")
    page.fill("#id_key_name", "JUDGE_KEY_SMALL")
    page.press("#id_key_name", "Enter")
    page.wait_for_url("**/admin/annotator/judge/")
    judge = Judge.objects.get()
    judges.stop_asking(judge=judge, why="the workers have no JUDGE_KEY_SMALL in their environment")
    page.goto(f"{live_server.url}{ADMIN}/judge/{judge.pk}/change/")
    assert "no JUDGE_KEY_SMALL" in page.inner_text(".field-stands")
    check_phone(page)
    shoot(page, "judge-change")


def test_judgements_and_routes_fit_a_phone(page: Any, live_server: Any, ruth: User) -> None:
    campaign = make_campaign()
    add_member(campaign=campaign, user=ruth, role="owner")
    judge = add(campaign)
    ask(campaign)
    for query in Query.objects.all():
        made = say(judge, query)
        route(judge, query)
    as_person(page.context, ruth, live_server.url)
    for name in ("judge/", "judgement/", "route/", f"judgement/{made.pk}/change/"):
        page.goto(f"{live_server.url}{ADMIN}/{name}")
        check_phone(page)
        shoot(page, name.strip("/").replace("/", "-"))
