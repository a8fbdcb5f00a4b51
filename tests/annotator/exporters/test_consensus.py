"""What several answers say together: every hard case by itself, as the documents promise."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.exporters.base import Text
from annotator.exporters.consensus import goods, rankings, verdicts
from tests.answered import context, made, question, said, texts

A, B, TIE = [[1], [2]], [[2], [1]], [[1, 2]]


def decided(*answers: Any, **options: Any) -> list[tuple[str, float]]:
    """Better text and agreement of each pair that is decided; "=" for a tie."""
    found = verdicts(question(*answers), context(**options))
    return [("=" if v.tie else v.better.text, round(v.agreement, 3)) for v in found]


def test_one_answer_decides() -> None:
    assert decided(said("ada", A)) == [("first", 1.0)]
    assert decided(said("ada", B)) == [("second", 1.0)]


def test_a_majority_decides_and_a_level_vote_does_not() -> None:
    assert decided(said("ada", A), said("ben", A), said("cem", B)) == [("first", 0.667)]
    assert decided(said("ada", A), said("ben", B)) == []


def test_a_tie_is_a_vote_for_neither_side() -> None:
    assert decided(said("ada", A), said("ben", TIE)) == []
    assert decided(said("ada", A), said("ben", A), said("cem", TIE)) == [("first", 0.667)]
    assert decided(said("ada", TIE), said("ben", TIE), said("cem", A)) == [("=", 0.667)]


def test_both_good_is_a_tie_between_them() -> None:
    assert decided(said("ada", TIE, acceptable=1)) == [("=", 1.0)]


@pytest.mark.parametrize(
    ("neither", "expected"),
    [("abstain", []), ("tie", []), ("out", [("first", 1.0)])],
    ids=["abstain", "tie", "out"],
)
def test_neither_is_good_enough_by_the_option(neither: str, expected: Any) -> None:
    bad = said("ben", TIE, outcome="neither", acceptable=0, details={"uncompared": True})
    assert decided(said("ada", A), bad, neither=neither) == expected


def test_neither_as_a_tie_makes_a_tie() -> None:
    bad = said("ben", TIE, outcome="neither", acceptable=0)
    assert decided(bad, neither="tie") == [("=", 1.0)]
    assert decided(bad) == []


def test_what_was_left_uncompared_is_no_tie() -> None:
    assert decided(said("ada", TIE, details={"uncompared": True})) == []


def test_a_response_that_was_not_ranked_is_not_worse() -> None:
    three = question(said("ada", [[1], [2]]), responses=texts("a", "b", "c"))
    found = [(v.better.text, v.worse.text) for v in verdicts(three, context())]
    assert found == [("a", "b")]


def test_of_an_imported_choice_among_several_the_others_are_not_level() -> None:
    picked = said("ada", [[2], [1, 3]], via="import", extra={"choice": 1})
    found = verdicts(question(picked, responses=texts("a", "b", "c")), context())
    assert [(v.better.text, v.worse.text) for v in found] == [("b", "a"), ("b", "c")]


def test_skips_and_flags_are_no_votes() -> None:
    answers = said("ada", A), said("ben", None, outcome="skip"), said("cem", None, outcome="flag")
    assert decided(*answers) == [("first", 1.0)]


@pytest.mark.parametrize(
    ("judges", "expected"),
    [("out", [("first", 1.0)]), ("in", []), ("weighted", [("first", 0.667)])],
    ids=["out", "in", "weighted"],
)
def test_judges_count_as_the_option_says(judges: str, expected: Any) -> None:
    assert decided(said("ada", A), said("judge", B), judges=judges) == expected


def test_a_question_that_only_a_judge_answered_is_out_by_default() -> None:
    assert decided(said("judge", A)) == []
    assert decided(said("judge", A), judges="in") == [("first", 1.0)]


def test_agreement_and_number_of_answers_have_a_floor() -> None:
    split = said("ada", A), said("ben", A), said("cem", B)
    assert decided(*split, minimum_agreement=0.7) == []
    assert decided(*split, minimum_answers=3) == [("first", 0.667)]
    assert decided(*split, minimum_answers=4) == []


def test_all_gives_every_answer_its_own_row() -> None:
    split = said("ada", A), said("ben", B), said("cem", TIE)
    assert decided(*split, consensus="all") == [("first", 0.333), ("second", 0.333), ("=", 0.333)]
    assert decided(*split[:1], said("ben", A), said("cem", B), consensus="all",
                   minimum_agreement=0.5) == [("first", 0.667)] * 2  # fmt: skip


def test_the_margin_is_the_mean_signed_strength_for_the_better() -> None:
    answers = said("ada", B, strength=3), said("ben", B, strength=1), said("cem", A, strength=2)
    (verdict,) = verdicts(question(*answers), context())
    assert verdict.margin == pytest.approx((3 + 1 - 2) / 3)
    (plain,) = verdicts(question(said("ada", A)), context())
    assert plain.margin == 2.0  # a preference without a strength is in the middle


def test_a_tie_counts_nought_in_the_margin() -> None:
    answers = said("ada", A, strength=3), said("ben", A, strength=3), said("cem", TIE)
    (verdict,) = verdicts(question(*answers), context())
    assert verdict.margin == pytest.approx(2.0)


def test_of_an_edit_only_those_count_who_made_it() -> None:
    edit = Text(7, 1, "edited", "", 1, {})
    answers = said("ada", [[7], [1]], details={"uncompared": True}), said("ben", B), said("cem", B)
    found = list(verdicts(question(*answers, edits=[edit]), context()))
    assert [(v.better.text, v.worse.text) for v in found] == [
        ("second", "first"),
        ("edited", "first"),
    ]
    without = verdicts(question(*answers, edits=[edit]), context(edits="out"))
    assert [v.better.text for v in without] == ["second"]


# --- good or not ---------------------------------------------------------------------------


def labels(*answers: Any, **options: Any) -> dict[str, bool]:
    found = goods(question(*answers), context("trl-unpaired", **options))
    return {good.response.text: good.good for good in found}


def test_without_a_line_the_better_is_good_and_the_worse_is_not() -> None:
    assert labels(said("ada", B)) == {"first": False, "second": True}


def test_the_line_decides_whatever_won() -> None:
    assert labels(said("ada", A, acceptable=2)) == {"first": True, "second": True}
    assert labels(said("ada", A, acceptable=0)) == {"first": False, "second": False}


def test_both_bad_is_two_false_and_both_good_two_true() -> None:
    bad = said("ada", TIE, outcome="neither", acceptable=0)
    assert labels(bad) == {"first": False, "second": False}
    assert labels(bad, neither="out") == {}
    assert labels(said("ada", TIE, acceptable=1)) == {"first": True, "second": True}


def test_a_plain_tie_says_nothing_unless_asked() -> None:
    assert labels(said("ada", TIE)) == {}
    assert labels(said("ada", TIE), ties="both") == {"first": True, "second": True}


def test_people_who_disagree_on_good_enough_give_no_label() -> None:
    assert labels(said("ada", A), said("ben", B)) == {}
    assert labels(said("ada", A), said("ben", A), said("cem", B)) == {
        "first": True,
        "second": False,
    }


def test_those_between_best_and_worst_get_no_label() -> None:
    three = question(said("ada", [[1], [2], [3]]), responses=texts("a", "b", "c"))
    found = goods(three, context("trl-unpaired"))
    assert {good.response.text: good.good for good in found} == {"a": True, "c": False}


# --- orders --------------------------------------------------------------------------------


def test_a_ranking_for_each_answer_or_one_for_all() -> None:
    three = texts("a", "b", "c")
    answers = said("ada", [[1], [2], [3]]), said("ben", [[2], [1], [3]]), said("cem", [[1], [2, 3]])
    each = rankings(question(*answers, responses=three), context("ranking"))
    assert [one.ranks for one in each] == [[1, 2, 3], [2, 1, 3], [1, 2, 2]]
    (whole,) = rankings(
        question(*answers, responses=three), context("ranking", consensus="majority")
    )
    assert whole.ranks == [1, 2, 3]


def test_reliability_believes_the_one_who_agrees_with_others() -> None:
    known = context(consensus="reliability")
    known.skill = {1: 0.95, 2: 0.5, 3: 0.5, -1: 0.8, -2: 0.1}
    found = verdicts(question(said("ada", A), said("ben", B), said("cem", B)), known)
    assert [(v.better.text) for v in found] == ["first"]


def test_what_gave_no_row_is_counted() -> None:
    known = context()
    assert list(verdicts(question(said("ada", A), said("ben", B)), known)) == []
    assert dict(known.left_out) == {"pairs without a majority": 1}
    assert made("trl-preference", question(said("ada", TIE))) == []
