"""Judges in tests, with what they said: stored as a worker stores it, nothing is asked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from annotator.models import Campaign, Judge, Judgement, Query, Route
from annotator.services import judges

AT = "http://localhost:11434/v1"
SECRET_PROMPT, SECRET_REPLY = "You judge answers.", '{"choice": "A", "strength": 2}'


def add(campaign: Campaign, name: str = "small-judge", **settings: Any) -> Judge:
    """A judge that costs 1 for a million tokens in, and 2 out."""
    given = {"model": "tiny", "base_url": AT, "price_in": 1, "price_out": 2} | settings
    return judges.add_judge(campaign=campaign, name=name, **given)


def say(judge: Judge, query: Query, *, error: str = "") -> Judgement:
    """One question, in both display orders: 2 000 tokens in, 200 out; or an error."""
    order = tuple(sorted(query.responses.values_list("pk", flat=True)))
    answer = {"outcome": "preference", "tiers": [[pk] for pk in order], "strength": 2}
    said = judges.Said(
        query_id=query.pk,
        order=order,
        calls=[_call(shown, error) for shown in (order, order[::-1])],
        answer=None if error else answer,
        outcome={"p": None if error else 0.9, "error": error, "told": error and "no verdict"},
    )
    made = judges.record_judgement(judge=judge, said=said)
    assert made is not None
    return made


def _call(order: tuple[int, ...], error: str) -> dict[str, Any]:
    return {
        "order": list(order),
        "messages": [
            {"role": "system", "content": SECRET_PROMPT},
            {"role": "user", "content": "Which one?"},
        ],
        "reply": "" if error else SECRET_REPLY,
        "model": "tiny-2026",
        "template": "small-judge",
        "template_version": "0a1b2c3d4e5f",
        "tokens_in": 1000,
        "tokens_out": 100,
        "seconds": 1.5,
        "money": Decimal("0.0012"),
        "tries": 1,
        "error": error,
        "told": error,
    }


def route(judge: Judge, query: Query, to: str = "human", **changes: Any) -> None:
    """Decide about one question, whatever its arm."""
    given = {"reason": "value", "policy": "learned", "error": 0.3, "value": 0.02}
    Route.objects.create(
        query=query, judge=judge, to=to, **({"propensity": 0.6, "seconds": 21.0} | given | changes)
    )
