"""Who listens is told when the money for a judge is spent."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Delivery, Judge
from annotator.services.judges import add_judge
from annotator.services.webhooks import add_webhook
from tests.learning.judges.judging import serving
from tests.worker.loops import work
from tests.worker.test_judging import longer


@pytest.mark.django_db
def test_the_money_that_a_judge_cost_is_told_when_its_limit_is_reached(
    running: Campaign, ruth: User
) -> None:
    add_webhook(campaign=running, url="https://example.org/", events=["budget.reached"], user=ruth)
    with serving(decide=longer, key="") as server:
        settings = {"base_url": server.url, "model": "tiny", "price_in": 1, "price_out": 2}
        limit = Decimal("0.002")  # two questions in both orders, and not a third
        add_judge(campaign=running, name="tiny-judge", spend_limit=limit, workers=1, **settings)
        work()  # the round
        work()  # the judge
    (told,) = Delivery.objects.values_list("payload", flat=True)
    assert told.keys() == {"budget", "judge", "money"}
    assert (told["budget"], told["judge"]) == ("judge", "tiny-judge")
    assert 0 <= Decimal(told["money"]) <= limit
    assert "left" in Judge.objects.get().trouble
