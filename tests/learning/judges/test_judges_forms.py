"""What a reply means, form by form, and what both display orders say together."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ConfigError
from learning.judges.errors import CannotAsk, Malformed
from learning.judges.forms import FORMS, Accept, Compare, Rank, Rate, form
from learning.judges.forms.compare import Comparison
from learning.judges.replies import read
from learning.judges.verdict import averaged, verdict
from tests.learning.judges.judging import asking

THREE = ("one", "two", "three")


def said(ask, order, **reply):
    return read(json.dumps({"reason": "because", **reply}), ask, order)


# --- single orders ---------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "winner"), [((0, 1), 1), ((1, 0), 0)])
def test_letters_become_the_callers_numbers(order, winner):
    found = said(asking(), order, choice="B", strength=3, confidence=80)
    assert found.tiers == ((winner,), (1 - winner,))
    assert found.p == pytest.approx(0.8 if winner == 0 else 0.2)
    assert (found.strength, found.confidence, found.rationale) == (3, pytest.approx(0.8), "because")
    assert found.outcome == "preference"


@pytest.mark.parametrize(
    ("choice", "tiers", "acceptable", "outcome"),
    [
        ("tie", ((0, 1),), None, "tie"),
        ("neither", ((0, 1),), 0, "neither"),
        ("both", ((0, 1),), 1, "tie"),
    ],
)
def test_outcomes_without_a_winner(choice, tiers, acceptable, outcome):
    ask = asking(compare={"both_good": True})
    found = said(ask, (1, 0), choice=choice)
    assert (found.tiers, found.acceptable, found.outcome) == (tiers, acceptable, outcome)
    assert (found.p, found.strength) == (0.5, None)
    assert found.fields((1, 0)) == {"verdict": choice, "rationale": "because"}


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_bare_choice_is_surer_the_clearer_it_is(level):
    found = said(asking(), (0, 1), choice="A", strength=level)
    assert found.p == pytest.approx([0.65, 0.8, 0.95][level - 1])


@pytest.mark.parametrize(
    ("steps", "reply", "button", "strength"),
    [
        (7, {"strength": 3}, "a3", 3),
        (5, {"strength": 2}, "a2", 3),
        (5, {"strength": "slightly better"}, "a1", 1),
        (3, {}, "a1", None),
        (2, {}, "a1", None),
    ],
)
def test_every_scale_has_its_buttons(steps, reply, button, strength):
    ask = asking(compare={"steps": steps, "neither": False})
    found = said(ask, (0, 1), choice="A", **reply)
    assert found.fields((0, 1))["verdict"] == button
    assert found.fields((1, 0))["verdict"] == button.replace("a", "b")
    assert found.strength == strength


def test_aspects_follow_the_responses_and_not_the_sides():
    ask = asking(compare={"aspects": ["helpful", "True to facts"], "confidence": True})
    found = said(
        ask,
        (1, 0),
        choice="A",
        strength=1,
        confidence=90,
        aspects={"helpful": "B", "true to facts": "tie"},
    )
    assert found.details()["compare"]["aspects"] == {"helpful": 1, "True to facts": 0}
    assert found.fields((0, 1)) == {
        "verdict": "b1",
        "aspect-0": "a",
        "aspect-1": "tie",
        "confidence": "3",
        "rationale": "because",
    }


def test_a_ranking_with_ties():
    ask = asking("rank", responses=THREE)
    found = said(ask, (2, 0, 1), ranking=[["B"], ["A", "C"]], all_wrong=False)
    assert found.tiers == ((0,), (1, 2))
    assert found.fields((2, 0, 1)) == {
        "rank-A": "2",
        "rank-B": "1",
        "rank-C": "2",
        "rationale": "because",
    }


def test_all_wrong_is_a_ranking_of_which_none_is_good_enough():
    found = said(asking("rank", responses=THREE), (0, 1, 2), ranking="C > A = B", all_wrong=True)
    assert (found.tiers, found.acceptable) == (((2,), (0, 1)), 0)
    assert found.fields((0, 1, 2))["all_wrong"] == "on"


def test_the_extremes_leave_the_middle_uncompared():
    found = said(asking("best_worst", responses=THREE), (2, 1, 0), best="A", worst="Response C")
    assert found.tiers == ((2,), (1,), (0,))
    assert found.fields((0, 1, 2)) == {"best": "C", "worst": "A", "rationale": "because"}
    assert found.uncompared


def test_marks_by_number_and_by_word():
    ask = asking("rate", rate={"aspects": ["helpful", "overall"]})
    found = said(
        ask,
        (1, 0),
        ratings={"A": {"helpful": 0, "overall": "good"}, "B": {"Helpful": "4", "overall": 1.0}},
    )
    assert found.tiers == ((1,), (0,))  # by overall: 3 and 1
    assert found.fields((0, 1)) == {
        "rate-A-0": "4",
        "rate-A-1": "1",
        "rate-B-0": "0",
        "rate-B-1": "3",
        "rationale": "because",
    }
    assert found.p == pytest.approx(0.05)


def test_thumbs_come_before_marks_and_draw_the_line():
    ask = asking("rate", responses=THREE, rate={"thumbs": True, "low": 1})
    found = said(
        ask,
        (0, 1, 2),
        ratings={"A": 5, "B": 3, "C": 4},
        thumbs={"A": "down", "B": "up", "C": "up"},
    )
    assert (found.tiers, found.acceptable) == (((2,), (1,), (0,)), 2)
    assert found.fields((0, 1, 2))["thumb-A"] == "down"


def test_one_response_alone_can_be_rated_and_accepted():
    ask = asking("rate", "accept", responses=["only"])
    found = said(ask, (0,), ratings={"A": {"overall": 2}}, good={"A": "yes"})
    assert (found.tiers, found.acceptable, found.p, found.outcome) == (((0,),), 1, None, "other")


@pytest.mark.parametrize(
    ("good", "tiers", "acceptable", "outcome"),
    [
        ((True, True), ((0, 1),), 1, "other"),
        ((True, False), ((0,), (1,)), 1, "preference"),
        ((False, False), ((0, 1),), 0, "neither"),
    ],
)
def test_good_enough_or_not(good, tiers, acceptable, outcome):
    found = said(asking("accept"), (0, 1), good=dict(zip("AB", good, strict=True)))
    assert (found.tiers, found.acceptable, found.outcome) == (tiers, acceptable, outcome)


def test_good_enough_draws_the_line_in_an_order_that_was_given_before():
    ask = asking("compare", "accept")
    found = said(ask, (1, 0), choice="A", strength=1, good={"A": True, "B": False})
    assert (found.tiers, found.acceptable, found.uncompared) == (((1,), (0,)), 1, False)
    with pytest.raises(Malformed, match="good: expected no response"):
        said(ask, (1, 0), choice="A", strength=1, good={"A": False, "B": True})


def test_a_later_form_draws_the_line_only_if_it_orders_alike():
    ask = asking("rank", "rate", responses=THREE, rate={"thumbs": True})
    thumbs = {"A": "up", "B": "down", "C": "down"}
    same = {"A": 4, "B": 2, "C": 1}
    found = said(ask, (0, 1, 2), ranking=["A", "B", "C"], ratings=same, thumbs=thumbs)
    assert (found.tiers, found.acceptable) == (((0,), (1,), (2,)), 1)
    found = said(ask, (0, 1, 2), ranking=["A", "C", "B"], ratings=same, thumbs=thumbs)
    assert (found.tiers, found.acceptable) == (((0,), (2,), (1,)), None)


# --- both orders -----------------------------------------------------------------------------


def compared(order, choice, confidence, strength=2, **options):
    ask = asking(compare=options) if options else asking()
    return said(ask, order, choice=choice, strength=strength, confidence=confidence)


def test_the_known_answer_of_order_averaging():
    one = compared((0, 1), "A", 80)  # P(shown first is better) = .8
    two = compared((1, 0), "B", 60)  # P(shown first is better) = .4
    both = averaged(one, two)
    assert both.p == pytest.approx(0.7)
    assert not both.inconsistent
    assert both.verdict.tiers == ((0,), (1,))


def test_a_judge_that_likes_what_comes_first_is_inconsistent_and_ties():
    both = averaged(compared((0, 1), "A", 90), compared((1, 0), "A", 90))
    assert (both.inconsistent, both.disagreement, both.p) == (True, 1.0, pytest.approx(0.5))
    assert both.verdict.outcome == "tie"


def test_without_a_tie_such_a_judge_says_nothing():
    given = {"steps": 4, "neither": False}
    both = averaged(compared((0, 1), "A", 90, **given), compared((1, 0), "A", 90, **given))
    assert (both.verdict, both.inconsistent, both.p) == (None, True, pytest.approx(0.5))


def test_a_tie_in_one_order_is_no_contradiction():
    both = averaged(compared((0, 1), "A", 80), compared((1, 0), "tie", None))
    assert (both.inconsistent, both.p) == (False, pytest.approx(0.65))
    assert both.verdict.fields((0, 1))["verdict"] == "a1"


def test_neither_in_both_orders_stays_neither():
    both = averaged(compared((0, 1), "neither", None), compared((1, 0), "neither", None))
    assert (both.verdict.outcome, both.verdict.acceptable, both.inconsistent) == (
        "neither",
        0,
        False,
    )


def test_rankings_are_averaged_by_place():
    ask = asking("rank", responses=THREE)
    one = said(ask, (0, 1, 2), ranking=["A", "B", "C"])
    two = said(ask, (2, 1, 0), ranking=["B", "C", "A"])  # 1 > 0 > 2
    both = averaged(one, two)
    assert both.verdict.tiers == ((0, 1), (2,))
    assert both.disagreement == pytest.approx(1 / 3)
    assert not both.inconsistent


def test_a_ranking_that_turns_round_is_inconsistent():
    ask = asking("rank", responses=THREE)
    one = said(ask, (0, 1, 2), ranking=["A", "B", "C"])
    two = said(ask, (2, 1, 0), ranking=["A", "B", "C"])
    both = averaged(one, two)
    assert (both.inconsistent, both.disagreement) == (True, 1.0)
    assert both.verdict.tiers == ((0, 1, 2),)


def test_a_ranking_without_ties_stays_one():
    ask = asking("rank", responses=THREE, rank={"ties": False})
    one = said(ask, (0, 1, 2), ranking=["A", "B", "C"])
    two = said(ask, (2, 1, 0), ranking=["B", "C", "A"])
    assert averaged(one, two).verdict.tiers == ((0,), (1,), (2,))


def test_extremes_that_differ_say_nothing():
    ask = asking("best_worst", responses=THREE)
    one = said(ask, (0, 1, 2), best="A", worst="C")
    assert averaged(one, said(ask, (2, 1, 0), best="C", worst="A")).verdict.tiers == one.tiers
    other = averaged(one, said(ask, (2, 1, 0), best="B", worst="A"))
    assert (other.verdict, other.inconsistent) == (None, True)


def test_marks_are_averaged_and_halves_go_up():
    ask = asking("rate")
    one = said(ask, (0, 1), ratings={"A": 1, "B": 3})
    two = said(ask, (1, 0), ratings={"A": 3, "B": 2})
    assert averaged(one, two).verdict.details()["rate"] == {"ratings": {"overall": [2, 3]}}


def test_good_enough_is_what_both_orders_call_so():
    ask = asking("accept", responses=THREE)
    one = said(ask, (0, 1, 2), good={"A": True, "B": True, "C": False})
    two = said(ask, (2, 1, 0), good={"A": False, "B": True, "C": False})
    both = averaged(one, two)
    assert both.verdict.details()["accept"] == {"good": [False, True, False]}
    assert both.disagreement == pytest.approx(1 / 3)


def test_means_that_no_longer_fit_together_are_no_verdict():
    ask = asking("compare", "accept")
    one = said(ask, (0, 1), choice="A", strength=3, confidence=99, good={"A": True, "B": True})
    two = said(ask, (1, 0), choice="A", strength=1, confidence=55, good={"A": True, "B": False})
    both = averaged(one, two)  # 0 > 1 by far, and 1 alone is good enough twice
    assert (both.verdict, both.inconsistent) == (None, True)
    assert both.p == pytest.approx(0.72)


# --- laws ------------------------------------------------------------------------------------

comparisons = st.builds(
    lambda winner, level, p: Comparison(
        winner, level, 3, (p if winner == 0 else 1 - p) if level else 0.5
    ),
    st.sampled_from([0, 1]),
    st.integers(1, 3),
    st.floats(0.5, 1),
) | st.sampled_from(["tie", "neither"]).map(lambda word: Comparison(word, 0, 3, 0.5))


def swapped(part):
    """The same statement with the two responses' numbers exchanged."""
    winner = 1 - part.winner if part.level else part.winner
    return Comparison(winner, part.level, part.levels, 1 - part.p)


@given(comparisons, comparisons)
def test_averaging_ignores_which_order_came_first_and_follows_the_numbers(one, two):
    a, b = verdict({"compare": one}), verdict({"compare": two})
    both, back = averaged(a, b), averaged(b, a)
    assert (both.p, both.inconsistent) == (back.p, back.inconsistent)
    assert both.verdict.tiers == back.verdict.tiers
    turned = averaged(verdict({"compare": swapped(one)}), verdict({"compare": swapped(two)}))
    assert turned.p == pytest.approx(1 - both.p)
    assert turned.inconsistent == both.inconsistent
    if both.verdict.outcome == "preference" and abs(both.p - 0.5) > 1e-6:
        assert turned.verdict.tiers == both.verdict.tiers[::-1]


@given(st.data())
def test_a_ranking_read_in_any_order_of_display_is_the_same_ranking(data):
    count = data.draw(st.integers(3, 10))
    ask = asking("rank", responses=[str(n) for n in range(count)])
    order = tuple(data.draw(st.permutations(range(count))))
    places = data.draw(st.lists(st.integers(1, 4), min_size=count, max_size=count))
    letters = {number: "ABCDEFGHIJ"[place] for place, number in enumerate(order)}
    groups = [
        [letters[n] for n in range(count) if places[n] == place] for place in sorted(set(places))
    ]
    found = said(ask, order, ranking=groups)
    assert [places[tier[0]] for tier in found.tiers] == sorted(set(places))
    both = averaged(found, found)
    assert both.verdict.tiers == found.tiers
    assert not both.inconsistent


# --- what cannot be asked --------------------------------------------------------------------


def test_an_edit_is_refused_clearly():
    with pytest.raises(CannotAsk, match="writes none"):
        form("edit")
    with pytest.raises(CannotAsk, match="no form 'poll'"):
        form("poll")


@pytest.mark.parametrize("name", FORMS)
def test_options_are_checked(name):
    with pytest.raises(ConfigError, match=f"{name} has no option 'colour'"):
        form(name, {"colour": "red"})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Compare, {"steps": 8}),
        (Compare, {"aspects": "helpful"}),
        (Rate, {"labels": ["one"]}),
        (Rate, {"aspects": []}),
        (Rate, {"low": 2}),
    ],
)
def test_options_that_cannot_be_are_refused(kind, options):
    with pytest.raises(ConfigError):
        kind(**options)


@pytest.mark.parametrize(
    ("forms", "responses", "said"),
    [
        ([], 2, "no form"),
        ([Compare()], 3, "compare takes 2 to 2 responses, got 3"),
        ([Rank()], 2, "rank takes 3 to 10"),
        ([Accept(), Accept()], 2, "twice"),
    ],
)
def test_questions_that_cannot_be_are_refused(forms, responses, said):
    from learning.judges.base import Ask

    with pytest.raises(CannotAsk, match=said):
        Ask.of(forms, "?", ["x"] * responses)


@pytest.mark.parametrize("order", [(0,), (0, 0), (1, 2), (0, 1, 2)])
def test_what_is_no_display_order_is_refused(order):
    with pytest.raises(CannotAsk, match="display order"):
        asking().check(order)
