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


def share(value: float) -> dict[str, float]:
    """An estimate as reports have it."""
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def figures() -> dict[str, Any]:
    """A report with everything in it, in the shape that a worker stores."""
    bins = [
        {"low": at, "high": at + 0.1, "n": 9, "confidence": at + 0.05, "agreement": share(at)}
        for at in (0.5, 0.7, 0.8)
    ]
    quality = {"agreement": share(0.7), "ece": 0.1, "brier": 0.2, "diagram": bins}
    mean = share(0.6) | {"n": 12, "effective_n": 30.4}
    return {
        "audited": 40,
        "human_error": {"value": 0.1, "low": 0.05, "high": 0.2, "pairs": 0},
        "bias": {
            "raw": quality,
            "calibrated": quality,
            "position": {"first": share(0.5), "consistent": share(0.8), "calls": 80, "always": ""},
            "controls": [
                {"name": "length", "judge": 0.5, "people": -0.1, "difference": share(0.6)}
            ],
            "self_preference": {"judge": 0.7, "people": 0.5, "questions": 12, "dbg": share(0.2)},
            "tags": [{"tag": "a-very-long-tag-" * 6, "n": 12, "agreement": share(0.4)}],
            "notes": ["something could not be measured"],
        },
        "risk_coverage": {"coverage": [0.5, 1.0], "risk": [0.1, 0.3], "aurc": 0.2},
        "guarantee": {"alpha": 0.2, "sure": 0.9, "certified": True, "bound": 0.19, "covered": 0.4},
        "drift": {"watched": 50, "base": 0.2, "path": [0.1], "threshold": 6.9, "sentence": ""},
        "effects": [{"sign": "a-very-long-tag-" * 6, "tag": True, "effect": 0.6, "sd": 0.3}],
        "frontier": [
            {"share": at / 10, "seconds": 2.0 * at, "routed": share(0.7 + at / 50), "random": 0.7}
            for at in range(11)
        ],
        "win_rates": [{"model": "m" * 120, "questions": 40, "anchored": mean, "classical": mean}],
    }
