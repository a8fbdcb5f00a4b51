"""Pointwise mode: each response alone, yes or no, and everything else from that.

``s = P(Yes) / (P(Yes) + P(No))`` for every response; the one with the larger ``s`` is better,
with log odds ``logit(s_0) - logit(s_1)``. No side can be preferred, since nobody sees two
responses at once, and a set of k takes k calls and not one a pair. It must be calibrated before
it is believed: models say yes readily.

Source:
    Garg et al. (2025), arXiv:2502.16182 ("IPO").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from learning.judges.base import Ask, Asked, Call
from learning.judges.errors import CannotAsk, JudgeError
from learning.judges.forms import (
    Accept,
    Acceptance,
    BestWorst,
    Compare,
    Comparison,
    Extremes,
    Form,
    Order,
    Rank,
    Ranking,
    Rate,
    Ratings,
    Said,
)
from learning.judges.forms.base import tiers_by
from learning.judges.verdict import Verdict, verdict

_SMALLEST: Final = 1e-6
_CLEAR: Final = (0.5, 1.5)  # log odds from which a preference is clear, and much


class YesNo(Protocol):
    """Whoever says yes or no to a prompt about one response."""

    @property
    def name(self) -> str:
        """The model."""

    def worst_cost(self, ask: Ask) -> Decimal:
        """What one question can cost at most."""

    def look(self, ask: Ask, number: int) -> tuple[float | None, Call, JudgeError | None]:
        """P(Yes) among yes and no for one response; nothing is raised."""


@dataclass(frozen=True, slots=True)
class PointwiseJudge:
    """Answers forms from yes or no about each response.

    Attributes:
        eye: Who looks at the responses.
    """

    eye: YesNo

    @property
    def name(self) -> str:
        """The model, and the mode."""
        return f"{self.eye.name} (pointwise)"

    @property
    def swaps(self) -> bool:
        """There are no sides."""
        return False

    def worst_cost(self, ask: Ask) -> Decimal:
        """All responses together."""
        return len(ask.responses) * self.eye.worst_cost(ask)

    def ask(self, ask: Ask, order: Order) -> Asked:
        """Look at every response, in this order, and derive the answer."""
        ask.check(order)
        try:
            derived(ask, [0.5] * len(order))
        except CannotAsk as refused:  # before anything is paid
            return Asked((), error=refused)
        calls: list[Call] = []
        shares_of: dict[int, float] = {}
        for number in order:
            share, call, error = self.eye.look(ask, number)
            calls.append(call)
            if share is None:
                return Asked(tuple(calls), error=error)
            shares_of[number] = share
        return Asked(tuple(calls), derived(ask, [shares_of[n] for n in ask.straight]))


def derived(ask: Ask, shares_of: Sequence[float]) -> Verdict:
    """Return the answer to a question from P(Yes) of each response.

    Args:
        ask: The question. Ties are never said: equal shares keep the caller's numbering.
        shares_of: By response number, each in [0, 1].

    Raises:
        CannotAsk: a form compares aspects, of which one yes or no says nothing.
    """
    odds = [_logit(share) for share in shares_of]
    said: dict[str, Said] = {form.name: _said(form, odds) for form in ask.forms}
    return verdict(said)


def _said(form: Form, odds: Sequence[float]) -> Said:
    order = sorted(range(len(odds)), key=lambda number: (-odds[number], number))
    if isinstance(form, Compare):
        return _compared(form, odds)
    if isinstance(form, Rank):
        tiers = tiers_by(dict(enumerate(odds))) if form.ties else tuple((n,) for n in order)
        return Ranking(tiers, form.all_wrong and max(odds) < 0, form.ties)
    if isinstance(form, BestWorst):
        return Extremes(order[0], order[-1], len(odds))
    if isinstance(form, Accept):
        return Acceptance(tuple(one >= 0 for one in odds))
    if isinstance(form, Rate) and len(form.aspects) == 1:
        top = len(form.marks) - 1
        marks = tuple(form.low + min(int(_share(one) * (top + 1)), top) for one in odds)
        thumbs = tuple(one >= 0 for one in odds) if form.thumbs else ()
        return Ratings(((form.aspects[0], marks),), thumbs)
    raise CannotAsk(f"pointwise mode says one thing about a response; {form.name} asks several")


def _compared(form: Compare, odds: Sequence[float]) -> Comparison:
    if form.aspects:
        raise CannotAsk("pointwise mode cannot compare aspects: it asks one question a response")
    margin = odds[0] - odds[1]
    p = _share(margin)
    if margin == 0 and form.ties:
        return Comparison("tie", 0, form.levels, p, ties=True)
    clear = 1 + sum(abs(margin) >= step for step in _CLEAR)
    sure = (1 + sum(abs(margin) >= step for step in _CLEAR)) if form.confidence else 0
    winner = 0 if margin >= 0 else 1
    return Comparison(winner, min(clear, form.levels), form.levels, p, sure=sure, ties=form.ties)


def _logit(share: float) -> float:
    inside = min(max(share, _SMALLEST), 1 - _SMALLEST)
    return math.log(inside / (1 - inside))


def _share(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))
