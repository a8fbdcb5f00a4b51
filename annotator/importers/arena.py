"""Chatbot Arena: two whole conversations and a vote; and the set of 55 000 with one-hot votes."""

from __future__ import annotations

import json
from typing import Any

from annotator.importers.base import (
    Importer,
    Made,
    Misfit,
    Native,
    Raw,
    Reading,
    finished,
    one_by_one,
)
from annotator.importers.chats import as_prompt, as_response, chat, plain, shared_start
from annotator.importers.fields import get, optional_text, rest, switch, text

BAD = "tie (bothbad)"
WINNERS: dict[str, dict[str, Any]] = {
    "model_a": {"choice": 0},
    "model_b": {"choice": 1},
    "tie": {"choice": "tie"},
    BAD: {"choice": None, "ratings": {"acceptable": [0, 0]}},
    "both_bad": {"choice": None, "ratings": {"acceptable": [0, 0]}},
}
SIDES = ("conversation_a", "conversation_b")


def _apart(
    one: list[dict[str, Any]], other: list[dict[str, Any]], name: str, **models: str
) -> tuple[Native, list[Native]]:
    """The prompt that two conversations share, up to the last question, and what follows."""
    same = shared_start(one, other)
    while same and one[same - 1]["role"] != "user":
        same -= 1
    if same == 0:
        raise Misfit(name, "expected both conversations to begin with the same question")
    prompt: Native = {"prompt": as_prompt(one[:same]), "meta": {}}
    if not plain(one[:same]):
        prompt["meta"]["prompt"] = one[:same]
    return prompt, [
        as_response(turns[same:], model=model)
        for turns, model in zip((one, other), models.values(), strict=True)
    ]


def _recognises(row: Raw) -> bool:
    return {*SIDES, "winner"} <= set(row)


def _convert(row: Raw, how: Reading) -> Made:
    one, other = (chat(get(row, name, "messages"), name) for name in SIDES)
    models = {name: optional_text(row, name) for name in ("model_a", "model_b")}
    native, responses = _apart(one, other, SIDES[1], **models)
    winner = text(row, "winner")
    if winner not in WINNERS:
        raise Misfit("winner", f"expected one of {', '.join(WINNERS)}; got {winner!r:.40}")
    judge = optional_text(row, "judge")
    kind = "llm" if judge.startswith("gpt") else "human"
    native["meta"] |= rest(row, *SIDES, *models, "winner", "judge", "question_id")
    question = get(row, "question_id", "text or a number")
    native |= {
        "id": ":".join(str(part) for part in (question, *models.values(), row.get("turn", ""))),
        "responses": responses,
        "annotations": [{"annotator": judge or None, "kind": kind, **WINNERS[winner]}],
    }
    native["meta"]["question_id"] = question
    names = {"prompt": SIDES[0], "id": "question_id", "responses[0]": SIDES[0]}
    return finished(native, "arena", names | {"responses[1]": SIDES[1]})


CONVERSATIONS = Importer(
    name="arena",
    title="Chatbot Arena conversations",
    about="question_id, model_a and _b, winner, judge, conversation_a and _b. The turns that both "
    "share are the prompt, up to the last question; what follows is the response. A tie is a tie, "
    "tie (bothbad) is neither good enough; judges that are models (gpt…) count as models. There "
    "are no strengths.",
    recognises=_recognises,
    convert=one_by_one(_convert),
)


# --- the 55k set ----------------------------------------------------------------------------

VOTES = ("winner_model_a", "winner_model_b", "winner_tie")


def _is_table(row: Raw) -> bool:
    return {"prompt", "response_a", "response_b", *VOTES} <= set(row)


def _turns(row: Raw, name: str) -> list[str]:
    """One text a turn; the set writes the list as JSON."""
    said = row[name] if isinstance(row.get(name), list) else text(row, name)
    if isinstance(said, str):
        if not said.startswith("["):
            return [said]
        try:
            said = json.loads(said)
        except ValueError:
            return [str(said)]
    if not isinstance(said, list) or not said:
        raise Misfit(name, "expected a list of texts")
    if any(not isinstance(turn, str | None) for turn in said):
        raise Misfit(name, "expected a list of texts")
    return [turn or "" for turn in said]


def _conversation(row: Raw, side: str) -> list[dict[str, Any]]:
    asked, said = _turns(row, "prompt"), _turns(row, f"response_{side}")
    if len(asked) != len(said):
        raise Misfit(f"response_{side}", f"expected {len(asked)} turns, got {len(said)}")
    return [
        {"role": role, "content": content}
        for turn in zip(asked, said, strict=True)
        for role, content in zip(("user", "assistant"), turn, strict=True)
    ]


def _one_hot(row: Raw, how: Reading) -> Made:
    votes = [switch(get(row, name, "0 or 1"), name) for name in VOTES]
    if sum(votes) != 1:
        raise Misfit("winner_tie", "expected exactly one of the three votes to be 1")
    models = {name: optional_text(row, name) for name in ("model_a", "model_b")}
    native, responses = _apart(
        _conversation(row, "a"), _conversation(row, "b"), "response_b", **models
    )
    choice: int | str = "tie" if votes[2] else votes.index(True)
    native["meta"] |= rest(row, "id", *models, *VOTES, "prompt", "response_a", "response_b")
    native |= {
        "id": "" if row.get("id") is None else str(row["id"]),
        "responses": responses,
        "annotations": [{**how.who, "choice": choice}],
    }
    names = {"prompt": "prompt", "responses[0]": "response_a", "responses[1]": "response_b"}
    names |= {f"responses[{n}].text": f"response_{'ab'[n]}" for n in (0, 1)}
    return finished(native, "arena-55k", names | {"id": "id"})


ONE_HOT = Importer(
    name="arena-55k",
    title="Chatbot Arena, 55k set",
    about="id, model_a and _b, prompt, response_a and _b (texts, or JSON lists of turns), and one "
    "of winner_model_a, winner_model_b, winner_tie. The first question is the prompt where later "
    "turns differ.",
    recognises=_is_table,
    convert=one_by_one(_one_hot),
)
