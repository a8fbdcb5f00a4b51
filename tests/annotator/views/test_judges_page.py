"""The page of judges and routing: who may see it, and what stands there at first."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Query, Route
from annotator.services import judges
from annotator.services.campaigns import add_member
from tests.annotator import judged

pytestmark = pytest.mark.django_db


def page(client: Client, campaign: Campaign) -> str:
    answer = client.get(f"/c/{campaign.slug}/judges/")
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_campaign_without_judges_says_so(as_ruth: Client, campaign: Campaign) -> None:
    assert "This campaign has no judge: people answer everything." in page(as_ruth, campaign)
    assert "Judges and routing" not in as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()


def test_a_judge_is_listed_with_what_is_wrong_with_it(as_ruth: Client, campaign: Campaign) -> None:
    judge = judges.add_judge(
        campaign=campaign, name="big", model="big-1", base_url="http://x.example/v1", spend_limit=5
    )
    judges.stop_asking(judge=judge, why="the endpoint refused the key <b>")
    shown = page(as_ruth, campaign)
    assert "the endpoint refused the key &lt;b&gt;" in shown
    assert "5.00" in shown
    assert "Nothing has been routed yet." in shown
    assert "How good the judge is will stand here" in shown
    assert "Judges and routing" in as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()


def test_routes_are_counted_by_destination_and_reason(as_ruth: Client, campaign: Campaign) -> None:
    prompt = campaign.prompts.first()
    for to, reason in [("human", "audit"), ("judge", "value"), ("judge", "value")]:
        query = Query.objects.create(campaign=campaign, prompt=prompt, form="compare", arm="policy")
        Route.objects.create(query=query, to=to, reason=reason, policy="learned", propensity=1)
    shown = page(as_ruth, campaign)
    assert "drawn at random, to measure the judge" in shown
    assert shown.index("by the value of a person") < shown.index("drawn at random, to measure")


def test_a_whole_report_is_shown(as_ruth: Client, campaign: Campaign) -> None:
    judge = judged.add(campaign)
    judges.record_report(judge=judge, audited=40, figures=judged.figures())
    shown = page(as_ruth, campaign)
    for words in (
        "On 40 questions that were drawn at random",
        "At most 20.0\u202f% of its answers would be contradicted",
        "it has not become worse",
        "What people's time would buy",
        "Its own kin's responses: it prefers them in 70.0\u202f% of 12 questions",
        "Something could not be measured.",
        "30 <small>of 12</small>",
    ):
        assert words in shown
    assert shown.count("<svg") >= 3


def test_only_those_who_may_see_figures_see_it(
    client: Client, as_ada: Client, campaign: Campaign, ada: User, sam: User
) -> None:
    address = f"/c/{campaign.slug}/judges/"
    assert client.get(address).status_code == 302
    assert as_ada.get(address).status_code == 404
    add_member(campaign=campaign, user=sam, role="viewer")
    client.force_login(sam)
    assert client.get(address).status_code == 200


def test_the_page_keeps_its_budget_of_queries(
    as_ruth: Client, campaign: Campaign, django_assert_max_num_queries: Any
) -> None:
    judges.add_judge(campaign=campaign, name="a", model="a", base_url="http://x.example/v1")
    judges.add_judge(campaign=campaign, name="b", model="b", base_url="http://x.example/v1")
    with django_assert_max_num_queries(10):
        page(as_ruth, campaign)
