"""Asking a judge over the real protocol, and what becomes of the questions."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import (
    Annotation,
    Campaign,
    Delivery,
    Job,
    Judge,
    JudgeCall,
    Judgement,
    Query,
    Route,
    Slot,
)
from annotator.services import judges, rounds, routes, webhooks
from annotator.services.campaigns import create_campaign, set_state, start_campaign
from tests.campaigns import load
from tests.learning.judges.judging import always_a, responses_in, serving
from tests.worker.judge_loops import (
    Serve,
    counted,
    everything_went_to_people,
    hurried,
    judge_of,
    longer,
)
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from tests.worker.test_forms_rounds import rank_by_length, several, start
from worker import heard, judging, piloting, space

pytestmark = pytest.mark.django_db


def test_a_round_is_judged_in_both_orders_and_then_routed(
    running: Campaign, ada: User, serve: Serve
) -> None:
    judge = judge_of(running, serve(decide=longer, key=""))
    work()  # the round
    assert not Slot.objects.filter(query__arm="policy").exists()
    assert Slot.objects.filter(query__arm__in=["random", "holdout"]).count() == 6
    work()  # the judge
    judged = Judgement.objects.filter(judge=judge)
    assert Counter(judged.values_list("query__arm", flat=True)) == {"policy": 6, "random": 3}
    calls = JudgeCall.objects.filter(judgement__in=judged)
    assert calls.count() == 18
    for one in judged.prefetch_related("calls"):
        straight, turned = (call.order for call in one.calls.all())
        assert (straight, turned) == (one.order, one.order[::-1])
    # 100 tokens in and 10 out a call, at 1 and 2 for a million.
    assert judges.spent(judge) == Decimal("0.002160")
    said = Annotation.objects.filter(annotator=judge.annotator)
    assert set(said.values_list("via", "outcome", "strength")) == {("judge", "preference", 2)}
    assert all("longer" in one.responses_first for one in _with_texts(said))
    told = counted(running)
    assert sum(told.values()) == 6
    people = sum(n for (to, _), n in told.items() if to == "human")
    assert people == Slot.objects.filter(query__arm="policy").count() == 3  # half of the time


def test_webhooks_hear_of_a_judges_answers(running: Campaign, serve: Serve) -> None:
    webhooks.add_webhook(
        campaign=running, url="https://x.example/", events=["annotation.recorded"], user=None
    )
    judge_of(running, serve(decide=longer, key=""))
    work()
    work()
    told = list(Delivery.objects.values_list("payload", flat=True))
    assert len(told) == 9
    assert {one["annotator"] for one in told} == {"tiny-judge"}


def _with_texts(said: Any) -> Any:
    for one in said:
        first = one.query.responses.get(pk=one.tiers[0][0])
        one.responses_first = first.text
        yield one


def ranked(body: Any) -> str:
    shown = responses_in(body)
    order = sorted(shown, key=lambda letter: -len(shown[letter]))
    return json.dumps({"reason": "longer", "ranking": [[letter] for letter in order]})


def test_a_ranking_is_judged_routed_and_learnt_from(ada: User, serve: Serve) -> None:
    campaign = start(ada, [several(n, 4) for n in range(30)], form="rank", random_share=0.5)
    judge_of(campaign, serve(decide=ranked, key=""))
    work()
    work()
    said = Annotation.objects.filter(annotator__kind="llm")
    assert {len(tiers) for tiers in said.values_list("tiers", flat=True)} == {4}
    assert {to for to, _ in counted(campaign)} == {"human", "judge"}
    rank_by_length(campaign, ada)
    found = space.load(campaign, progress=lambda done, total: None)
    judge = campaign.judges.get()
    table = heard.judged(campaign, judge, found)
    assert table.audit.sum() >= 6
    assert (table.wrong[table.audit] == 0).all()
    assert len(heard.heard(campaign, found)) == 6 * said.count()  # six pairs of four


# --- what can go wrong ---------------------------------------------------------------------


def refusing(status: int, said: str) -> Any:
    def behave(handler: Any, body: Any, count: int) -> bool:
        handler.say(status, {"error": {"message": said}})
        return True

    return behave


def replying(text: str) -> Any:
    return lambda body: text


@pytest.mark.parametrize(
    ("settings", "behave", "words"),
    [
        ({"model": "huge"}, None, "does not exist"),
        ({}, refusing(401, "Incorrect API key provided"), "key"),
        ({"key_name": "JUDGE_KEY_GONE"}, None, "no JUDGE_KEY_GONE in their environment"),
        ({"spend_limit": Decimal("0.000100")}, None, "is left"),
        ({"template": {"user": "$no_such_place"}}, None, "no_such_place"),
    ],
)
def test_what_ends_a_run_is_named_and_people_get_the_questions(
    running: Campaign, serve: Serve, settings: Any, behave: Any, words: str
) -> None:
    judge = judge_of(running, serve(behave, longer, key=""), **settings)
    work()
    work()
    judge.refresh_from_db()
    assert words in judge.trouble
    assert judge.retry_at is None  # until somebody changes something
    assert everything_went_to_people(running)
    assert set(counted(running)) == {("human", "no_judge")}


def test_a_host_that_the_operator_no_longer_names_is_not_asked(
    running: Campaign, serve: Serve, settings: Any
) -> None:
    server = serve(decide=longer, key="")
    judge = judge_of(running, server)
    settings.JUDGE_HOSTS = ["api.example.org"]
    work()
    work()
    judge.refresh_from_db()
    assert judge.trouble == "the operator lets no judge be asked at 127.0.0.1 (JUDGE_HOSTS)"
    assert server.replies == 0
    assert everything_went_to_people(running)


def test_an_endpoint_that_is_away_is_tried_again_later(running: Campaign) -> None:
    with serving(decide=longer, key="") as server:
        judge = judge_of(running, server, workers=1)
    work()
    rounds_before = running.rounds.count()
    hurried(work)
    judge.refresh_from_db()
    assert "refused" in judge.trouble or "reach" in judge.trouble
    assert judge.retry_at is not None
    assert everything_went_to_people(running)
    assert running.rounds.count() == rounds_before
    Judge.objects.update(retry_at=judge.troubled_at)
    assert judges.asked(running) == judge


@pytest.mark.parametrize(
    ("decide", "error"),
    [
        (replying("I'm sorry, but I can't help with that."), "refused"),
        (replying(""), "empty_reply"),
        (replying("Die erste Antwort gefällt mir besser."), "malformed"),
        (replying('{"reason": "x", "choice": "Z"}'), "malformed"),
    ],
)
def test_a_reply_that_is_no_verdict_leaves_the_question_to_people(
    running: Campaign, serve: Serve, decide: Any, error: str
) -> None:
    judge = judge_of(running, serve(decide=decide, key=""))
    work()
    work()
    assert set(judge.judgements.values_list("error", "annotation")) == {(error, None)}
    assert not Annotation.objects.filter(annotator=judge.annotator).exists()
    assert everything_went_to_people(running)
    assert judges.spent(judge) > 0  # a reply is paid for, whatever it says
    assert set(JudgeCall.objects.values_list("error", flat=True)) == {error}


def test_a_judge_that_always_says_a_is_not_believed(running: Campaign, serve: Serve) -> None:
    judge = judge_of(running, serve(decide=always_a, key=""))
    work()
    work()
    assert set(judge.judgements.values_list("inconsistent", "p")) == {(True, 0.5)}
    assert everything_went_to_people(running)
    assert set(counted(running)) == {("human", "inconsistent")}


def test_a_key_is_read_where_the_worker_runs_and_stored_nowhere(
    running: Campaign, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY_TINY", "sk-a-very-secret-key")
    judge_of(running, serve(decide=longer), key_name="JUDGE_KEY_TINY")
    work()
    work()
    call = JudgeCall.objects.first()
    assert call is not None
    assert (call.model, call.template, call.error) == ("tiny-2026", "tiny-judge", "")
    assert call.template_version
    assert "choice" in call.reply
    assert [turn["role"] for turn in call.messages] == ["system", "user"]
    stored = str(list(JudgeCall.objects.values())) + str(list(Judge.objects.values()))
    assert "very-secret" not in stored


# --- interruptions -------------------------------------------------------------------------


def test_a_question_is_asked_once_and_paid_once_whatever_attempt_it_is(
    running: Campaign, serve: Serve
) -> None:
    """A worker dies after four questions: the next asks the other five."""

    class Dead(BaseException):
        pass

    server = serve(decide=longer, key="")
    judge = judge_of(running, server, workers=1)
    work()
    keep, kept = judging._Chunk.keep, []

    def dying(self: Any, judged: Any) -> None:
        if len(kept) == 4:
            raise Dead
        kept.append(judged.key)
        keep(self, judged)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judging._Chunk, "keep", dying)
        with pytest.raises(Dead):
            work()
    assert judge.judgements.count() == 4
    Job.objects.filter(kind="judge").update(state="queued", lease_until=None)
    work()
    assert judge.judgements.count() == 9
    assert len(set(judge.judgements.values_list("query", flat=True))) == 9
    assert JudgeCall.objects.count() == 18
    assert judges.spent(judge) == 18 * Decimal("0.000120")


def test_what_was_paid_for_an_answer_that_never_came_is_counted(
    running: Campaign, serve: Serve
) -> None:
    def behave(handler: Any, body: Any, count: int) -> bool:
        if count > 3:  # one question, and one display order of the next
            handler.say(500, {"error": {"message": "out of order"}})
        return count > 3

    judge = judge_of(running, serve(behave, longer, key=""), workers=1)
    work()
    hurried(work)
    judge.refresh_from_db()
    assert "out of order" in judge.trouble
    assert judge.judgements.count() == 1
    assert judge.lost_money == Decimal("0.000120")
    assert judges.spent(judge) == 3 * judge.lost_money


def test_a_pause_stops_asking_and_leaves_everything_as_it_was(
    running: Campaign, serve: Serve
) -> None:
    judge = judge_of(running, serve(decide=longer, key=""), workers=1)
    work()
    with pytest.MonkeyPatch.context() as patch:
        keep = judging._Chunk.keep

        def paused(self: Any, judged: Any) -> None:
            keep(self, judged)
            Campaign.objects.update(state="paused")

        patch.setattr(judging._Chunk, "keep", paused)
        work()
    judge.refresh_from_db()
    assert 0 < judge.judgements.count() < 4
    assert judge.trouble == ""
    assert not Route.objects.exists()
    assert not Slot.objects.filter(query__arm="policy").exists()
    assert not Job.objects.live().exists()
    running.refresh_from_db()
    set_state(campaign=running, state="running")
    assert routes.go_on(running)
    work()
    assert judge.judgements.count() == 9
    assert counted(running).total() == 6


def test_a_question_that_an_endpoint_chokes_on_goes_to_people_and_the_run_goes_on(
    running: Campaign, serve: Serve
) -> None:
    def behave(handler: Any, body: Any, count: int) -> bool:
        poison = str(cursed) in body["messages"][-1]["content"]
        if poison:
            handler.say(500, {"error": {"message": "out of order"}})
        return poison

    judge = judge_of(running, serve(behave, longer, key=""), workers=1)
    work()
    query = Query.objects.filter(arm="policy").order_by("pk")[0]
    cursed = query.prompt.content
    hurried(work)
    judge.refresh_from_db()
    assert (judge.trouble, judge.judgements.count()) == ("", 8)
    assert (query.route.to, query.route.reason) == ("human", "no_judge")
    assert counted(running).total() == 6


def test_questions_that_no_job_decides_about_are_seen_to_by_the_sweep(
    running: Campaign, serve: Serve
) -> None:
    judge = judge_of(running, serve(decide=longer, key=""))
    work()
    Job.objects.filter(kind="judge").delete()
    assert routes.go_on(running)
    assert not routes.go_on(running)  # there is a job for it now
    Job.objects.filter(kind="judge").delete()
    judges.change_judge(judge=judge, active=False)
    assert routes.go_on(running)
    assert everything_went_to_people(running)


def test_a_campaign_goes_on_learning_from_people_and_judge(
    running: Campaign, ada: User, serve: Serve
) -> None:
    judge_of(running, serve(decide=longer, key=""))
    for _ in range(3):
        work()
        work()
        prefer_longer(running, ada)
        rounds.request_round(campaign=running, trigger="test")
    work()
    newest = running.model_versions.filter(kind="all").first()
    control = running.model_versions.filter(kind="random").first()
    assert newest is not None
    assert control is not None
    said = newest.hyperparameters["judges"]
    assert (said["labels"], said["learnt_from"], said["tested"]) == (27, "both", 0)
    assert "judges" not in control.hyperparameters
    people = Annotation.objects.filter(campaign=running, annotator__kind="human").labels()
    trained = people.filter(query__prompt__is_holdout=False).count()
    assert newest.comparisons == trained  # the version by count is people's


def test_a_sample_of_history_measures_a_judge_before_it_decides(ada: User, serve: Serve) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(campaign, [rich(number) for number in range(60)], history=True)
    load(campaign, [rich(number) for number in range(60, 90)])
    start_campaign(campaign=campaign)
    judge = judge_of(campaign, serve(decide=longer, key=""), history_sample=20)
    work()
    work()
    asked = judge.judgements.filter(query__arm="imported")
    assert asked.count() == 20
    assert not asked.filter(query__prompt__is_holdout=True).exists()
    first = set(asked.values_list("query", flat=True))
    found = space.load(campaign, progress=lambda done, total: None)
    table = heard.judged(campaign, judge, found)
    assert table.audit.sum() >= 20
    assert (table.wrong[table.audit] == 0).all()
    assert first == set(piloting.history_sample(campaign, 20))
    assert first < set(piloting.history_sample(campaign, 30))
