"""HelpSteer2's preferences: from -3 to 3, the three who differ least, prompts as one text."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.exporters import FORMATS
from annotator.exporters.base import Prompt
from annotator.exporters.steer import MARK, prompt_text
from tests.answered import context, made, question, said, texts

NAME = "helpsteer2-preference"
A, B, TIE = [[1], [2]], [[2], [1]], [[1, 2]]


def test_the_strength_is_negative_where_the_first_is_better() -> None:
    (row,) = made(NAME, question(said("ada", A, strength=3, rationale="It is true.")))
    assert row == {
        "split": "train",
        "prompt": "Why?",
        "response_1": "first",
        "response_2": "second",
        "preference_strength": -3,
        "preference_statement": "It is true.",
        "preference_elaboration": "",
        "three_most_similar_preferences": [
            {"statement": "It is true.", "elaboration": "", "strength": -3}
        ],
        "all_preferences_unprocessed": [
            {"statement": "It is true.", "elaboration": "", "strength": -3}
        ],
    }


def test_of_several_the_three_count_who_differ_least() -> None:
    four = [
        said("ada", A, strength=3),
        said("ben", B, strength=2, rationale="Short."),
        said("cem", TIE),
        said("dee", B, strength=1, rationale="Clear."),
    ]
    (row,) = made(NAME, question(*four))
    near = [one["strength"] for one in row["three_most_similar_preferences"]]
    every = [one["strength"] for one in row["all_preferences_unprocessed"]]
    assert (near, every) == ([2, 0, 1], [-3, 2, 0, 1])
    assert row["preference_strength"] == 1
    assert row["preference_statement"] == "Short."  # the first who says what all say


def test_a_tie_is_zero_and_neither_says_nothing_unless_asked() -> None:
    asked = question(said("ada", TIE), said("ben", None, outcome="neither"))
    (row,) = made(NAME, asked)
    assert (row["preference_strength"], len(row["all_preferences_unprocessed"])) == (0, 1)
    (row,) = made(NAME, asked, neither="tie")
    assert len(row["all_preferences_unprocessed"]) == 2


def test_every_pair_of_a_ranking_is_a_row() -> None:
    three = question(said("ada", [[2], [1], [3]]), responses=texts("a", "b", "c"))
    rows = made(NAME, three)
    assert [(r["response_1"], r["response_2"], r["preference_strength"]) for r in rows] == [
        ("a", "b", 2),
        ("a", "c", -2),
        ("b", "c", -2),
    ]


def prompt(content: Any, where: str = "") -> Prompt:
    return Prompt(1, "d", content, where, False)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (prompt("Why?", "Of the sky."), "Of the sky.\n\nWhy?"),
        (prompt([turn("user", "Why?")]), "Why?"),
        (
            prompt([turn("system", "Be short."), turn("user", "Why?"), turn("assistant", "Air.")]),
            "Be short.\n\nWhy?" + MARK.format("Assistant") + "Air.",
        ),
        (prompt([turn("user", "Why?"), turn("tool", "{}")]), None),
        (prompt([turn("assistant", "Hello.")]), None),
    ],
)
def test_a_prompt_is_one_text(given: Prompt, text: str | None) -> None:
    assert prompt_text(given) == text


def test_what_the_format_cannot_hold_is_counted() -> None:
    known = context(NAME)
    asked = question(said("ada", A))
    asked.prompt = prompt([turn("user", "Why?"), turn("tool", "{}")])
    assert list(FORMATS[NAME].make(asked, known)) == []
    assert known.left_out == {"prompts with turns that this format cannot hold": 1}
