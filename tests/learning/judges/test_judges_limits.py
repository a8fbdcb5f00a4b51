"""Pace, budget and stop, on a clock that stands still."""

import threading
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ConfigError
from learning.judges.base import Call, Message
from learning.judges.errors import Cancelled, SpendLimit
from learning.judges.limits import Budget, Pace, Stop
from learning.judges.money import Prices, likely_tokens, most_tokens
from learning.judges.protocol import Request


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@given(
    st.floats(1, 600),
    st.floats(100, 10_000),
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 500)), min_size=2, max_size=60),
)
def test_no_minute_has_more_than_was_allowed(requests, tokens, arrivals):
    clock = Clock()
    pace, sent = Pace(requests, tokens, clock=clock), []
    for pause, size in arrivals:
        clock.now += pause
        sent.append((clock.now + pace.book(size), size))
    for start, _ in sent:
        window = [size for at, size in sent if start <= at < start + 60 - 1e-6]
        assert len(window) <= requests + 1
        assert sum(window[:-1]) <= tokens + 1e-3


def test_unused_tokens_are_given_back():
    clock = Clock()
    pace = Pace(tokens=600, clock=clock)
    assert pace.book(600) == 0
    pace.correct(600, 100)
    assert pace.book(1) == pytest.approx(10)


def test_without_limits_nobody_waits_until_the_endpoint_asks_for_it():
    clock = Clock()
    pace = Pace(clock=clock)
    assert [pace.book(10**9) for _ in range(3)] == [0, 0, 0]
    pace.hold(5)
    pace.hold(2)
    clock.now += 1
    assert pace.book(1) == pytest.approx(4)


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_limits_that_let_nothing_through_are_refused(limit):
    with pytest.raises(ConfigError, match="a minute"):
        Pace(requests=limit)


# --- money -----------------------------------------------------------------------------------


def test_a_call_is_only_made_if_its_worst_case_can_be_paid():
    budget = Budget("1.00", spent="0.50")
    with budget.holding(Decimal("0.40")) as hold:
        assert budget.unspent == Decimal("0.50")
        with pytest.raises(SpendLimit, match=r"could cost 0\.11; 0\.10 is left"):
            budget.holding(Decimal("0.11")).__enter__()
        hold.spent = Decimal("0.05")
    assert (budget.spent, budget.unspent) == (Decimal("0.55"), Decimal("0.45"))
    with budget.holding(Decimal("0.45")):
        pass  # what was set aside before and not spent is there again


def test_a_call_that_failed_costs_what_was_booked_by_then():
    budget = Budget("1")
    with pytest.raises(RuntimeError), budget.holding(Decimal("0.4")):
        raise RuntimeError
    assert (budget.spent, budget.unspent) == (0, 1)


def test_no_budget_is_no_limit():
    budget = Budget()
    with budget.holding(Decimal(10**9)) as hold:
        hold.spent = Decimal(1)
    assert (budget.spent, budget.unspent) == (1, None)


def test_many_threads_together_do_not_spend_more_than_there_is():
    budget, refused = Budget("10"), []

    def spend():
        for _ in range(50):
            try:
                with budget.holding(Decimal("0.3")) as hold:
                    hold.spent = Decimal("0.3")
            except SpendLimit:
                refused.append(1)

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent == Decimal("9.9")
    assert len(refused) == 200 - 33


@pytest.mark.parametrize("value", ["-1", "NaN", "Infinity", "a lot", None])
def test_what_is_no_amount_is_refused(value):
    with pytest.raises(ConfigError):
        Prices(tokens_in=value)
    with pytest.raises(ConfigError):
        Budget(0, spent=value)


def test_prices_are_for_a_million_tokens_and_exact():
    prices = Prices(Decimal("0.15"), "0.60")
    assert prices.cost(1, 1) == Decimal("0.00000075")
    assert prices.cost(2_000_000, 500_000) == Decimal("0.60")


@given(st.lists(st.text(), max_size=4))
def test_the_worst_case_is_above_the_estimate_and_above_every_byte(texts):
    messages = [Message("user", text) for text in texts]
    encoded = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    assert likely_tokens(texts) <= encoded
    assert encoded + 4 * len(texts) <= most_tokens(messages)  # a chat format has marks of its own


def test_the_worst_case_covers_a_schema_that_is_put_into_the_prompt():
    plain = Request("m", (Message("user", "?"),), 5)
    schema = {"type": "object", "title": "x" * 100}
    assert replace(plain, schema=schema).most_tokens_in > plain.most_tokens_in + 100


def test_a_call_comes_back_from_json_as_it_was():
    call = Call((1, 0), (Message("user", "?"),), "A", "m", "t", "v", 3, 4, money=Decimal("0.1200"))
    assert Call.from_json(call.to_json()) == call
    assert call.to_json()["money"] == "0.1200"


# --- stop ------------------------------------------------------------------------------------


def test_a_stop_ends_waiting():
    stop = Stop()
    stop.wait(0)
    threading.Timer(0.02, stop.set).start()
    with pytest.raises(Cancelled):
        stop.wait(30)
    assert stop
