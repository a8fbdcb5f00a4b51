"""Cheap features of the text itself: length, shape, tone.

They cost microseconds, are readable, and catch what annotators are known to react to
(length, lists, refusals). Counts go in as ``log(1 + count)``, so the tenth list item
weighs less than the first. All of it is language-tolerant; the refusal and first-person
markers know English only and stay 0 elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.errors import ShapeError
from learning.text import Prompt, last_user_turn

NAMES: Final = (
    "log_chars",  # log(1 + characters)
    "log_words",  # log(1 + whitespace-separated words)
    "word_length",  # mean characters a word
    "log_lines",  # log(1 + non-empty lines)
    "list_items",  # log(1 + lines that start as a list item)
    "code_fences",  # log(1 + ``` markers)
    "headings",  # log(1 + Markdown headings)
    "emphasis",  # log(1 + ** markers)
    "questions",  # log(1 + question marks)
    "exclamations",  # log(1 + exclamation marks)
    "digit_share",  # digits among characters
    "capital_share",  # capitals among characters
    "refusal",  # 1 if it reads like a refusal
    "first_person",  # share of words that are I, me, my, ...
    "prompt_overlap",  # share of the response's distinct words that the prompt has
    "distinct_words",  # distinct among all words
    "empty",  # 1 if there is nothing but white space
)

_LIST_ITEM: Final = re.compile(r"^[ \t]*(?:[-*+\u2022]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
_HEADING: Final = re.compile(r"^#{1,6} \S", re.MULTILINE)
_DIGIT: Final = re.compile(r"\d")
_CAPITAL: Final = re.compile(r"[A-Z]")  # an ASCII class is ten times faster than str.isupper
_REFUSAL: Final = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i (?:can(?:'|no)t|cannot|won't|will not) "
    r"(?:help|assist|provide|do|answer|fulfil|comply|support)|as an ai|i apologi[sz]e)"
)
_REFUSAL_WINDOW: Final = 300  # characters; refusals open a response
_FIRST_PERSON: Final = frozenset({"i", "i'm", "i've", "i'd", "i'll", "me", "my", "mine", "myself"})


def features(prompts: Sequence[Prompt], responses: Sequence[str]) -> NDArray[np.float32]:
    """Return the surface features of each response to its prompt.

    Args:
        prompts: A text or a list of ``{"role", "content"}`` turns for each response.
        responses: The responses, as many.

    Returns:
        Shape ``(n, len(NAMES))``, finite, unscaled; columns in the order of ``NAMES``.

    Raises:
        ShapeError: the two sequences differ in length.
    """
    if len(prompts) != len(responses):
        raise ShapeError(f"{len(prompts)} prompts for {len(responses)} responses")
    table = np.empty((len(responses), len(NAMES)), dtype=np.float64)
    for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
        table[row] = _one(response, _words_of(last_user_turn(prompt)))
    counts = [NAMES.index(name) for name in _COUNTED]
    table[:, counts] = np.log1p(table[:, counts])
    return table.astype(np.float32)


_COUNTED: Final = (
    "log_chars",
    "log_words",
    "log_lines",
    "list_items",
    "code_fences",
    "headings",
    "emphasis",
    "questions",
    "exclamations",
)


def _one(text: str, asked: frozenset[str]) -> tuple[float, ...]:
    """Raw counts and shares of one response, in the order of ``NAMES``."""
    lowered = text.lower().replace("\u2019", "'")
    words = lowered.split()
    distinct = set(words)
    chars, n_words = max(len(text), 1), max(len(words), 1)
    many_lines = "\n" in text
    first_person = sum(map(words.count, _FIRST_PERSON & distinct))
    return (
        len(text),
        len(words),
        sum(map(len, words)) / n_words,
        sum(1 for line in text.splitlines() if line.strip()) if many_lines else bool(words),
        len(_LIST_ITEM.findall(text)),
        text.count("```"),
        len(_HEADING.findall(text)) if "#" in text else 0,
        text.count("**"),
        text.count("?"),
        text.count("!"),
        len(_DIGIT.findall(text)) / chars,
        len(_CAPITAL.findall(text)) / chars,
        bool(_REFUSAL.search(lowered[:_REFUSAL_WINDOW])),
        first_person / n_words,
        len(distinct & asked) / max(len(distinct), 1),
        len(distinct) / n_words,
        not words,
    )


@lru_cache(maxsize=1024)
def _words_of(prompt: str) -> frozenset[str]:
    return frozenset(prompt.lower().split())


def named(row: NDArray[Any]) -> Mapping[str, float]:
    """Return one row ``(len(NAMES),)`` as a mapping, for explanations."""
    return {name: float(value) for name, value in zip(NAMES, row, strict=True)}
