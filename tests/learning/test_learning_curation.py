"""Checks before an export: laws, known answers, a second implementation, and real data."""

from __future__ import annotations

import json
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.env import BASE_DIR
from learning import heads
from learning.curation import (
    MOST_EXAMPLES,
    contradictions,
    label_errors,
    length,
    margin,
    source,
    winner_probabilities,
)
from learning.curation._finding import surplus
from learning.curation.contradictions import circles
from learning.curation.label_errors import probability_wrong, recalibrated
from learning.curation.length import auc
from learning.errors import ConfigError, ShapeError

WORDS = [f"w{n}" for n in range(400)]


def rng(seed=0):
    return np.random.default_rng(seed)


def sentence(length, seed):
    return " ".join(rng(seed).choice(WORDS, length))


# --- source and length --------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=60))
def test_leaving_out_the_surplus_balances_every_stratum(rows):
    favoured = np.array([one for one, _ in rows], bool)
    strata = np.array([one for _, one in rows], np.int64)
    kept = np.setdiff1d(np.arange(len(rows)), surplus(favoured, strata, rng()))
    for stratum in range(4):
        inside = favoured[kept][strata[kept] == stratum]
        assert inside.sum() == (~inside).sum()


def test_a_model_that_always_wins_is_found_out_and_balanced():
    chosen = ["strong"] * 90 + ["weak"] * 10
    rejected = ["weak"] * 90 + ["strong"] * 10
    found = source(chosen, rejected, np.arange(100), rng=rng())
    assert found.figures["accuracy"]["value"] == pytest.approx(0.9)
    assert found.figures["win_rates"][0]["model"] == "strong"
    assert (found.rows, len(found.drop)) == (80, 80)
    assert (found.drop < 90).all()
    assert "90 %" in found.sentence


def test_models_that_win_equally_often_give_nothing_away():
    sides = rng(1).integers(0, 2, 400)
    names = np.array(["one", "two"])
    found = source(names[sides], names[1 - sides], np.arange(400), rng=rng())
    assert found.rows == 0
    assert "do not give the choice away" in found.sentence


def test_names_are_judged_on_prompts_that_were_not_seen():
    """Every prompt has models of its own: on others they say nothing."""
    chosen = [f"good {n}" for n in range(60)] * 3
    rejected = [f"bad {n}" for n in range(60)] * 3
    found = source(chosen, rejected, list(range(60)) * 3, rng=rng())
    assert found.figures["accuracy"]["value"] == 0.5


@pytest.mark.parametrize("names", [([""], ["a"]), (["a"], ["a"]), ([], [])])
def test_unknown_and_equal_models_say_nothing(names):
    found = source(*names, np.arange(len(names[0])), rng=rng())
    assert found.rows == 0
    assert found.sentence.startswith("Too little to tell")


def test_a_taste_for_long_responses_is_found_and_balanced():
    draws = rng(2).integers(50, 1000, (600, 2))
    low, high = draws.min(axis=1), draws.max(axis=1) + 1
    flip = rng(3).random(600) < 0.2
    found = length(np.where(flip, low, high), np.where(flip, high, low), np.arange(600), rng=rng())
    share = found.figures["longer_chosen"]
    assert share["low"] < 0.8 < share["high"]
    assert found.rows == len(found.drop)
    kept = np.setdiff1d(np.arange(600), found.drop)
    assert flip[kept].mean() == pytest.approx(0.5, abs=0.02)
    assert len(found.examples) == MOST_EXAMPLES


def test_a_taste_for_short_ones_is_said_as_such():
    found = length(np.full(100, 10), np.full(100, 90), np.arange(100), rng=rng())
    assert found.sentence.startswith("The shorter response was chosen in 100 %")
    assert found.figures["auc"] == 0.0


def test_no_taste_leaves_nothing_out():
    draws = rng(4).integers(50, 1000, (400, 2))
    found = length(draws[:, 0], draws[:, 1], np.arange(400), rng=rng(1))
    assert found.rows == 0
    assert "gives nothing away" in found.sentence
    assert length([5, 5], [5, 5], [0, 1], rng=rng()).sentence.startswith("Too little")


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_the_area_is_that_of_counting_all_pairs(values):
    differences = np.array(values, np.float64)
    pairs = [(a > -b) + 0.5 * (a == -b) for a in differences for b in differences]
    assert auc(differences) == pytest.approx(np.mean(pairs))


# --- margin -------------------------------------------------------------------------------------


def test_rows_outside_the_band_are_found_and_unknown_ones_left_alone():
    found = margin([5.0, 1.0, 0.01, -5.0, np.nan], [3, 2, 1, 1, np.nan])
    assert found.drop.tolist() == [0, 2]
    assert [one.note for one in found.examples] == ["too easy", "level"]
    assert found.figures["known"] == 4
    assert len(found.figures["margin"]) == 9


def test_a_bad_winner_is_outside_the_band_of_scores():
    found = margin([1.0, 1.0, 1.0], [1, 1, 1], [0.9, 0.1, np.nan])
    assert found.drop.tolist() == [1]
    assert "hardly good enough" in found.sentence


def test_without_a_model_nothing_is_outside():
    found = margin([np.nan], [np.nan])
    assert found.rows == 0
    assert "No model has been fitted" in found.sentence
    with pytest.raises(ConfigError, match="band is empty"):
        margin([1.0], [1.0], easy=0.5, level=0.6)


# --- contradictions -----------------------------------------------------------------------------


def test_a_pair_split_down_the_middle_among_pairs_that_agree_stands_out():
    pairs = [[2 * n, 2 * n + 1] for n in range(40)]
    votes = [[18, 2]] * 39 + [[10, 10]]
    found = contradictions(pairs, votes, np.arange(40), rng=rng())
    assert found.drop.tolist() == [39]
    assert found.figures["opposed"] == 40
    assert found.figures["agreement"]["low"] > 0.7


def test_where_everybody_disagrees_nothing_stands_out():
    draws = rng(5).binomial(6, 0.5, 200)
    votes = np.stack([draws, 6 - draws], axis=1)
    pairs = np.arange(400).reshape(200, 2)
    assert contradictions(pairs, votes, np.arange(200), rng=rng()).rows == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_hardly_a_pair_stands_out_by_chance(seed):
    """Everybody is equally reliable: what is called contradictory is so by chance."""
    said = rng(seed).binomial(7, 0.85, 300)
    found = contradictions(
        np.arange(600).reshape(300, 2), np.stack([said, 7 - said], 1), np.arange(300), rng=rng()
    )
    assert found.figures["beyond_chance"] <= 30


def test_the_same_pair_in_two_rows_is_one_pair_whatever_the_order():
    pairs = [[1, 2], [2, 1], *([[2 * n + 10, 2 * n + 11] for n in range(30)])]
    votes = [[6, 0], [6, 0], *([[8, 0]] * 30)]
    found = contradictions(pairs, votes, np.arange(32), rng=rng())
    assert found.drop.tolist() == [0, 1]


def naive_circles(edges):
    beats = set(edges)
    nodes = {one for edge in edges for one in edge}
    either = beats | {(b, a) for a, b in beats}
    triples = [
        t for t in combinations(sorted(nodes), 3) if all(e in either for e in combinations(t, 2))
    ]
    turns = [[{(a, b), (b, c), (c, a)} for a, b, c in permutations(t)] for t in triples]
    return sum(any(turn <= beats for turn in each) for each in turns), len(triples)


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7), st.booleans()), max_size=28))
def test_circles_are_those_of_the_obvious_implementation(drawn):
    sides = {(min(a, b), max(a, b)): forward for a, b, forward in drawn if a != b}
    pairs = np.array(list(sides), np.int64).reshape(-1, 2)
    tally = np.array([[1, 0] if one else [0, 1] for one in sides.values()], np.int64).reshape(-1, 2)
    edges = [(a, b) if one else (b, a) for (a, b), one in sides.items()]
    found = circles(pairs, tally)
    assert (found.number, found.triples) == naive_circles(edges)
    assert found.on.any() == (found.number > 0)
    assert not (found.breaking & ~found.on).any()
    assert circles(pairs[~found.breaking], tally[~found.breaking]).number == 0


def test_of_a_circle_the_pair_with_the_smallest_majority_goes():
    found = contradictions([[0, 1], [1, 2], [0, 2]], [[9, 0], [5, 4], [0, 9]], [0] * 3, rng=rng())
    assert (found.rows, found.drop.tolist()) == (3, [1])


def test_a_circle_is_found_and_a_single_answer_is_no_contradiction():
    found = contradictions([[0, 1], [1, 2], [0, 2]], [[1, 0], [1, 0], [0, 1]], [0, 0, 0], rng=rng())
    assert (found.rows, len(found.drop)) == (3, 1)
    assert "1 runs in a circle" in found.sentence
    alone = contradictions([[0, 1]], [[1, 0]], [0], rng=rng())
    assert (alone.rows, alone.sentence) == (0, "No pair was answered by several people.")
    with pytest.raises(ShapeError):
        contradictions([[0, 1]], [1], [0], rng=rng())


# --- label errors -------------------------------------------------------------------------------


def noisy(n=1500, share=0.1, seed=7):
    """Pairs whose better side is known, some of them labelled wrong."""
    draw = rng(seed)
    features = draw.normal(size=(2 * n, 5))
    reward = 3.0 * features[:, 0]
    pairs = np.arange(2 * n).reshape(n, 2)
    best = reward[pairs[:, 0]] >= reward[pairs[:, 1]]
    truth = np.where(best[:, None], pairs, pairs[:, ::-1])
    flipped = draw.random(n) < share
    return features, np.where(flipped[:, None], truth[:, ::-1], truth), flipped


def test_choices_that_were_turned_round_are_found_and_their_number_is_told():
    features, pairs, flipped = noisy()
    groups = np.arange(len(pairs))
    given_ = winner_probabilities(features, pairs, groups, head=heads.get(), rng=rng())
    votes = np.tile([1, 0], (len(pairs), 1))
    agreement = 0.9**2 + 0.1**2
    found = label_errors(given_, votes, groups, agreement=agreement, rng=rng())
    right = flipped[found.drop].mean()
    assert right > 0.8
    assert flipped[found.drop].sum() > 0.4 * flipped.sum()
    figures = found.figures
    assert (
        figures["expected_low"] - 10 <= flipped[found.drop].sum() <= figures["expected_high"] + 10
    )
    assert figures["reliability"] == pytest.approx(0.9)
    assert abs(figures["expected_all"] - flipped.sum()) < 0.35 * flipped.sum()


def test_where_nobody_answered_twice_reliability_is_assumed():
    features, pairs, flipped = noisy(share=0.15)
    groups = np.arange(len(pairs))
    given_ = winner_probabilities(features, pairs, groups, head=heads.get(), rng=rng())
    found = label_errors(given_, np.tile([1, 0], (len(pairs), 1)), groups, rng=rng())
    assert found.figures["reliability_known"] is False
    assert found.figures["reliability"] == 0.9
    assert flipped[found.drop].mean() > 0.8
    assert "assumed" in found.sentence


def test_a_weak_model_suspects_few_and_does_not_overstate_them():
    """It is right in two thirds, and knows it: that it is unsure is no sign of wrong choices."""
    draw = rng(11)
    sure = draw.beta(4, 2.5, 3000)
    truth = draw.random(3000) < sure  # whether this side is chosen
    given_ = np.where(truth, sure, 1 - sure)  # of the choices, none of which is wrong
    found = label_errors(given_, np.tile([1, 0], (3000, 1)), np.arange(3000), rng=rng())
    assert found.figures["accuracy"]["low"] > 0.5
    assert found.rows < 0.03 * 3000


def test_where_nothing_can_be_predicted_nothing_is_suspected():
    given_ = rng(8).uniform(0.05, 0.95, 400)
    found = label_errors(given_, np.tile([1, 0], (400, 1)), np.arange(400), rng=rng(1))
    assert found.rows == 0
    assert "cannot tell" in found.sentence
    few = label_errors([0.1] * 9, np.tile([1, 0], (9, 1)), np.arange(9), rng=rng())
    assert few.sentence.startswith("Too little to tell")


@given(
    given_=st.floats(0.01, 0.99),
    votes=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    reliable=st.floats(0.55, 0.95),
)
def test_every_vote_for_the_choice_makes_it_less_suspect(given_, votes, reliable):
    rows = np.array([votes, (votes[0] + 1, votes[1])], np.float64)
    one, more = probability_wrong(np.full(2, given_), rows, reliable)
    assert 0 <= more <= one <= 1


def test_recalibration_shrinks_what_is_too_sure():
    truth = rng(9).random(4000) < 0.6
    sure = np.where(truth, 0.95, 0.05)
    assert recalibrated(sure).max() == pytest.approx(0.6, abs=0.03)


# --- real data ----------------------------------------------------------------------------------

DEMO = BASE_DIR / "annotator" / "demo"


def everyday():
    """The demo's items with people's answers and models' names: a slice of a public data set."""
    for name in ("everyday_answered", "everyday_pool"):
        with (DEMO / f"{name}.jsonl").open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def decided(items):
    """(item, chosen, rejected) by the majority of people."""
    for one in items:
        votes = [a["choice"] for a in one["annotations"] if a["kind"] == "human"]
        for_first, for_second = votes.count(0), votes.count(1)
        if len(one["responses"]) == 2 and for_first != for_second:
            order = (0, 1) if for_first > for_second else (1, 0)
            yield one, *(one["responses"][at] for at in order)


def test_people_like_longer_answers_on_real_data():
    rows = list(decided(everyday()))
    sizes = [(len(won["text"]), len(lost["text"])) for _, won, lost in rows]
    found = length(*zip(*sizes, strict=True), [one["group"] for one, _, _ in rows], rng=rng())
    assert found.figures["longer_chosen"]["low"] > 0.5


def test_names_of_models_tell_much_on_real_data():
    rows = list(decided(everyday()))
    found = source(
        [won.get("model", "") for _, won, _ in rows],
        [lost.get("model", "") for _, _, lost in rows],
        [one["id"] for one, _, _ in rows],
        rng=rng(),
    )
    assert found.figures["accuracy"]["low"] > 0.6
