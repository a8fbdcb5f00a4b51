"""What the browser is shown: questions of every form, and a signed-in person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from tests.campaigns import item


def several(number: int, size: int) -> dict[str, Any]:
    """An item with so many responses."""
    texts = [f"Answer {n} to question {number}. It is about *light*." for n in range(size)]
    return item(
        number,
        task="listwise" if size > 2 else "edit" if size == 1 else "pairwise",
        responses=[{"text": text, "model": f"model-{n}"} for n, text in enumerate(texts)],
    )


def as_person(context: Any, person: User, site: str) -> None:
    """Give a browser this person's session."""
    client = Client()
    client.force_login(person)
    session = client.cookies["sessionid"].value
    context.add_cookies([{"name": "sessionid", "value": session, "url": site}])


@dataclass(frozen=True)
class Question:
    """A campaign's form with the options that show most of it."""

    form: str
    size: int
    fields: dict[str, Any] = field(default_factory=dict)


_REASON = {"ask": "always", "tags": ["correct", "clear"], "highlights": True}
FORMS_SHOWN = {
    "compare": Question("compare", 2),
    "compare with everything": Question(
        "compare",
        2,
        {
            "form_options": {
                "compare": {
                    "steps": 5,
                    "both_good": True,
                    "aspects": ["helpful", "harmless"],
                    "confidence": True,
                },
                "rationale": _REASON,
            }
        },
    ),
    "rank": Question("rank", 4),
    "best_worst": Question("best_worst", 4),
    "rate": Question(
        "rate",
        2,
        {"form_options": {"rate": {"aspects": ["overall", "truthful"], "thumbs": True}}},
    ),
    "accept": Question("accept", 3),
    "edit": Question("edit", 1),
    "several": Question("compare", 2, {"follow_ups": ["rate", "accept", "edit"]}),
}
