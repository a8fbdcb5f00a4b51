"""A thousand questions against a server that misbehaves: each answered once, each paid once."""

import random
import threading
from collections import Counter
from decimal import Decimal

import pytest

from learning.judges.asking import EndpointJudge
from learning.judges.endpoint import Endpoint
from learning.judges.limits import Budget, Pace, Stop
from learning.judges.money import Prices
from learning.judges.run import Question, Run
from learning.judges.secret import Secret
from learning.judges.swapping import judge
from tests.learning.judges.judging import (
    KEY,
    Hurried,
    always_a,
    asking,
    completion,
    serving,
    shorter_is_better,
)

pytestmark = pytest.mark.slow

PRICES = Prices("1", "10")  # a reply of 100 and 10 tokens costs 0.0002
EACH = Decimal("0.0002")


def questions(count):
    return [Question(n, asking(responses=(f"x{n}", f"longer {n}")), (0, 1)) for n in range(count)]


def judging(server, *, stop=None, budget=None, **more):
    stop = Hurried() if stop is None else stop
    tries = more.pop("tries", 4)
    endpoint = Endpoint(server.url, key=Secret(KEY), stop=stop, timeout=10.0, tries=tries)
    judge = EndpointJudge(endpoint, more.pop("model", "tiny"), prices=PRICES, **more)
    if budget is None:
        return endpoint, judge
    return endpoint, EndpointJudge(endpoint, "tiny", prices=PRICES, budget=budget, **more)


class Faults:
    """Injects one fault into about a third of the requests, drawn by lot."""

    def __init__(self, seed=3):
        self.rng, self.lock, self.count = random.Random(seed), threading.Lock(), Counter()

    def __call__(self, handler, body, count):
        with self.lock:
            lot = self.rng.random()
            kinds = ("429", "500", "hung up", "broken", "cut", "no verdict")
            kind = kinds[int(lot * 20)] if lot < 0.3 else "answer"
            self.count[kind] += 1
        if kind == "429":
            handler.say(429, {"error": {"message": "slow down"}}, Retry_After="0")
        elif kind == "500":
            handler.say(500, {"error": {"message": "oops"}})
        elif kind == "hung up":
            handler.close_connection = True
        elif kind == "broken":
            handler.say(200, b'{"choices": [')
        elif kind == "cut":
            handler.say(200, b'{"choices"', size=500)
        elif kind == "no verdict":
            handler.say(200, completion("I think so."))
        return kind != "answer"


def test_a_thousand_questions_with_faults_are_answered_and_paid_once():
    faults, kept, calls, stop = Faults(), Counter(), [], Hurried()
    with serving(faults) as server:
        budget = Budget("100")
        endpoint, who = judging(server, stop=stop, budget=budget, repairs=4, tries=6)
        run = Run(
            who,
            questions(1000),
            workers=8,
            budget=budget,
            keep=lambda judged: kept.update([judged.key]),
            told=calls.append,
        )
        with endpoint:
            found = list(run)
    assert set(faults.count) > {"429", "500", "hung up", "broken", "cut", "no verdict"}
    unanswered = [one for one in found if one.judgement.error is not None]
    assert {one.judgement.error.code for one in unanswered} <= {
        "busy",
        "server_fault",
        "unreachable",
    }  # six faults in a row at one request
    assert len(unanswered) < 10
    assert kept == Counter(range(1000))
    assert (run.report.answered, run.report.failed) == (1000 - len(unanswered), 0)
    assert run.report.left == len(unanswered)
    answered = [one.judgement for one in found if one.judgement.error is None]
    assert all(one.verdict.tiers == ((0,), (1,)) for one in answered)
    # Paid is what the server really answered, no more and no less.
    paid = EACH * (server.replies + faults.count["no verdict"])
    assert budget.spent == sum(call.money for call in calls) == paid
    assert sum(one.judgement.money for one in found) == paid
    assert sum(call.tries for call in calls) == len(server.bodies)


def test_what_was_left_is_asked_again_and_nothing_twice():
    answers = {}
    down = threading.Event()

    def dies(handler, body, count):
        if count > 60:
            down.set()
        if down.is_set():
            handler.say(503, {})
        return down.is_set()

    everything = questions(100)
    with serving(dies) as server:
        endpoint, who = judging(server)
        with endpoint:
            first = Run(who, everything, patience=3)
            found = list(first)
            answers |= {one.key: one.judgement for one in found if not one.left}
    assert first.report.stopped.code == "server_fault"
    assert 3 <= sum(one.left for one in found) <= 3 + 4  # and those that were under way
    assert first.report.left == 100 - len(answers)
    assert 20 < len(answers) < 40
    with serving() as server:
        endpoint, who = judging(server)
        with endpoint:
            second = Run(who, [one for one in everything if one.key not in answers])
            again = {one.key: one.judgement for one in second}
    assert answers.keys().isdisjoint(again)
    assert answers.keys() | again.keys() == set(range(100))
    assert second.report.left == 0
    assert server.replies == 2 * len(again)


def test_the_spend_limit_ends_a_run_and_names_what_is_left():
    budget = Budget("0.02", spent="0.001")
    with serving() as server:
        endpoint, who = judging(server, budget=budget, max_tokens=20)
        most = who.worst_cost(questions(1)[0].ask)
        with endpoint:
            run = Run(who, questions(500), budget=budget)
            found = list(run)
    assert run.report.stopped.code == "spend_limit"
    assert run.report.left == 500 - len(found) > 0
    assert budget.spent == Decimal("0.001") + 2 * EACH * len(found)
    assert budget.spent <= Decimal("0.02") < budget.spent + 2 * most
    assert all(one.judgement.verdict for one in found)


def test_a_repair_that_cannot_be_paid_leaves_the_question_and_its_calls():
    def talks(handler, body, count):
        handler.say(200, completion("no idea", usage=(100, 2000)))
        return True

    with serving(talks) as server:
        budget = Budget("0.05")
        endpoint, who = judging(server, budget=budget, max_tokens=2000, repairs=2)
        with endpoint:
            run = Run(who, questions(3), workers=1, budget=budget)
            found = list(run)
    assert [(one.judgement.error.code, one.left) for one in found] == [("spend_limit", True)]
    assert (run.report.failed, run.report.left) == (0, 3)
    call = found[0].judgement.calls[0]
    assert (call.tries, call.reply, call.error) == (2, "no idea", "spend_limit")
    assert budget.spent == call.money == 2 * Decimal("0.0201")


@pytest.mark.parametrize(
    ("change", "code"),
    [({"key": Secret("wrong")}, "wrong_key"), ({"model": "huge"}, "no_such_model")],
)
def test_what_the_next_question_would_meet_too_ends_a_run(change, code):
    with serving() as server:
        key = change.get("key", Secret(KEY))
        with Endpoint(server.url, key=key, stop=Hurried()) as endpoint:
            run = Run(
                EndpointJudge(endpoint, change.get("model", "tiny")), questions(50), workers=2
            )
            found = list(run)
    assert run.report.stopped.code == code
    assert (run.report.answered, run.report.failed, run.report.left) == (0, 0, 50)
    assert len(found) <= 2
    assert all(one.left for one in found)


def test_questions_that_fail_for_reasons_of_their_own_do_not_end_a_run():
    def picky(handler, body, count):
        text = body["messages"][1]["content"]
        if "\nx3\n" in text:
            handler.say(400, {"error": {"message": "maximum context length is 5 tokens"}})
        elif "\nx4\n" in text:
            handler.say(200, completion(None, refusal="I will not judge this."))
        elif "\nx5\n" in text:
            handler.say(200, completion(""))
        elif "\nx6\n" in text:
            handler.say(200, completion("I'm sorry, I can't compare these."))
        elif "\nx7\n" in text:
            handler.say(200, completion('{"choice": "A", "stre', finish="length"))
        else:
            return False
        return True

    with serving(picky) as server:
        endpoint, who = judging(server)
        with endpoint:
            run = Run(who, questions(10))
            found = {one.key: one.judgement for one in run}
    codes = {key: one.error.code for key, one in found.items() if one.error}
    assert codes == {3: "too_long", 4: "refused", 5: "empty_reply", 6: "refused", 7: "cut_off"}
    assert (run.report.answered, run.report.failed, run.report.stopped) == (5, 5, None)
    assert found[4].calls[0].reply == "I will not judge this."
    roles = {key: [turn.role for turn in found[key].calls[0].messages] for key in (5, 7)}
    assert roles[5] == ["system", "user"]  # asked once more; no empty turn is sent
    assert roles[7] == ["system", "user", "assistant", "user"]
    assert "context length" in found[3].calls[0].told


def test_a_stop_ends_a_run_in_the_middle_of_a_wait():
    stop = Stop()

    def slow(handler, body, count):
        if count > 4:
            stop.set()
            handler.say(429, {}, Retry_After="100")
            return True
        return False

    with serving(slow) as server:
        endpoint, who = judging(server, stop=stop)
        with endpoint:
            run = Run(who, questions(20), workers=2, stop=stop)
            found = list(run)
    assert run.report.stopped.code == "cancelled"
    assert run.report.answered == sum(not one.left for one in found) <= 2
    assert run.report.left == 20 - run.report.answered


def test_a_loop_that_ends_early_keeps_what_is_under_way():
    kept = []
    with serving() as server:
        endpoint, who = judging(server)
        with endpoint:
            results = iter(Run(who, questions(50), workers=3, keep=kept.append))
            next(results)
            results.close()
    assert {one.key for one in kept} == set(range(len(kept)))
    assert server.replies == 2 * len(kept) <= 8


def test_a_pace_is_kept_by_all_workers_together():
    stop = Hurried()
    with serving() as server:
        pace = Pace(requests=60, clock=lambda: 5.0)  # the clock stands still: bookings add up
        endpoint = Endpoint(server.url, key=Secret(KEY), stop=stop, pace=pace)
        with endpoint:
            list(Run(EndpointJudge(endpoint, "tiny"), questions(5), workers=5))
    assert sorted(stop.waits) == pytest.approx(range(10))


def test_tokens_that_were_not_used_are_given_back_to_the_pace():
    with serving() as server:
        pace = Pace(tokens=6000, clock=lambda: 5.0)
        with Endpoint(server.url, key=Secret(KEY), stop=Hurried(), pace=pace) as endpoint:
            EndpointJudge(endpoint, "tiny", max_tokens=100_000).ask(asking(), (0, 1))
    assert pace.book(1) == pytest.approx(1.1)  # 110 tokens of 100 a second


# --- one question ----------------------------------------------------------------------------


def test_both_orders_are_asked_and_a_judge_that_always_says_a_is_found_out():
    with serving(decide=always_a) as server:
        endpoint, who = judging(server)
        with endpoint:
            made = judge(who, asking(), (1, 0))
    assert [call.order for call in made.calls] == [(1, 0), (0, 1)]
    assert (made.inconsistent, made.p, made.disagreement) == (True, pytest.approx(0.5), 1.0)
    assert made.money == 2 * EACH
    assert {call.model for call in made.calls} == {"tiny-2026"}
    assert made.calls[0].template_version == who.template.version


def test_after_a_failure_the_other_order_is_not_asked():
    with serving(
        lambda handler, body, count: (handler.say(200, completion("")), True)[1]
    ) as server:
        endpoint, who = judging(server, repairs=0)
        with endpoint:
            made = judge(who, asking(), (0, 1))
    assert (made.error.code, made.verdict, made.p, len(made.calls)) == (
        "empty_reply",
        None,
        None,
        1,
    )


def test_a_reply_that_is_no_verdict_is_sent_back_with_a_complaint():
    def decide(body):
        return "B, clearly." if len(body["messages"]) == 2 else shorter_is_better(body)

    with serving(decide=decide) as server:
        endpoint, who = judging(server)
        with endpoint:
            asked = who.ask(asking(responses=("a", "bb")), (0, 1))
    call = asked.calls[0]
    assert asked.verdict.tiers == ((0,), (1,))
    assert [turn.role for turn in call.messages] == ["system", "user", "assistant", "user"]
    assert call.messages[2].content == "B, clearly."
    assert "could not be used: reply: expected one JSON object" in call.messages[3].content
    assert (call.tries, call.tokens_in, call.money, call.error) == (2, 200, 2 * EACH, "")


def test_probabilities_of_tokens_are_used_where_the_endpoint_gives_them():
    def sure(handler, body, count):
        said = '{"choice": "A", "strength": 1}'
        texts = ['{"choice": "', "A", '", "strength": 1}']
        answer = completion(said)
        answer["choices"][0]["logprobs"] = {
            "content": [
                {
                    "token": text,
                    "logprob": 0.0,
                    "top_logprobs": [
                        {"token": "A", "logprob": -0.1},
                        {"token": "B", "logprob": -3},
                    ],
                }
                for text in texts
            ]
        }
        handler.say(200, answer)
        return True

    with serving(sure) as server:
        endpoint, who = judging(server)
        with endpoint:
            found = who.ask(asking(), (1, 0)).verdict
    assert found.p == pytest.approx(1 / (1 + 2.718281828**2.9))
