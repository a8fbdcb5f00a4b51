"""What is said of a judge once people have answered the same questions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.models import Campaign, Judge, JudgeReport
from annotator.services import judges, routes
from annotator.services.campaigns import add_member, create_campaign, start_campaign
from learning.errors import NotEnoughData
from tests.annotator.acts import lease
from tests.campaigns import item, join, load
from tests.learning.judges.judging import Server, always_a, responses_in, serving
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import space
from worker.heard import judged

pytestmark = pytest.mark.django_db


def longer_unless_odd(body: Any) -> str:
    """Likes long answers, but not to questions with an odd number of characters' worth of tags."""
    shown = responses_in(body)
    text = body["messages"][-1]["content"]
    choose = min if "odd question" in text else max
    best = choose(shown, key=lambda letter: len(shown[letter]))
    return f'{{"reason": "r", "choice": "{best}", "strength": 2, "confidence": 80}}'


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(decide=longer_unless_odd, key="") as found:
        yield found


def tagged(number: int) -> dict[str, Any]:
    """Every fourth question is odd, and the judge gets all of these wrong."""
    odd = number % 4 == 0
    prompt = f"Question {number}: an {'odd' if odd else 'even'} question?"
    models = ["mistral-7b", "claude-3-opus"]
    row = rich(number)
    for response, model in zip(row["responses"], models, strict=True):
        response["model"] = model
    return row | {"prompt": prompt, "subset": "odd" if odd else "even"}


@pytest.fixture
def measured(ada: User, server: Server) -> Judge:
    """A judge that was measured on the history of a campaign."""
    fields = FIELDS | {"routing_config": {"pilot": 30}}
    campaign = create_campaign(slug="loop", name="Loop", **fields)
    load(campaign, [tagged(n) for n in range(80)], history=True)
    load(campaign, [tagged(n) for n in range(80, 120)])
    join(campaign, ada)
    start_campaign(campaign=campaign)
    judge = judges.add_judge(
        campaign=campaign, name="tiny", model="tiny", base_url=server.url, history_sample=40
    )
    work()
    work()
    return judge


def test_a_report_says_where_the_judge_is_wrong(measured: Judge) -> None:
    report = JudgeReport.objects.get(judge=measured)
    figures = report.figures
    assert report.audited == figures["audited"] >= 38
    tags = {one["tag"]: one for one in figures["bias"]["tags"]}
    assert tags["odd"]["agreement"]["value"] == 0
    assert tags["even"]["agreement"]["value"] == 1
    even = tags["even"]["n"] / figures["audited"]
    assert figures["bias"]["raw"]["agreement"]["value"] == pytest.approx(even)
    assert 0.5 < even < 0.9
    assert figures["bias"]["position"]["first"]["value"] == 0.5
    assert figures["bias"]["position"]["consistent"]["value"] == 1
    assert figures["risk_coverage"]["risk"][-1] == pytest.approx(1 - even)
    assert not figures["guarantee"]["certified"]  # one in four is wrong, one in five allowed
    assert figures["human_error"]["pairs"] == 0
    assert figures["drift"]["sentence"] == ""
    strongest = {one["sign"]: one["effect"] for one in figures["effects"] if one["tag"]}
    assert strongest["odd"] > 0 > strongest["even"]
    steps = figures["frontier"]
    assert steps[4]["routed"]["value"] > steps[4]["random"] + 0.05


def test_the_page_shows_it(measured: Judge, client: Client, ruth: User) -> None:
    add_member(campaign=measured.campaign, user=ruth, role="researcher")
    client.force_login(ruth)
    shown = client.get("/c/loop/judges/").content.decode()
    assert "How good tiny is" in shown
    assert shown.count("<svg") > 3
    assert "Labels that are right" in shown
    assert "tag <bdi>odd</bdi>" in shown
    worst_first = shown[shown.index("By tag, the worst first") :]
    assert worst_first.index("<bdi>odd</bdi>") < worst_first.index("<bdi>even</bdi>")
    assert "No share of its answers can be promised" in shown
    assert "chose what was shown first" in shown


def test_questions_of_a_kind_that_it_gets_wrong_go_to_people(measured: Judge) -> None:
    campaign = measured.campaign
    found = space.load(campaign, progress=lambda done, total: None)
    table = judged(campaign, measured, found)
    assert table.names == ("even", "odd")
    error: dict[bool, list[float]] = {True: [], False: []}
    for route in _routes(campaign):
        error["odd" in route.query.item.extra["subset"]].append(route.error)
    assert min(error[True]) > max(error[False])


def _routes(campaign: Campaign) -> list[Any]:
    from annotator.models import Route

    return list(Route.objects.filter(query__campaign=campaign).select_related("query__item"))


def test_a_report_is_made_anew_when_a_quarter_more_was_audited(measured: Judge, ada: User) -> None:
    campaign = measured.campaign
    routes.ask_judge(campaign)
    work()
    assert JudgeReport.objects.count() == 1
    judges.change_judge(judge=measured, history_sample=60)
    routes.ask_judge(campaign)
    work()
    assert [one.audited for one in JudgeReport.objects.all()] == sorted(
        (one.audited for one in JudgeReport.objects.all()), reverse=True
    )
    assert JudgeReport.objects.count() == 2


def test_a_figure_that_cannot_be_had_keeps_no_question_waiting(
    measured: Judge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any, **more: Any) -> Any:
        raise NotEnoughData("nothing to measure")

    JudgeReport.objects.all().delete()
    monkeypatch.setattr("worker.judge_report.measure", broken)
    routes.ask_judge(measured.campaign)
    work()
    assert not JudgeReport.objects.exists()
    assert not routes.unrouted(measured.campaign).exists()
    assert "could not be measured" in caplog.text


def test_a_judge_is_kept_from_answers_of_its_own_kin(ada: User, server: Server) -> None:
    rows = [tagged(n) for n in range(40)]
    for row in rows:
        row["responses"][0]["model"] = "vendor/Tiny-2026-01-31"
    fields = FIELDS | {"routing_config": {"pilot": 0}}
    campaign = create_campaign(slug="loop", name="Loop", **fields)
    load(campaign, rows)
    start_campaign(campaign=campaign)
    judge = judges.add_judge(campaign=campaign, name="kin", model="tiny", base_url=server.url)
    work()
    work()
    assert set(judge.judgements.values_list("related", flat=True)) == {True}
    assert {(one.to, one.reason) for one in _routes(campaign)} == {("human", "related")}


def test_a_judge_that_follows_the_order_of_display_is_found_out(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **(FIELDS | {"batch_size": 60}))
    load(campaign, [item(n) for n in range(80)])
    start_campaign(campaign=campaign)
    with serving(decide=always_a, key="") as server:
        judge = judges.add_judge(campaign=campaign, name="a", model="tiny", base_url=server.url)
        work()
        work()
    judge.refresh_from_db()
    assert judge.trouble == "its verdict followed the order of display in 40 of 40 questions"
    assert judges.asked(campaign) is None
    assert {one.to for one in _routes(campaign)} == {"human"}


def test_a_judge_that_gets_worse_is_left_and_people_get_everything(
    ada: User, server: Server
) -> None:
    campaign = create_campaign(
        slug="loop", name="Loop", **(FIELDS | {"holdout_prompts": 0.0, "holdout_share": 0.0})
    )
    load(campaign, [rich(n) for n in range(90)], history=True)
    load(campaign, [rich(n) for n in range(90, 110)])
    join(campaign, ada)
    start_campaign(campaign=campaign)
    settings = {"model": "tiny", "base_url": server.url, "history_sample": 60}
    judge = judges.add_judge(campaign=campaign, name="tiny", **settings)
    work()
    work()
    assert judges.asked(campaign) == judge
    server.decide = lambda body: longer_unless_odd(
        {"messages": [{"content": body["messages"][-1]["content"] + "odd question"}]}
    )
    judges.change_judge(judge=judge, history_sample=90)
    routes.ask_judge(campaign)
    work()
    judge.refresh_from_db()
    assert judge.trouble.startswith("it got worse: wrong in 100% of the last 30 audited")
    assert judges.asked(campaign) is None
    judges.change_judge(judge=judge)  # somebody has looked at it
    found = space.load(campaign, progress=lambda done, total: None)
    assert judged(campaign, judge, found).audit.sum() == 0  # and it is measured anew


def test_win_rates_join_people_and_judge(ada: User, server: Server) -> None:
    fields = FIELDS | {"routing_config": {"audit": 0.5}, "batch_size": 24, "random_share": 0.1}
    campaign = create_campaign(slug="loop", name="Loop", **fields)
    load(campaign, [tagged(n) for n in range(120)])
    join(campaign, ada)
    start_campaign(campaign=campaign)
    judges.add_judge(campaign=campaign, name="tiny", model="tiny", base_url=server.url)
    work()
    work()
    assert prefer_longer(campaign, ada) > 0
    assert lease(campaign, ada) is None
    routes.ask_judge(campaign)
    work()
    rates = {one["model"]: one for one in JudgeReport.objects.latest("pk").figures["win_rates"]}
    assert set(rates) == {"mistral-7b", "claude-3-opus"}
    for one in rates.values():
        assert one["anchored"]["low"] <= one["anchored"]["value"] <= one["anchored"]["high"]
    # People prefer the longer response, which is the second one here.
    assert rates["claude-3-opus"]["classical"]["value"] == 1
