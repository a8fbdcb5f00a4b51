"""What a judge and people may spend, and what becomes of the questions when it is spent."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Delivery
from annotator.services import judges, rounds, routes, webhooks
from tests.annotator.acts import answer, lease
from tests.learning.judges.judging import always_a, completion
from tests.worker.judge_loops import Serve, counted, everything_went_to_people, judge_of, longer
from tests.worker.loops import work

pytestmark = pytest.mark.django_db


def test_money_that_runs_out_in_the_middle_leaves_the_rest_to_people(
    running: Campaign, serve: Serve
) -> None:
    webhooks.add_webhook(
        campaign=running, url="https://x.example/", events=["budget.reached"], user=None
    )
    limit = Decimal("0.035")

    def dear(handler: Any, body: Any, count: int) -> bool:
        handler.say(200, completion(longer(body), usage=(2000, 500)))
        return True

    judge = judge_of(running, serve(dear, key=""), spend_limit=limit, workers=1)
    work()
    work()
    judge.refresh_from_db()
    answered = judge.judgements.filter(query__arm="policy").count()
    assert 0 < answered < 6
    assert "is left" in judge.trouble
    assert 0 < judges.spent(judge) <= limit
    told = counted(running)
    assert told["human", "no_judge"] == 6 - answered
    assert told.total() == 6  # what was answered is routed as ever
    [heard_of] = Delivery.objects.values_list("payload", flat=True)
    money = f"{judges.spent(judge):f}"
    assert heard_of == {"budget": "judge", "judge": "tiny-judge", "money": money}


def spend(campaign: Campaign, person: User, minutes: float) -> None:
    """Answer one question, slowly."""
    answer(lease(campaign, person), person, "a2", active_ms=str(int(60_000 * minutes)))


def test_when_peoples_time_is_up_the_judge_goes_on_alone(
    running: Campaign, ada: User, serve: Serve
) -> None:
    Campaign.objects.update(human_minutes=5)
    running.refresh_from_db()
    judge = judge_of(running, serve(decide=longer, key=""))
    work()
    work()
    spend(running, ada, 6)
    rounds.request_round(campaign=running, trigger="test")
    work()
    newest = running.rounds.order_by("-number").first()
    assert newest is not None
    assert set(newest.queries.values_list("arm", flat=True)) == {"policy"}
    work()
    assert set(newest.queries.values_list("route__to", flat=True)) == {"judge"}
    assert newest.queries.filter(slots__isnull=False).count() == 0
    assert judge.judgements.count() > 9


def test_what_nobody_may_answer_waits_until_there_is_time_again(
    running: Campaign, ada: User, serve: Serve
) -> None:
    Campaign.objects.update(human_minutes=5)
    running.refresh_from_db()
    judge_of(running, serve(decide=always_a, key=""))
    work()
    spend(running, ada, 6)
    work()  # the judge, who is not believed
    assert set(counted(running)) == {("nobody", "budget")}
    assert not routes.go_on(running)
    Campaign.objects.update(human_minutes=60)
    running.refresh_from_db()
    assert routes.go_on(running)
    work()
    assert everything_went_to_people(running)


def test_without_a_judge_no_round_starts_once_peoples_time_is_up(
    running: Campaign, ada: User
) -> None:
    work()
    Campaign.objects.update(human_minutes=1)
    running.refresh_from_db()
    spend(running, ada, 2)
    Campaign.objects.update(queue_low=1000)
    running.refresh_from_db()
    assert rounds.request_round_if_due(campaign=running) is None
    running.refresh_from_db()
    assert running.budget_spent_at is not None
    Campaign.objects.update(human_minutes=None)
    running.refresh_from_db()
    assert rounds.request_round_if_due(campaign=running) is not None
    running.refresh_from_db()
    assert running.budget_spent_at is None
