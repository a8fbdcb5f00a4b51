"""Checks of attention: known answers, and laws over generated inputs."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.services.quality import (
    BLOCK,
    Expected,
    advice,
    agrees,
    chance_below,
    mixed_in,
    same_again,
    shares,
    slip_rate,
    wilson,
)

A, B, C, D = 11, 12, 13, 14
A_WINS = Expected([[A], [B]])


def lots(seed: int):
    """A lot for each number, as even as a hash."""

    def lot(number: int) -> float:
        drawn = hashlib.sha256(f"{seed}:{number}".encode()).digest()
        return int.from_bytes(drawn[:6], "big") / 2**48

    return lot


@st.composite
def weak_orders(draw, ids=(A, B, C, D)):
    """All of the ids in tiers."""
    places = {pk: draw(st.integers(0, 3)) for pk in ids}
    return [[pk for pk in ids if places[pk] == n] for n in sorted(set(places.values()))]


# --- as expected --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tiers", "right"),
    [([[A], [B]], True), ([[B], [A]], False), ([[A, B]], False), (None, False), ([], False)],
)
def test_of_two_responses_the_winner_must_be_the_same(tiers, right):
    assert agrees(A_WINS, tiers=tiers, acceptable=None) is right


def test_an_expected_tie_is_met_by_a_tie_only():
    tie = Expected([[A, B]])
    assert agrees(tie, tiers=[[B, A]], acceptable=None)
    assert not agrees(tie, tiers=[[A], [B]], acceptable=None)


@pytest.mark.parametrize(
    ("tiers", "right"),
    [
        ([[A], [B], [C]], True),
        ([[A, B], [C]], True),  # a tie turns nothing round
        ([[A], [B, C]], True),
        ([[A, B, C]], False),  # all level: the best does not stand out from the worst
        ([[B], [A], [C]], False),
        ([[A], [C], [B]], False),
        ([[A], [B]], True),  # C was left unranked: below
        ([[B], [C]], False),  # A was
    ],
)
def test_of_several_no_stated_pair_may_be_turned_round(tiers, right):
    assert agrees(Expected([[A], [B], [C]]), tiers=tiers, acceptable=None) is right


def test_a_key_says_nothing_about_the_inside_of_its_tiers():
    key = Expected([[A], [B, C], [D]])
    for tiers in ([[A], [C], [B], [D]], [[A], [B], [C], [D]]):
        assert agrees(key, tiers=tiers, acceptable=None)


@pytest.mark.parametrize(
    ("acceptable", "right"), [(1, True), (0, False), (2, False), (None, False)]
)
def test_good_enough_must_match_and_silence_is_no_answer(acceptable, right):
    key = Expected(good={A: True, B: False})
    assert agrees(key, tiers=[[A], [B]], acceptable=acceptable) is right


def test_where_no_line_was_asked_for_the_order_decides():
    key = Expected([[A], [B]], {A: True, B: True})
    assert agrees(key, tiers=[[A], [B]], acceptable=None)
    assert not agrees(key, tiers=[[A], [B]], acceptable=1)


def test_an_empty_key_is_never_met():
    assert not agrees(Expected(), tiers=[[A], [B]], acceptable=1)


@given(order=weak_orders())
def test_every_order_agrees_with_itself(order):
    assert agrees(Expected(order), tiers=order, acceptable=None)


@given(order=weak_orders())
def test_an_order_turned_round_is_never_as_expected_unless_it_is_a_tie(order):
    assert agrees(Expected(order), tiers=order[::-1], acceptable=None) is (len(order) == 1)


@given(key=weak_orders(), said=weak_orders(), swap=st.permutations([A, B, C, D]))
def test_names_of_responses_mean_nothing(key, said, swap):
    other = dict(zip([A, B, C, D], swap, strict=True))

    def renamed(order):
        return [[other[pk] for pk in tier] for tier in order]

    before = agrees(Expected(key), tiers=said, acceptable=None)
    assert before is agrees(Expected(renamed(key)), tiers=renamed(said), acceptable=None)


@given(order=weak_orders(), line=st.integers(0, 4))
def test_everybody_agrees_with_themselves(order, line):
    line = min(line, len(order))
    assert same_again((order, line), (order, line)) is True


def test_an_answer_that_ordered_nothing_cannot_be_repeated():
    assert same_again((None, None), ([[A], [B]], None)) is None
    assert same_again(([[A]], 1), ([[A]], 1)) is None


# --- mixing -------------------------------------------------------------------------------


@settings(deadline=None)  # a law, not a speed
@given(seed=st.integers(), gold=st.floats(0, 0.3), repeat=st.floats(0, 0.2))
def test_never_two_in_a_row_and_never_the_first(seed, gold, repeat):
    drawn = [mixed_in(n, lots(seed), gold=gold, repeat=repeat) for n in range(3 * BLOCK)]
    assert not drawn[0]
    assert not any(one and other for one, other in pairwise(drawn))


@pytest.mark.parametrize(("gold", "repeat"), [(0.1, 0.05), (0.3, 0.2), (0.0, 0.1), (0.05, 0.0)])
def test_the_shares_are_kept_in_the_long_run(gold, repeat):
    drawn = [
        mixed_in(n, lots(seed), gold=gold, repeat=repeat)
        for seed in range(40)
        for n in range(100, 600)
    ]
    assert drawn.count("gold") / len(drawn) == pytest.approx(gold, abs=0.01)
    assert drawn.count("repeat") / len(drawn) == pytest.approx(repeat, abs=0.01)


def test_nothing_is_mixed_in_where_no_share_is_set():
    assert not any(mixed_in(n, lots(1), gold=0.0, repeat=0.0) for n in range(200))


def test_new_people_get_twice_the_gold_up_to_a_fifth():
    assert shares(3, gold=0.05, repeat=0.05) == (0.1, 0.05)
    assert shares(3, gold=0.15, repeat=0.0) == (0.2, 0.0)
    assert shares(3, gold=0.3, repeat=0.0) == (0.3, 0.0)  # never less than the campaign says
    assert shares(40, gold=0.05, repeat=0.05) == (0.05, 0.05)


# --- figures ------------------------------------------------------------------------------


def test_wilsons_interval_of_nine_of_ten():
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert wilson(0, 0) is None


@given(n=st.integers(1, 400), share=st.floats(0, 1))
def test_an_interval_holds_its_share(n, share):
    right = round(n * share)
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-12
    assert right / n - 1e-12 <= high <= 1


def test_two_right_of_five_leave_a_chance_of_0_58_of_less_than_seven_in_ten():
    assert chance_below(2, 5) == pytest.approx(0.5842, abs=1e-4)
    assert advice(2, 5) == ""
    assert advice(1, 5) == "coach"
    assert advice(2, 10) == "look"
    assert advice(0, 0) == ""


@given(n=st.integers(1, 60), right=st.integers(0, 60))
def test_one_more_right_answer_never_worsens_the_verdict(n, right):
    right = min(right, n - 1)
    assert chance_below(right + 1, n) <= chance_below(right, n) + 1e-12


def test_eighteen_different_of_a_hundred_are_a_slip_rate_of_a_tenth():
    assert slip_rate(18, 100) == pytest.approx(0.1)
    assert slip_rate(9, 10) == 0.5
    assert slip_rate(0, 0) is None
