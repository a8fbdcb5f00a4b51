"""The word diff of the pages, run where it runs: two texts come back to the character."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

SCRIPT = Path(settings.BASE_DIR) / "static" / "js" / "words.js"
PIECES = [
    *("sky", "blue", "the", "the", " ", " ", "  ", "\n", "\r\n", "\t", ",", ".", "don't"),
    *("漢", "字", "مرحبا", "e\u0301", "\u202e", "👩\u200d💻", "🏳️", "<b>", "&amp;", "\ufeff", "0"),
]
RUN = """([pairs]) => pairs.map(([a, b]) => {
  const began = performance.now();
  const pieces = globalThis.Tiebreak.diffWords(a, b);
  return { pieces, took: performance.now() - began };
})"""


@pytest.fixture
def diff(page: Any) -> Any:
    """Several pairs at once to their pieces and milliseconds."""
    page.evaluate(SCRIPT.read_text(encoding="utf-8"))
    return lambda *pairs: page.evaluate(RUN, [list(map(list, pairs))])


def pieces(found: dict[str, Any], *ops: str) -> str:
    return "".join(piece["text"] for piece in found["pieces"] if piece["op"] in ops)


def test_both_texts_come_back_to_the_character(diff: Any) -> None:
    drawn = random.Random(8)

    def text() -> str:
        return "".join(drawn.choices(PIECES, k=drawn.randrange(40)))

    pairs = [(text(), text()) for _ in range(2000)]
    pairs += [(a, a + b) for a, b in pairs[:200]]
    for (a, b), found in zip(pairs, diff(*pairs), strict=True):
        assert pieces(found, "same", "del") == a
        assert pieces(found, "same", "ins") == b
        assert all(piece["text"] for piece in found["pieces"])


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        ("same words", "same words", [("same", "same words")]),
        ("", "all new", [("ins", "all new")]),
        ("good", "good and well", [("same", "good"), ("ins", " and well")]),
        ("a b c", "a x c", [("same", "a "), ("del", "b"), ("ins", "x"), ("same", " c")]),
        ("one two three", "uno two tres", None),
        ("漢字が", "漢語が", [("same", "漢"), ("del", "字"), ("ins", "語"), ("same", "が")]),
    ],
)
def test_known_differences(diff: Any, a: str, b: str, said: list[tuple[str, str]] | None) -> None:
    (found,) = diff((a, b))
    if said is None:  # the word in the middle is longer than nothing: it stays
        said = [("del", "one"), ("ins", "uno"), ("same", " two ")]
        said += [("del", "three"), ("ins", "tres")]
    assert [(piece["op"], piece["text"]) for piece in found["pieces"]] == said


def test_words_between_larger_changes_do_not_stand_alone(diff: Any) -> None:
    (found,) = diff(("elephants a giraffes", "antelopes a buffaloes"))
    assert [piece["op"] for piece in found["pieces"]] == ["del", "ins"]


@pytest.mark.parametrize("kinds", [2, 60, 5000])
def test_twenty_thousand_words_do_not_freeze_the_page(diff: Any, kinds: int) -> None:
    drawn = random.Random(kinds)
    a, b = (" ".join(f"w{drawn.randrange(kinds)}" for _ in range(20_000)) for _ in "ab")
    (found,) = diff((a, b))
    assert pieces(found, "same", "del") == a
    assert pieces(found, "same", "ins") == b
    assert found["took"] < 5000  # a bound against freezing; about 250 on one free core


def test_a_megabyte_against_another_ends(diff: Any) -> None:
    (found,) = diff(("x" * 1_000_000, "y " * 500_000))
    assert pieces(found, "same", "ins") == "y " * 500_000
