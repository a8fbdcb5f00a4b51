"""JSON as exports write it: the standard library's bytes, but quickly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.exporters.quick import dumps, loads

PLAIN = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
WORDS = st.text(st.characters(exclude_categories=["Cs"]))  # no database holds half a pair
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(1e-4, 1e300) | st.just(0.0)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inside: st.lists(inside) | st.dictionaries(WORDS, inside),
)


@given(VALUES)
def test_the_bytes_are_those_of_the_standard_library(value: Any) -> None:
    assert dumps(value) == PLAIN(value).encode()
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize(("number", "written"), [(1e-5, b"0.00001"), (1.5e-7, b"1.5e-7")])
def test_only_numbers_near_nothing_are_written_in_another_way(
    number: float, written: bytes
) -> None:
    assert dumps({"propensity": number}) == b'{"propensity":%s}' % written
    assert json.loads(written) == number == loads(written)


def test_whole_numbers_that_no_machine_word_holds_keep_their_digits() -> None:
    assert dumps({"id": 2**70}) == b'{"id":1180591620717411303424}'
