"""Questions with answers, made in memory: for what needs no database."""

from __future__ import annotations

from itertools import count
from typing import Any

from annotator.exporters import FORMATS, Context, ExportOptions, Question
from annotator.exporters.base import Asked, Item, Prompt, Said, Text

NUMBER = count(1)
PEOPLE = {"ada": 1, "ben": 2, "cem": 3, "dee": 4, "judge": 9}


def texts(*names: str, prompt: int = 1) -> list[Text]:
    """Responses 1, 2, 3, … with these texts."""
    return [Text(n, prompt, name, f"model-{n}", None, {}) for n, name in enumerate(names, start=1)]


def said(who: str, tiers: list[list[int]] | None, **more: Any) -> Said:
    """One answer; the outcome follows from the tiers unless it is given."""
    usual = "other" if not tiers else "tie" if len(tiers) == 1 else "preference"
    values: dict[str, Any] = {
        "pk": next(NUMBER),
        "query_id": 1,
        "annotator_id": PEOPLE[who],
        "annotator": who,
        "kind": "llm" if who == "judge" else "human",
        "via": "page",
        "outcome": usual,
        "tiers": tiers,
        "acceptable": None,
        "strength": None,
        "rationale": "",
        "details": {},
        "extra": {},
        "late": False,
        "display_order": None,
        "guidelines_version": 1,
        "recorded_at": "2026-11-26T12:00:00.000000+00:00",
        "active_ms": None,
        "submission_key": "00000000-0000-4000-8000-000000000000",
    }
    return Said(**(values | more))


def question(*answers: Said, responses: list[Text] | None = None, **more: Any) -> Question:
    """One question; two responses, `first` and `second`, unless told otherwise."""
    prompt = more.pop("prompt", Prompt(1, "p" * 32, "Why?", "", False))
    item = Item(1, "item:1", "pairwise", "made", "", {})
    asked = [Asked(1, 1, 1, 1, "random", "random", None, more.pop("propensity", 0.5), None)]
    shown = responses or texts("first", "second")
    return Question("item:1", prompt, item, shown, list(answers), asked, **more)


def context(name: str = "trl-preference", *, chat: bool = False, **options: Any) -> Context:
    """What a format has to know, with its own consensus unless one is chosen."""
    options = {"consensus": FORMATS[name].consensus} | options
    return Context(ExportOptions.checked(options), chat=chat)


def made(name: str, asked: Question, *, chat: bool = False, **options: Any) -> list[dict[str, Any]]:
    """The rows of a format."""
    known = context(name, chat=chat, **options)
    return [row for row, _ in FORMATS[name].make(asked, known)]
