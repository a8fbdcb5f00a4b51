"""A thousand questions, an endpoint that fails in every way, and a worker that is killed."""

from __future__ import annotations

import os
import signal
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Count, Sum

from annotator.models import Annotation, Campaign, Job, JudgeCall, Judgement, Query, Route, Slot
from annotator.services import judges, routes
from annotator.services.campaigns import create_campaign
from config.broker import install_queue_schema
from tests.campaigns import item, load
from tests.learning.judges.judging import completion, serving, shorter_is_better
from tests.worker.processes import process, until
from tests.worker.test_killed import alive, children_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(300),
    pytest.mark.concurrent,
]
QUESTIONS = 1000


def troubled(handler: Any, body: Any, count: int) -> bool:
    """Of a hundred requests: rate limits, faults, broken connections, broken JSON."""
    kind = count % 100
    if kind in (3, 43):
        handler.say(429, {"error": {"message": "slow down"}}, Retry_After="0")
    elif kind in (17, 57):
        handler.say(500, {"error": {"message": "oops"}})
    elif kind in (23, 63):
        handler.say(200, b'{"choices": [', size=5000)  # cut off
    elif kind in (37, 77):
        handler.say(200, completion('{"reason": "x", "choice": ', model="tiny"))
    else:
        return False
    return True


@pytest.fixture
def campaign(ruth: User) -> Campaign:
    """Each question is in the random arm, so that the judge is asked about all of them."""
    install_queue_schema()
    made = create_campaign(slug="sea", name="Sea", owner=ruth, encoder="hashed")
    load(made, [item(number) for number in range(QUESTIONS)])
    Campaign.objects.filter(pk=made.pk).update(state="running", queue_low=0)
    made.refresh_from_db()
    rows = list(made.items.prefetch_related("places"))
    queries = Query.objects.bulk_create(
        Query(campaign=made, item=row, prompt_id=row.prompt_id, form="compare", arm="random")
        for row in rows
    )
    through = Query.responses.through
    through.objects.bulk_create(
        through(query=query, response_id=place.response_id)
        for query, row in zip(queries, rows, strict=True)
        for place in row.places.all()
    )
    Slot.objects.bulk_create(Slot(campaign=made, query=query, place=1) for query in queries)
    return made


def test_every_question_is_answered_once_and_paid_once(campaign: Campaign, tmp_path: Path) -> None:
    with serving(troubled, shorter_is_better, key="") as server:
        judge = judges.add_judge(
            campaign=campaign,
            name="tiny",
            model="tiny",
            base_url=server.url,
            price_in=1,
            price_out=2,
            workers=8,
        )
        routes.ask_judge(campaign)
        with process("beat", tmp_path):
            with process("worker", tmp_path) as first:
                until(lambda: Judgement.objects.count() > 300, seconds=120, what="a third of it")
                spawned = children_of(first.pid)
                os.kill(first.pid, signal.SIGKILL)
                first.wait()
                until(lambda: not any(map(alive, spawned)), what="the end of the children")
            half = Judgement.objects.count()
            assert half < QUESTIONS
            with process("worker", tmp_path):
                until(
                    lambda: not Job.objects.live().filter(kind="judge").exists(),
                    seconds=200,
                    what="the run's end",
                )
    job = Job.objects.filter(kind="judge").latest("pk")
    assert (job.state, job.attempt) == ("done", 2)
    judge.refresh_from_db()
    assert judge.trouble == ""
    assert Counter(Judgement.objects.values_list("error", flat=True)) == {"": QUESTIONS}
    per_question = Annotation.objects.filter(annotator=judge.annotator).values("query")
    assert per_question.annotate(n=Count("pk")).filter(n=1).count() == QUESTIONS
    calls = JudgeCall.objects.values("judgement").annotate(n=Count("pk"))
    assert set(calls.values_list("n", flat=True)) == {2}
    # A reply that was no JSON was paid for, too: 100 tokens in and 10 out each, at 1 and 2.
    repaired = JudgeCall.objects.filter(tokens_in=200).count()
    paid = (2 * QUESTIONS + repaired) * Decimal("0.000120")
    assert repaired > 10
    assert judges.spent(judge) == paid == JudgeCall.objects.aggregate(s=Sum("money"))["s"]
    assert not Route.objects.exists()  # the random arm is people's, whatever the judge says
