"""Asking in both display orders, and what both together say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from learning.judges.base import Ask, Asked, Call, Judge
from learning.judges.errors import JudgeError
from learning.judges.forms import Order
from learning.judges.verdict import Verdict, averaged


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge says to one question after all the calls that it takes.

    Attributes:
        calls: Every call that was made, in their order.
        verdict: The mean of both display orders. None where a call failed (``error`` says
            why), and where the orders contradict each other and the form cannot say so.
        p: Probability that response 0 is preferred to response 1, the mean of both orders,
            not calibrated. None unless there are two responses and every call succeeded.
        inconsistent: The orders disagree in sign; see `learning.judges.verdict.Agreed`.
        disagreement: Share of pairs that they order differently.
        error: What kept the judge from answering.
    """

    calls: tuple[Call, ...]
    verdict: Verdict | None = None
    p: float | None = None
    inconsistent: bool = False
    disagreement: float = 0.0
    error: JudgeError | None = None

    @property
    def money(self) -> Decimal:
        """Of all calls."""
        return sum((call.money for call in self.calls), Decimal(0))

    @property
    def seconds(self) -> float:
        """Of all calls."""
        return sum(call.seconds for call in self.calls)


def judge(
    who: Judge, ask: Ask, order: Order, *, told: Callable[[Call], None] | None = None
) -> Judgement:
    """Ask in this order and in the reverse one, and average.

    One order is enough where there is one response, and for judges who see one response at a
    time. After a failure the other order is not asked: half an answer would be a biased one.

    Args:
        who: The judge.
        ask: The question.
        order: The display order drawn for it.
        told: Gets every call as soon as it was made.
    """
    orders = [order]
    if who.swaps and len(order) > 1:
        orders.append(order[::-1])
    calls: list[Call] = []
    answers: list[Asked] = []
    for one in orders:
        asked = who.ask(ask, one)
        calls += asked.calls
        if told is not None:
            for call in asked.calls:
                told(call)
        if asked.verdict is None:
            return Judgement(tuple(calls), error=asked.error)
        answers.append(asked)
    return _together(tuple(calls), [asked.verdict for asked in answers if asked.verdict])


def _together(calls: tuple[Call, ...], verdicts: list[Verdict]) -> Judgement:
    if len(verdicts) == 1:
        return Judgement(calls, verdicts[0], verdicts[0].p)
    both = averaged(*verdicts)
    return Judgement(calls, both.verdict, both.p, both.inconsistent, both.disagreement)
