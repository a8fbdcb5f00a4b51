"""UltraFeedback: four completions that a model marked; and its binarised form."""

from __future__ import annotations

from typing import Any

from annotator.importers.base import Importer, Made, Misfit, Raw, Reading, finished, one_by_one
from annotator.importers.chats import any_prompt
from annotator.importers.fields import get, listed, mapped, number, optional_text, rest, text
from annotator.importers.pairs import PAIR, made_pair, texts_of

JUDGE = {"annotator": "gpt-4", "kind": "llm"}
PEOPLE = "people"  # in `marked_by`, which only our own exports have
ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
OVERALL, FINE = "overall_score", "fine-grained_score"
KEPT = ("principle", "custom_system_prompt")


def _is_full(row: Raw) -> bool:
    return {"instruction", "completions"} <= set(row)


def _full(row: Raw, how: Reading) -> Made:
    given = listed(get(row, "completions", "a list of {model, response}"), "completions")
    whole = [mapped(one, f"completions[{n}]") for n, one in enumerate(given)]
    responses, scores = [], []
    for n, one in enumerate(whole):
        at = f"completions[{n}]."
        kept = {name: one[name] for name in KEPT if one.get(name)}
        model = optional_text(one, "model", at)
        responses.append({"text": text(one, "response", at), "model": model, **kept})
        scores.append(_overall(one, at))
    ratings = {"overall": scores}
    ratings |= {
        name: [_aspect(one, name, n) for n, one in enumerate(whole)]
        for name in ASPECTS
        if any(isinstance(one.get("annotations"), dict) for one in whole)
    }
    ratings = {name: marks for name, marks in ratings.items() if any(m is not None for m in marks)}
    said: dict[str, Any] = {**_who(row), "choice": None, "ratings": ratings}
    critiques = [
        optional_text(one, "critique", f"completions[{n}].") for n, one in enumerate(whole)
    ]
    said["rationale"] = "\n".join(f"[{n}] {c}" for n, c in enumerate(critiques, start=1) if c)
    details = [rest(one, "model", "response", *KEPT) for one in whole]
    said["meta"] = {"completions": details}
    prompt, kept = any_prompt(row, "instruction")
    native = {
        "source": optional_text(row, "source"),
        "prompt": prompt,
        "responses": responses,
        "annotations": [said] if ratings or said["rationale"] else [],
        "meta": rest(row, "source", "instruction", "completions", "models", "marked_by") | kept,
    }
    names = {"prompt": "instruction", "responses": "completions"}
    for n in range(len(responses)):
        names |= {f"responses[{n}].text": f"completions[{n}].response"}
        names |= {f"responses[{n}].model": f"completions[{n}].model"}
    return finished(native, "ultrafeedback", names)


def _who(row: Raw) -> dict[str, Any]:
    by = optional_text(row, "marked_by")
    if by == PEOPLE:
        return {"annotator": None, "kind": "human"}
    return {"annotator": by, "kind": "llm"} if by else JUDGE


def _overall(one: Raw, at: str) -> float | None:
    """The overall mark; 10 beside poor marks in all aspects is a 1 that was misread when stored."""
    if one.get(OVERALL) in (None, "N/A"):
        return None
    score = number(one[OVERALL], at + OVERALL, 0, 10)
    fine = one.get(FINE)
    if score == 10 and fine is not None and number(fine, at + FINE, 0, 10) <= 2:
        return 1
    return score


def _aspect(one: Raw, name: str, n: int) -> float | None:
    at = f"completions[{n}].annotations"
    aspects = mapped(one.get("annotations") or {}, at)
    rating = mapped(aspects.get(name) or {}, f"{at}.{name}").get("Rating")
    return None if rating in (None, "N/A") else number(rating, f"{at}.{name}.Rating", 0, 10)


FULL = Importer(
    name="ultrafeedback",
    title="UltraFeedback",
    about="instruction and completions (model, response, overall_score, annotations, critique). "
    "One annotation by a model (gpt-4), or by people where marked_by says so, as in our exports; "
    "its order is by overall_score, equal scores are level. A "
    "score of 10 where the fine-grained score is at most 2 is read as 1, a known error of the "
    "data. The reasons are the critiques; everything else that was said stands in the "
    "annotation's meta. System prompts stay with their response.",
    recognises=_is_full,
    convert=one_by_one(_full),
)


# --- binarised ------------------------------------------------------------------------------

SCORES = ("score_chosen", "score_rejected")


def _is_binarised(row: Raw) -> bool:
    return {*PAIR, *SCORES} <= set(row)


def _binarised(row: Raw, how: Reading) -> Made:
    native, better, worse = texts_of(row)
    scores = [number(get(row, name, "a number"), name, -1e9, 1e9) for name in SCORES]
    if scores[0] < scores[1]:
        raise Misfit("score_chosen", f"expected at least score_rejected, got {scores[0]:g}")
    native["meta"] |= rest(row, "prompt", *PAIR, *SCORES, "messages")
    if row.get("messages") not in (None, row["chosen"]):
        native["meta"]["messages"] = row["messages"]
    said = {**JUDGE, "strength": scores[0] - scores[1]}
    return made_pair(
        "ultrafeedback-binarized", native, better, worse, said, ratings={"overall": scores}
    )


BINARISED = Importer(
    name="ultrafeedback-binarized",
    title="UltraFeedback, binarised",
    about="prompt, chosen, rejected, score_chosen, score_rejected. One annotation by a model "
    "(gpt-4) that prefers chosen, also at equal scores; the difference of the scores is the "
    "strength. messages repeats chosen and is left out unless it differs.",
    recognises=_is_binarised,
    convert=one_by_one(_binarised),
)
