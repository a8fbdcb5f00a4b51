"""NVIDIA's HelpSteer2 (ratings, preferences) and HelpSteer3."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from annotator.importers.base import (
    Importer,
    Made,
    Raw,
    Reading,
    Source,
    each,
    finished,
    in_groups,
    one_by_one,
)
from annotator.importers.chats import any_prompt, as_prompt, as_response, chat, key_of
from annotator.importers.fields import get, listed, mapped, number, optional_text, rest, text

ASPECTS = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")
SPLITS = {"train": "train", "val": "test", "validation": "test", "test": "test"}


def _prompt(said: str) -> Any:
    """Text, or turns where it has the data set's own marks between them."""
    first, *pieces = TURN.split(said)
    if not pieces:
        return said
    turns = [{"role": "user", "content": first}]
    for role, content in zip(pieces[::2], pieces[1::2], strict=True):
        turns.append({"role": role.lower(), "content": content})
    return turns


# --- ratings --------------------------------------------------------------------------------


def _is_rated(row: Raw) -> bool:
    return {"prompt", "response", "helpfulness"} <= set(row)


def _marks(row: Raw) -> dict[str, float]:
    given = {name: row[name] for name in ASPECTS if row.get(name) is not None}
    return {name: number(value, name, 0, 4) for name, value in given.items()}


def _rated(sources: Sequence[Source], how: Reading) -> list[Made]:
    texts = each(sources, lambda row: text(row, "response"))
    marks = each(sources, _marks)
    said = [name for name in ASPECTS if any(name in one for one in marks)]
    ratings = {name: [one.get(name) for one in marks] for name in said}
    others = [rest(source.value, "prompt", "response", *ASPECTS) for source in sources]
    prompt, kept = any_prompt(sources[0].value, "prompt")
    row = {
        "prompt": _prompt(prompt) if isinstance(prompt, str) else prompt,
        "responses": [{"text": said} for said in texts],
        "annotations": [{**how.who, "choice": None, "ratings": ratings}],
        "meta": kept | ({"rows": others} if any(others) else {}),
        "task": "rating" if len(texts) == 1 else None,
    }
    names = {"prompt": "prompt", "responses": "response"}
    names |= {f"responses[{n}].text": "response" for n in range(len(texts))}
    return [finished(row, "helpsteer2", names)]


RATINGS = Importer(
    name="helpsteer2",
    title="HelpSteer2 ratings",
    about="prompt (text or messages), response, and up to five aspects from 0 to 4. Rows of one "
    "prompt that follow each other (two in HelpSteer2, up to ten) become one item with one "
    "annotation; its order is by helpfulness, equal marks are level. Verbosity and complexity are "
    "kept, not judged. Marks between <extra_id_1> become turns.",
    recognises=_is_rated,
    convert=in_groups(lambda row: key_of(row, "prompt"), _rated),
)


# --- preferences ----------------------------------------------------------------------------


def _preference(value: Any, name: str) -> dict[str, Any]:
    """A strength from -3 (the first is much better) to 3 (the second is)."""
    said = number(value, name, -3, 3)
    return {"choice": "tie" if said == 0 else int(said > 0), "strength": abs(said)}


def _is_preference(row: Raw) -> bool:
    return {"prompt", "response_1", "response_2", "preference_strength"} <= set(row)


USED = ("prompt", "response_1", "response_2", "three_most_similar_preferences", "split")
PEOPLE = ("three_most_similar_preferences", "all_preferences_unprocessed")


def _two(row: Raw, how: Reading) -> Made:
    overall = _preference(
        get(row, "preference_strength", "-3 to 3"), "preference_strength"
    ) | _because(row, "preference_statement", "preference_elaboration")
    given = next((name for name in PEOPLE if row.get(name)), None)
    said = [{**how.who, **overall}]
    if given is not None:
        people = listed(row[given], given)
        said = [
            {**how.who, **_one_of_them(mapped(one, f"{given}[{n}]"), f"{given}[{n}].")}
            for n, one in enumerate(people)
        ]
    split = optional_text(row, "split")
    native = {
        "prompt": _prompt(text(row, "prompt")),
        "responses": [{"text": text(row, name)} for name in ("response_1", "response_2")],
        "annotations": said,
        "split": SPLITS.get(split),
        "meta": rest(row, *USED) | ({} if SPLITS.get(split) == split else rest({"split": split})),
    }
    names = {"prompt": "prompt"} | {f"responses[{n}].text": f"response_{n + 1}" for n in (0, 1)}
    return finished(native, "helpsteer2-preference", names)


def _one_of_them(one: dict[str, Any], at: str) -> dict[str, Any]:
    found = _preference(get(one, "strength", "-3 to 3", at), at + "strength")
    return found | _because(one, "statement", "elaboration", at)


def _because(row: Raw, statement: str, elaboration: str, at: str = "") -> dict[str, Any]:
    said = [optional_text(row, name, at) for name in (statement, elaboration)]
    why = " ".join(one for one in said if one)
    if not said[1]:
        return {"rationale": why} if why else {}
    return {"rationale": why, "meta": {"statement": said[0], "elaboration": said[1]}}


PREFERENCES = Importer(
    name="helpsteer2-preference",
    title="HelpSteer2 preferences",
    about="prompt, response_1, response_2, preference_strength from -3 (the first is much better) "
    "to 3; 0 is a tie. The people of three_most_similar_preferences answer, or else those of "
    "all_preferences_unprocessed, or else preference_strength alone; statement and elaboration "
    "together are the reason, and stand apart in meta. The validation part is the split test.",
    recognises=_is_preference,
    convert=one_by_one(_two),
    strength_max=3,
)


# --- HelpSteer3 -----------------------------------------------------------------------------


def _is_third(row: Raw) -> bool:
    return {"context", "response1", "response2", "overall_preference"} <= set(row)


def _third(row: Raw, how: Reading) -> Made:
    turns = chat(get(row, "context", "messages"), "context")
    overall = _preference(get(row, "overall_preference", "-3 to 3"), "overall_preference")
    people = listed(row.get("individual_preference") or [], "individual_preference")
    said = [
        {**how.who, **_individual(mapped(one, f"individual_preference[{n}]"), n)}
        for n, one in enumerate(people)
    ]
    native = {
        "prompt": as_prompt(turns),
        "responses": [
            as_response([{"role": "assistant", "content": text(row, name)}])
            for name in ("response1", "response2")
        ],
        "annotations": said or [{**how.who, **overall}],
        "subset": optional_text(row, "domain"),
        "meta": rest(row, "context", "response1", "response2", "individual_preference", "domain"),
    }
    names = {"prompt": "context"} | {f"responses[{n}].text": f"response{n + 1}" for n in (0, 1)}
    return finished(native, "helpsteer3", names)


def _individual(one: dict[str, Any], index: int) -> dict[str, Any]:
    at = f"individual_preference[{index}]."
    found = _preference(get(one, "score", "-3 to 3", at), at + "score")
    if optional_text(one, "reasoning", at):
        found["rationale"] = one["reasoning"]
    feedback = rest(one, "score", "reasoning")
    return found | ({"meta": feedback} if feedback else {})


THIRD = Importer(
    name="helpsteer3",
    title="HelpSteer3 preferences",
    about="context (messages), response1, response2, overall_preference from -3 to 3. Each of "
    "individual_preference is one person's answer; the overall preference stands in meta.",
    recognises=_is_third,
    convert=one_by_one(_third),
    strength_max=3,
)
