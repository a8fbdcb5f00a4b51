"""A judge in this process: a local language model that fills in the reply choice by choice."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from learning.judges.base import Ask, Asked, Call
from learning.judges.causal import CausalModel, Choosing
from learning.judges.errors import JudgeError
from learning.judges.filling import fill
from learning.judges.forms import LETTERS, Order
from learning.judges.replies import read, with_probability
from learning.judges.templates import Template, schema_of, template
from learning.judges.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LocalJudge:
    """A model that needs no endpoint. It is free, and pointwise mode suits it, too.

    The reply has the keys of the prompt. Wherever it leaves a choice, the likeliest word is
    taken, and the probability of a comparison is that of the letters among themselves, so the
    reply is always well formed. Reasons are not written: that would take generation.

    Attributes:
        model: The model.
        template: The prompt.
        clock: Monotonic seconds.
    """

    model: CausalModel
    template: Template = field(default_factory=template)
    clock: Callable[[], float] = time.monotonic

    @property
    def name(self) -> str:
        """The model."""
        return self.model.name

    @property
    def swaps(self) -> bool:
        """Whoever reads A first may like A better."""
        return True

    def worst_cost(self, ask: Ask) -> Decimal:
        """Nothing."""
        del ask
        return Decimal(0)

    def ask(self, ask: Ask, order: Order) -> Asked:
        """Put the question."""
        messages = self.template.render(ask, order)
        prompt, began = self.model.prompt(messages), self.clock()
        found: Verdict | None = None
        error: JudgeError | None = None
        reply = ""
        try:
            schema = schema_of(ask.forms, LETTERS[: len(order)])
            filled = fill(schema, Choosing(self.model, prompt))
            reply = filled.text
            found = with_probability(read(reply, ask, order), order, filled.choice)
        except JudgeError as failed:
            error = failed
        call = Call(
            order=order,
            messages=messages,
            reply=reply,
            model=self.model.name,
            template=self.template.name,
            template_version=self.template.version,
            tokens_in=self.model.tokens(prompt),
            tokens_out=self.model.tokens(reply),
            seconds=self.clock() - began,
            tries=1,
            error=error.code if error else "",
            told=str(error) if error else "",
        )
        return Asked((call,), found, error)
