"""A judge that nobody knows yet is asked about drawn questions alone, and people answer all."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Judge, JudgeReport, Route
from annotator.services import budgets, judges, rounds
from annotator.services.campaigns import add_member, create_campaign, start_campaign
from learning.routing.deviation import LEAST, Deviation
from learning.routing.policies import PILOT, POLICIES
from tests.annotator import judged
from tests.campaigns import load
from tests.worker.judge_loops import Serve, counted, everything_went_to_people, judge_of, longer
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import heard, piloting, space

pytestmark = pytest.mark.django_db


def arms(judge: Judge) -> Counter[str]:
    return Counter(judge.judgements.values_list("query__arm", flat=True))


def another_round(campaign: Campaign, person: User) -> None:
    prefer_longer(campaign, person)
    rounds.request_round(campaign=campaign, trigger="test")
    work()
    work()


def test_in_the_pilot_the_judge_is_asked_about_what_was_drawn(
    running: Campaign, serve: Serve
) -> None:
    judge = judge_of(running, serve(decide=longer, key=""), pilot=5)
    work()
    work()
    assert arms(judge) == {"random": 3, "policy": 2}  # three are under way in the random arm
    assert everything_went_to_people(running)
    assert counted(running) == {("human", "audit"): 2, ("human", "pilot"): 4}
    assert set(Route.objects.values_list("propensity", flat=True)) == {1.0}
    drawn = set(Route.objects.filter(audit=True).values_list("query", flat=True))
    asked = judge.judgements.filter(query__arm="policy").values_list("query", flat=True)
    assert set(asked) == drawn


def test_once_people_have_answered_the_judge_is_asked_about_everything(
    running: Campaign, ada: User, serve: Serve
) -> None:
    judge = judge_of(running, serve(decide=longer, key=""), pilot=5)
    work()
    work()
    assert not judges.accepted(judge)
    another_round(running, ada)
    assert judges.accepted(judge)
    assert arms(judge) == {"random": 6, "policy": 8}
    assert "judge" in {to for to, _ in counted(running)}
    assert judge.reports.get().figures["pilot"] == {
        "state": "accepted", "audited": 5, "wanted": 5, "doubt": 0.0, "kappa": 0.0
    }  # fmt: skip


def test_a_judge_of_doubtful_taste_is_watched_and_left_alone(
    running: Campaign, ada: User, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = piloting.find

    def doubtful(*given: Any, **more: Any) -> Any:
        return Deviation(3.0, 1.0, 0.6), find(*given, **more)[1]

    judge = judge_of(running, serve(decide=longer, key=""), pilot=5)
    work()
    work()
    with monkeypatch.context() as patch:
        patch.setattr(piloting, "find", doubtful)
        another_round(running, ada)
        assert counted(running)["human", "doubt"] == 5
        assert arms(judge) == {"random": 6, "policy": 3}  # the audit goes on
        assert not judges.accepted(judge)
    another_round(running, ada)
    assert judges.accepted(judge)  # more answers said otherwise
    assert "judge" in {to for to, _ in counted(running)}


def test_who_wants_the_judge_alone_waits_for_no_pilot(running: Campaign, serve: Serve) -> None:
    judge = judge_of(running, serve(decide=longer, key=""), pilot=100)
    Campaign.objects.update(routing="all_judge")
    work()
    work()
    assert arms(judge) == {"random": 3, "policy": 6}
    assert "judge" in {to for to, _ in counted(running)}


@pytest.mark.parametrize("policy", ["random_mix", "judge_confidence", "guaranteed"])
def test_every_policy_that_mixes_has_a_pilot(running: Campaign, serve: Serve, policy: str) -> None:
    judge_of(running, serve(decide=longer, key=""))
    Campaign.objects.update(routing=policy, routing_config={})
    work()
    work()
    assert everything_went_to_people(running)
    assert budgets.pilot_questions(Campaign.objects.get()) == 100


def test_history_that_accepts_a_judge_is_pilot_enough(ada: User, serve: Serve) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(campaign, [rich(number) for number in range(60)], history=True)
    load(campaign, [rich(number) for number in range(60, 90)])
    start_campaign(campaign=campaign)
    judge = judge_of(campaign, serve(decide=longer, key=""), pilot=35, history_sample=40)
    work()
    work()
    assert arms(judge)["imported"] >= 35
    assert arms(judge)["policy"] == 6
    assert judges.accepted(judge)
    assert "judge" in {to for to, _ in counted(campaign)}
    judges.change_judge(judge=judge, model="another")  # which is another judge
    judge.refresh_from_db()
    assert not judges.accepted(judge)


def test_without_time_of_people_a_pilot_waits(running: Campaign, serve: Serve) -> None:
    Campaign.objects.update(human_minutes=4.2)
    judge_of(running, serve(decide=longer, key=""), pilot=5)
    work()
    work()
    assert counted(running) == {("human", "audit"): 2, ("nobody", "budget"): 4}


def test_a_second_attempt_draws_the_same(running: Campaign, serve: Serve) -> None:
    judge = judge_of(running, serve(decide=longer, key=""), pilot=4)
    work()
    found = space.load(running, progress=lambda done, total: None)
    table = heard.judged(running, judge, found)
    pilot, _ = piloting.look(running, found, table, heard.people_error(running))
    assert (pilot.state, pilot.audited, pilot.wanted) == ("pilot", 0, 4)
    drawn = piloting.draw(running, pilot, table)
    assert len(drawn) == 4
    np.testing.assert_array_equal(drawn, piloting.draw(running, pilot, table))


@pytest.mark.parametrize(
    ("minutes", "pilot", "wanted"), [(None, 100, 100), (10, 100, 30), (60, 100, 60), (600, 80, 80)]
)
def test_a_small_budget_has_a_small_pilot(
    running: Campaign, minutes: float | None, pilot: int, wanted: int
) -> None:
    running.human_minutes, running.routing_config = minutes, {"pilot": pilot}
    assert budgets.pilot_questions(running) == wanted


def test_both_sides_know_the_same_pilot() -> None:
    assert (budgets.PILOT, budgets.FEWEST) == (PILOT, LEAST)
    assert set(budgets.AT_ONCE) == {"all_human", "all_judge"} < set(POLICIES)


def test_the_page_says_how_far_the_pilot_is(
    running: Campaign, ada: User, ruth: User, client: Client, serve: Serve
) -> None:
    add_member(campaign=running, user=ruth, role="researcher")
    client.force_login(ruth)
    judge = judge_of(running, serve(decide=longer, key=""), pilot=5)

    def shown() -> str:
        return client.get("/c/loop/judges/").content.decode()

    work()
    work()
    assert "have decided 0 questions drawn at random, and 5 are wanted" in shown()
    assert "the judge is being measured first" in shown()
    prefer_longer(running, ada)
    assert "have decided 5 questions drawn at random, and 5 are wanted" in shown()
    figures = judged.figures()
    judges.record_report(judge=judge, audited=5, figures=figures | {"pilot": {"state": "doubt"}})
    assert "its taste seems another than people's" in shown().replace("&#x27;", "'")
    JudgeReport.objects.update(figures=figures | {"pilot": {"state": "accepted"}})
    assert "The pilot is over: by 5 questions" in shown()
