"""Yes or no about one response: whoever can say it, and how likely."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

from learning.judges.asking import Chat, Tally, most, spend
from learning.judges.base import Ask, Call
from learning.judges.causal import CausalModel, shares
from learning.judges.errors import EmptyReply, JudgeError, Malformed, Refused
from learning.judges.forms.base import SURE
from learning.judges.limits import Budget
from learning.judges.money import Prices
from learning.judges.protocol import Completion, Request
from learning.judges.templates import Template, template

_MAX_TOKENS: Final = 4


@dataclass(frozen=True, slots=True)
class EndpointYesNo:
    """A model behind an endpoint; the probabilities come from its token log-probabilities.

    An endpoint without them says a bare word, which counts as 95 to 5.

    Attributes:
        endpoint: Where it answers.
        model: Its name there.
        template: Its parts ``system`` and ``pointwise``.
        prices: For a million tokens.
        budget: Checked before every request.
        clock: Monotonic seconds.
    """

    endpoint: Chat
    model: str
    template: Template = field(default_factory=template)
    prices: Prices = field(default_factory=Prices)
    budget: Budget = field(default_factory=Budget)
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The model."""
        return self.model

    def worst_cost(self, ask: Ask) -> Decimal:
        """For the longest response."""
        longest = max(ask.straight, key=lambda number: len(ask.responses[number].encode()))
        return most(self.prices, self._request(ask, longest))

    def look(self, ask: Ask, number: int) -> tuple[float | None, Call, JudgeError | None]:
        """Ask about one response."""
        request, tally, began = self._request(ask, number), Tally(), self.clock()
        share: float | None = None
        error: JudgeError | None = None
        try:
            completion = spend(
                self.endpoint, request, tally, prices=self.prices, budget=self.budget
            )
            share = share_of(completion)
        except JudgeError as failed:
            error = failed
        call = Call(
            order=(number,),
            messages=request.messages,
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
        )
        return share, _with(call, error), error

    def _request(self, ask: Ask, number: int) -> Request:
        return Request(self.model, self.template.render_pointwise(ask, number), _MAX_TOKENS)


@dataclass(frozen=True, slots=True)
class LocalYesNo:
    """A local language model; the probabilities are its own.

    Attributes:
        model: The model.
        template: Its parts ``system`` and ``pointwise``.
        clock: Monotonic seconds.
    """

    model: CausalModel
    template: Template = field(default_factory=template)
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The model."""
        return self.model.name

    def worst_cost(self, ask: Ask) -> Decimal:
        """Nothing."""
        del ask
        return Decimal(0)

    def look(self, ask: Ask, number: int) -> tuple[float | None, Call, JudgeError | None]:
        """Ask about one response."""
        messages, began = self.template.render_pointwise(ask, number), self.clock()
        prompt, reply = self.model.prompt(messages), ""
        share: float | None = None
        error: JudgeError | None = None
        try:
            share, _ = shares(self.model.log_likelihoods(prompt, ["Yes", "No"]))
            reply = "Yes" if share >= 0.5 else "No"
        except JudgeError as failed:
            error = failed
        call = Call(
            order=(number,),
            messages=messages,
            reply=reply,
            model=self.model.name,
            template=self.template.name,
            template_version=self.template.version,
            tokens_in=self.model.tokens(prompt),
            tokens_out=1,
            seconds=self.clock() - began,
            tries=1,
        )
        return share, _with(call, error), error


def share_of(completion: Completion) -> float:
    """P(Yes) / (P(Yes) + P(No)) at the first token that says either.

    Raises:
        ReplyError: the model said neither.
    """
    if completion.refusal:
        raise Refused(completion.refusal)
    for entry in completion.logprobs:
        found = _words(entry)
        if found.keys() & {"yes", "no"} and _word(entry.get("token")) in ("yes", "no"):
            yes, no = found.get("yes", 0.0), found.get("no", 0.0)
            return yes / (yes + no) if yes + no > 0 else 0.5
    if not completion.text.strip():
        raise EmptyReply
    first = re.search(r"\b(yes|no)\b", completion.text, re.IGNORECASE)
    if first is None:
        raise Malformed("reply", "Yes or No", completion.text)
    return SURE if first[1].lower() == "yes" else 1 - SURE


def _words(entry: Mapping[str, Any]) -> dict[str, float]:
    """Probabilities of the words at one token, summed over spellings."""
    others = entry.get("top_logprobs")
    made: dict[str, float] = {}
    for one in others if isinstance(others, list) and others else [entry]:
        logprob = one.get("logprob") if isinstance(one, dict) else None
        if isinstance(logprob, int | float) and logprob <= 0:  # not NaN either
            word = _word(one.get("token"))
            made[word] = made.get(word, 0.0) + math.exp(logprob)
    return made


def _word(token: Any) -> str:
    return token.strip(" \n\"'.*").lower() if isinstance(token, str) else ""


def _with(call: Call, error: JudgeError | None) -> Call:
    return replace(call, error=error.code, told=str(error)) if error else call
