"""What is asked of a judge, and what comes back: plain frozen data.

Responses are numbered from 0 as the caller gives them. A display order says which one is shown
as A, which as B, ...; everything that comes back is in the caller's numbers again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from learning.judges.errors import CannotAsk, JudgeError
from learning.judges.forms import Form, Order
from learning.judges.verdict import Verdict
from learning.text import Prompt

_ROLES: Final = ("system", "user", "assistant", "tool")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One question for a judge.

    Attributes:
        forms: What is asked, one after the other, as on a person's page.
        prompt: What the responses answer.
        responses: Their texts; the place in this tuple is a response's number.
        guidelines: The campaign's, as people read them.
        context: A long source text, where there is one.
    """

    forms: tuple[Form, ...]
    prompt: tuple[Message, ...]
    responses: tuple[str, ...]
    guidelines: str = ""
    context: str = ""

    def __post_init__(self) -> None:
        count = len(self.responses)
        if not self.forms:
            raise CannotAsk("there is no form to answer")
        if len({form.name for form in self.forms}) < len(self.forms):
            raise CannotAsk("a form is asked twice")
        for form in self.forms:
            if not form.least <= count <= form.most:
                raise CannotAsk(
                    f"{form.name} takes {form.least} to {form.most} responses, got {count}"
                )

    @classmethod
    def of(
        cls,
        forms: Sequence[Form],
        prompt: Prompt,
        responses: Sequence[str],
        *,
        guidelines: str = "",
        context: str = "",
    ) -> Ask:
        """Build a question from a prompt as it is stored: a text or a list of turns."""
        turns: Sequence[Mapping[str, str]]
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        messages = tuple(
            Message(role if (role := turn.get("role", "")) in _ROLES else "user", turn["content"])
            for turn in turns
        )
        return cls(tuple(forms), messages, tuple(responses), guidelines, context)

    @property
    def straight(self) -> Order:
        """The responses as they are numbered."""
        return tuple(range(len(self.responses)))

    def check(self, order: Order) -> None:
        """Refuse what is no display order of these responses.

        Raises:
            CannotAsk: it is not.
        """
        if tuple(sorted(order)) != self.straight:
            count = len(self.responses)
            raise CannotAsk(f"a display order of {count} responses cannot be {list(order)}")


@dataclass(frozen=True, slots=True)
class Call:
    """One question put to a model once, in one display order: everything that was said.

    Attributes:
        order: Number of the response shown as A, as B, ...
        messages: The prompt as it was sent last: after a reply that was no verdict this holds
            that reply and the complaint about it, too.
        reply: What the model said, as it came; empty where nothing came.
        model: The model as the endpoint named it.
        template: Name of the prompt template.
        template_version: Changes with every word of it.
        tokens_in, tokens_out: Over all tries that came back.
        tokens_estimated: The endpoint did not count; see `learning.judges.money`.
        seconds: From the first request to the last reply, waiting included.
        money: What it cost, in the currency of the prices.
        tries: Requests that were sent.
        error: Code of what kept it from being a verdict, or empty.
        told: That in words.
    """

    order: Order
    messages: tuple[Message, ...]
    reply: str
    model: str
    template: str
    template_version: str
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_estimated: bool = False
    seconds: float = 0.0
    money: Decimal = Decimal(0)
    tries: int = 0
    error: str = ""
    told: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; money is text, so that no digit is lost."""
        return {**asdict(self), "order": list(self.order), "money": str(self.money)}

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> Call:
        """Read back what `to_json` made."""
        messages = tuple(Message(**turn) for turn in made["messages"])
        order, money = tuple(made["order"]), Decimal(made["money"])
        return cls(**{**made, "order": order, "messages": messages, "money": money})


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question in one display order.

    Attributes:
        calls: The calls that it took; one, or one a response in pointwise mode.
        verdict: What the model decided; None where it did not.
        error: Why not.
    """

    calls: tuple[Call, ...]
    verdict: Verdict | None = None
    error: JudgeError | None = None


class Judge(Protocol):
    """Whatever answers a question in a display order."""

    @property
    def name(self) -> str:
        """What it is called in reports: usually the model."""

    @property
    def swaps(self) -> bool:
        """Whether the display order can matter, so that both have to be asked."""

    def worst_cost(self, ask: Ask) -> Decimal:
        """What one call can cost at most, in the currency of its prices; 0 if it is free."""

    def ask(self, ask: Ask, order: Order) -> Asked:
        """Put the question. What goes wrong is in the result: nothing is raised."""
