"""The first items of an import as a person reads them: prompt, responses, answers in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotator.answer_words import LETTERS, Told, in_words
from annotator.services.history import strength_of
from annotator.services.stated import stated

MOST_ANSWERS = 8


@dataclass(frozen=True)
class Said:
    """One answer in the file."""

    who: str
    words: str
    rationale: str


@dataclass(frozen=True)
class Shown:
    """One item as it would be stored."""

    id: str
    turns: list[tuple[str, str]]
    context: str
    responses: list[tuple[str, str, str]]
    answers: list[Said]
    more_answers: int
    kept: list[str]


def shown(item: Mapping[str, Any], strength_max: float | None) -> Shown:
    """An item of `Import.shown`, in words."""
    prompt = item["prompt"]
    turns = [("", prompt)] if isinstance(prompt, str) else _turns(prompt)
    responses = [
        (LETTERS[n], response.get("model") or "", response["text"])
        for n, response in enumerate(item["responses"])
    ]
    said = item["annotations"]
    extra = {key: value for key, value in item["extra"].items() if key != "meta"}
    return Shown(
        id=item["id"],
        turns=turns,
        context=item["context"],
        responses=responses,
        answers=[_answer(one, item, strength_max) for one in said[:MOST_ANSWERS]],
        more_answers=max(0, len(said) - MOST_ANSWERS),
        kept=sorted({*extra, *(f"meta.{key}" for key in item["extra"].get("meta", {}))}),
    )


def _turns(prompt: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in prompt]


def _answer(said: Mapping[str, Any], item: Mapping[str, Any], strength_max: float | None) -> Said:
    texts = [response["text"] for response in item["responses"]]
    places = {n: n for n in range(len(texts))}
    found = stated(said, places, texts)
    told = Told(
        forms=["compare" if len(texts) == 2 else "rank"],
        order=list(places),
        outcome=found.outcome,
        tiers=found.tiers,
        acceptable=found.acceptable,
        strength=strength_of(said, strength_max, found.tiers),
        details={"uncompared": True} if found.uncompared else {},
    )
    words = "; ".join(in_words(told)) if found.tiers else "No order: kept, and not learnt from"
    who = said.get("annotator") or "somebody"
    if said.get("kind") == "llm":
        who = f"{said.get('annotator') or 'a model'} (a model)"
    return Said(who, words, said.get("rationale") or "")
