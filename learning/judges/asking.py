"""A judge behind an endpoint: prompt, call, reply, another try where the reply is no verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

from learning.judges.base import Ask, Asked, Call, Message
from learning.judges.errors import CutOff, EmptyReply, JudgeError, Malformed, Refused, ReplyError
from learning.judges.forms import LETTERS, Order
from learning.judges.limits import Budget
from learning.judges.money import Prices
from learning.judges.protocol import Completion, Request
from learning.judges.replies import choice_probabilities, complaint, read, with_probability
from learning.judges.templates import Template, schema_of, template
from learning.judges.verdict import Verdict

_REPAIRABLE: Final = (CutOff, EmptyReply, Malformed)


@dataclass(slots=True)
class Tally:
    """What a question has taken so far, over all of its tries."""

    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    estimated: bool = False
    money: Decimal = Decimal(0)
    model: str = ""
    reply: str = ""


class Chat(Protocol):
    """What a judge needs of an endpoint: `learning.judges.endpoint.Endpoint` is one."""

    def chat(self, request: Request, meter: Tally) -> Completion:
        """Put one request, counting in ``meter.requests`` what it takes. Raises `JudgeError`."""


@dataclass(frozen=True, slots=True)
class EndpointJudge:
    """A model behind an endpoint that answers forms in JSON.

    Attributes:
        endpoint: Where it answers.
        model: Its name there.
        template: The prompt.
        prices: For a million tokens.
        budget: Checked before every request, shared by all who spend of it.
        max_tokens: Of a reply, reasoning included.
        repairs: How often a reply that is no verdict is sent back with a complaint.
        clock: Monotonic seconds.
    """

    endpoint: Chat
    model: str
    template: Template = field(default_factory=template)
    prices: Prices = field(default_factory=Prices)
    budget: Budget = field(default_factory=Budget)
    max_tokens: int = 800
    repairs: int = 1
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The model."""
        return self.model

    @property
    def swaps(self) -> bool:
        """Whoever reads A first may like A better."""
        return True

    def worst_cost(self, ask: Ask) -> Decimal:
        """What the first request of one call can cost."""
        return most(self.prices, self._request(ask, self.template.render(ask, ask.straight)))

    def ask(self, ask: Ask, order: Order) -> Asked:
        """Put the question; one call with all of its tries."""
        messages = self.template.render(ask, order)
        tally, began = Tally(), self.clock()
        found: Verdict | None = None
        error: JudgeError | None = None
        for left in range(self.repairs, -1, -1):
            try:
                request = self._request(ask, messages)
                completion = spend(
                    self.endpoint, request, tally, prices=self.prices, budget=self.budget
                )
                found, error = self._read(completion, ask, order), None
                break
            except JudgeError as failed:
                error = failed
                if not left or not isinstance(failed, _REPAIRABLE):
                    break
                messages = _again(messages, tally.reply, failed)
        return Asked((self._call(order, messages, tally, began, error),), found, error)

    def _request(self, ask: Ask, messages: tuple[Message, ...]) -> Request:
        schema = schema_of(ask.forms, LETTERS[: len(ask.responses)])
        return Request(self.model, messages, self.max_tokens, schema)

    def _read(self, completion: Completion, ask: Ask, order: Order) -> Verdict:
        if completion.refusal:
            raise Refused(completion.refusal)
        found = read(completion.text, ask, order, cut_off=completion.cut_off)
        letters = choice_probabilities(completion.logprobs, completion.text)
        return with_probability(found, order, letters)

    def _call(
        self,
        order: Order,
        messages: tuple[Message, ...],
        tally: Tally,
        began: float,
        error: JudgeError | None,
    ) -> Call:
        return Call(
            order=order,
            messages=messages,
            reply=tally.reply,
            model=tally.model or self.model,
            template=self.template.name,
            template_version=self.template.version,
            tokens_in=tally.tokens_in,
            tokens_out=tally.tokens_out,
            tokens_estimated=tally.estimated,
            seconds=self.clock() - began,
            money=tally.money,
            tries=tally.requests,
            error=error.code if error else "",
            told=str(error) if error else "",
        )


def most(prices: Prices, request: Request) -> Decimal:
    """What one request can cost at most."""
    return prices.cost(request.most_tokens_in, request.max_tokens)


def spend(
    endpoint: Chat, request: Request, tally: Tally, *, prices: Prices, budget: Budget
) -> Completion:
    """Put one request within the budget, and book what it took.

    Raises:
        JudgeError: over the budget, or no completion.
    """
    with budget.holding(most(prices, request)) as hold:
        completion = endpoint.chat(request, tally)
        hold.spent = prices.cost(completion.tokens_in, completion.tokens_out)
    tally.tokens_in += completion.tokens_in
    tally.tokens_out += completion.tokens_out
    tally.estimated = tally.estimated or completion.estimated
    tally.money += hold.spent
    tally.model, tally.reply = completion.model, completion.text or completion.refusal
    return completion


def _again(messages: tuple[Message, ...], reply: str, error: ReplyError) -> tuple[Message, ...]:
    """The chat with the reply and the complaint; where nothing came, it is asked once more."""
    if not reply.strip():
        return messages
    return (*messages, Message("assistant", reply), Message("user", complaint(error)))
