import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning import surface
from learning.errors import ShapeError
from learning.text import last_user_turn, pair_text, text_digest


def measured(response, prompt=""):
    return surface.named(surface.features([prompt], [response])[0])


@pytest.mark.parametrize(
    ("response", "name", "expected"),
    [
        ("one two", "log_words", np.log1p(2)),
        ("abcd ab", "word_length", 3.0),
        ("a\n\nb\n", "log_lines", np.log1p(2)),
        ("- a\n* b\n1. c\n12) d\n-not", "list_items", np.log1p(4)),
        ("```py\nx\n```", "code_fences", np.log1p(2)),
        ("# A\n### B\n#no", "headings", np.log1p(2)),
        ("**a** b", "emphasis", np.log1p(2)),
        ("why? how?", "questions", np.log1p(2)),
        ("1a2b", "digit_share", 0.5),
        ("AbCd", "capital_share", 0.5),
        ("I'm sorry, but no", "refusal", 1.0),
        ("As an AI model", "refusal", 1.0),
        ("I\u2019m unable to", "refusal", 1.0),
        ("She is sorry", "refusal", 0.0),
        ("I like my cat", "first_person", 0.5),
        ("a a b b", "distinct_words", 0.5),
        (" \n", "empty", 1.0),
        ("x", "empty", 0.0),
    ],
)
def test_known_answers(response, name, expected):
    assert measured(response)[name] == pytest.approx(expected, abs=1e-6)


def test_overlap_is_with_the_last_thing_the_user_said():
    chat = [
        {"role": "user", "content": "zebra"},
        {"role": "assistant", "content": "horse"},
        {"role": "user", "content": "Big Cats"},
    ]
    assert measured("big dogs", prompt=chat)["prompt_overlap"] == pytest.approx(0.5)
    assert last_user_turn(chat) == "Big Cats"
    assert last_user_turn([]) == ""


@given(st.lists(st.text(), max_size=4), st.text())
def test_every_text_has_finite_features(responses, prompt):
    table = surface.features([prompt] * len(responses), responses)
    assert table.shape == (len(responses), len(surface.NAMES))
    assert np.isfinite(table).all()


def test_prompts_and_responses_must_match():
    with pytest.raises(ShapeError, match="1 prompts for 2 responses"):
        surface.features(["a"], ["b", "c"])


def test_a_digest_is_of_the_text_alone():
    assert text_digest("a").hex() == "ca978112ca1bbdcafac231b39a23dc4d"
    assert len(text_digest("\ud83d")) == 16  # half an emoji
    assert pair_text("any prompt", "r") == "r"
