"""People's time: counted, and told of once when it is up."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Annotation, Campaign, Delivery
from annotator.services import budgets
from annotator.services.webhooks import add_webhook
from tests.annotator.acts import answer, lease
from tests.annotator.api.scripts import Script


@pytest.fixture
def listening(campaign: Campaign, ruth: User) -> Campaign:
    add_webhook(campaign=campaign, url="https://example.org/", events=["budget.reached"], user=ruth)
    Campaign.objects.update(human_minutes=0.5)
    campaign.refresh_from_db()
    return campaign


def give(campaign: Campaign, person: User, seconds: int) -> None:
    answer(lease(campaign, person), person, "a2", active_ms=1000 * seconds)


def told() -> list[Any]:
    return [one.payload for one in Delivery.objects.order_by("created_at")]


def test_it_is_told_once_that_peoples_time_is_up(listening: Campaign, ada: User) -> None:
    give(listening, ada, 20)
    assert not budgets.spent(listening)
    assert budgets.human_seconds_left(listening) == 10
    give(listening, ada, 15)
    assert [budgets.spent(listening) for _ in range(3)] == [True] * 3
    assert budgets.human_seconds_left(listening) == 0
    assert told() == [{"budget": "people", "minutes": 0.5}]


def test_it_is_told_again_when_more_time_is_up_too(listening: Campaign, ada: User) -> None:
    give(listening, ada, 35)
    budgets.spent(listening)
    listening.human_minutes = 1
    assert not budgets.spent(listening)
    give(listening, ada, 35)
    assert budgets.spent(listening)
    assert told() == [{"budget": "people", "minutes": n} for n in (0.5, 1)]


def test_without_a_limit_it_is_never_up_and_history_costs_nothing(
    listening: Campaign, ada: User
) -> None:
    give(listening, ada, 35)
    listening.human_minutes = None
    assert not budgets.spent(listening)
    listening.human_minutes = 0.5
    assert Annotation.objects.filter(via="page").count() == 1
    history = Campaign.objects.get()
    Annotation.objects.create(
        campaign=history,
        query=history.queries.last(),
        annotator=history.annotators.first(),
        via="import",
        outcome="tie",
        active_ms=60_000,
    )
    assert budgets.human_seconds(listening) == 35


def test_the_event_is_offered_over_rest(campaign: Campaign, ruth: User) -> None:
    body = {"url": "https://example.org/hook", "events": ["budget.reached"]}
    made = Script(ruth).post(f"campaigns/{campaign.slug}/webhooks/", body)
    assert made.json()["events"] == ["budget.reached"]


def test_the_event_is_offered_in_the_admin(campaign: Campaign, as_ruth: Client) -> None:
    page = as_ruth.get("/admin/annotator/webhook/add/")
    assert 'value="budget.reached"' in page.content.decode()
