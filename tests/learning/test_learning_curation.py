"""Checks before an export: laws, known answers, a second implementation, and real data."""

from __future__ import annotations

import gzip
import json
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning import heads
from learning.curation import (
    MOST_EXAMPLES,
    contamination,
    contradictions,
    duplicates,
    label_errors,
    length,
    margin,
    near_duplicates,
    read_documents,
    source,
    winner_probabilities,
)
from learning.curation._finding import surplus
from learning.curation._words import words
from learning.curation.contradictions import circles
from learning.curation.label_errors import probability_wrong, recalibrated
from learning.curation.length import auc
from learning.errors import BadFile, ConfigError, ShapeError

WORDS = [f"w{n}" for n in range(400)]


def rng(seed=0):
    return np.random.default_rng(seed)


def sentence(length, seed):
    return " ".join(rng(seed).choice(WORDS, length))


# --- near duplicates ----------------------------------------------------------------------------


def overlap(a, b):
    """A second, obvious implementation of the overlap of runs of three words."""

    def runs(text):
        padded = ["<", "<", *words(text), ">", ">"]
        return {tuple(padded[i : i + 3]) for i in range(len(padded) - 2)}

    return len(runs(a) & runs(b)) / len(runs(a) | runs(b))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_near_duplicates_are_those_of_the_obvious_implementation(data):
    base = data.draw(st.lists(st.sampled_from(WORDS[:30]), min_size=1, max_size=40))
    texts = [" ".join(base)]
    for _ in range(data.draw(st.integers(1, 12))):
        changed = list(base)
        for _ in range(data.draw(st.integers(0, 4))):
            changed[data.draw(st.integers(0, len(base) - 1))] = data.draw(st.sampled_from(WORDS))
        texts.append(" ".join(changed))
    pairs, found = near_duplicates(texts)
    for (a, b), one in zip(pairs.tolist(), found.tolist(), strict=True):
        assert a < b
        assert one == pytest.approx(overlap(texts[a], texts[b]))
        assert one >= 0.7
    sure = {
        (a, b) for a, b in combinations(range(len(texts)), 2) if overlap(texts[a], texts[b]) > 0.9
    }
    assert sure <= {tuple(pair) for pair in pairs.tolist()}


def test_at_the_threshold_hardly_any_pair_is_missed():
    texts, wanted = [], 0
    for n in range(400):
        base = sentence(30, n).split()
        other = [*base]
        other[15] = "changed"
        texts += [" ".join(base), " ".join(other)]
        wanted += overlap(*texts[-2:]) >= 0.7
    assert wanted == 400
    assert len(near_duplicates(texts)[0]) >= 0.98 * wanted


def test_case_punctuation_and_width_do_not_count_and_empty_texts_are_equal():
    pairs, found = near_duplicates(["What IS it?", "what is it", "Ｗhat is it…", "", "?!"])
    assert pairs.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4]]
    assert found.tolist() == [1.0] * 4


def test_long_texts_are_compared_by_their_sketch():
    base = sentence(3000, 1).split()
    changed = [*base[:2900], *sentence(100, 2).split()]
    texts = [" ".join(base), " ".join(changed), sentence(3000, 3)]
    pairs, found = near_duplicates(texts)
    assert pairs.tolist() == [[0, 1]]
    assert found[0] == pytest.approx(overlap(*texts[:2]), abs=0.08)


def test_many_equal_prompts_do_not_cost_all_their_pairs():
    pairs, _ = near_duplicates(["the very same prompt again and again"] * 500)
    assert len(pairs) < 1500
    assert set(pairs.ravel().tolist()) == set(range(500))


def test_nothing_at_all_and_an_empty_band():
    assert len(near_duplicates([])[0]) == 0
    with pytest.raises(ConfigError, match="similar"):
        near_duplicates(["a"], similar=0)


PROMPTS = [
    "why is the sky blue in the morning and red in the evening, tell me please",
    "Why is the sky blue in the morning and red in the evening? Tell me please!",
    "how do I bake a large loaf of sourdough bread at home without a special oven",
    "How do I bake a large loaf of sourdough bread at home without a special oven?",
    "something else entirely",
]


def test_rows_near_a_held_out_prompt_go_and_of_others_one_group_stays():
    found = duplicates(
        PROMPTS,
        [True, False, False, False, False],
        ["a", "b", "c", "d", "e"],
        [1, 2, 2, 3, 4],
        [("x", "y"), ("x", "y"), ("x", "z"), ("x", "y"), ("x", "y")],
    )
    assert found.rows == 4
    assert found.drop.tolist() == [0, 3]  # "c" has two rows and stays
    assert found.figures["near_held_out"] == 1
    assert found.figures["near_others"] == 3
    assert "1 row nearly repeats a held-out prompt" in found.sentence
    assert {(one.row, one.other) for one in found.examples} == {(0, 0), (1, 3), (3, 2)}


def test_what_an_import_grouped_is_no_danger():
    found = duplicates(PROMPTS[2:4], [False, False], ["a", "a"], [0, 1], [("x", "y"), ("x", "z")])
    assert (found.rows, len(found.drop), found.examples) == (0, 0, ())
    assert found.sentence.startswith("No prompt nearly repeats")


def test_a_row_that_says_the_same_twice_is_left_out_once():
    rows = [("yes", "no"), ("no", "yes"), ("yes", "perhaps")]
    found = duplicates(PROMPTS[4:], [False], ["a"], [0, 0, 0], rows)
    assert found.drop.tolist() == [1]
    assert found.examples[0].other == 0


def test_no_rows_are_no_trouble():
    found = duplicates(PROMPTS, [True] * 5, list("abcde"), [], [])
    assert (found.rows, found.of) == (0, 0)


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


# --- contamination ------------------------------------------------------------------------------

PASSAGE = (
    "A train leaves the station at nine and travels west at sixty miles an hour until it meets "
    "another train that left an hour later."
)


def test_a_passage_of_thirteen_words_is_found_whatever_its_case_and_punctuation():
    text = "intro words here " + PASSAGE.upper().replace(" ", ", ") + " and more"
    found = contamination(["clean " * 30, text], [PASSAGE, "short"])
    assert found.drop.tolist() == [1]
    assert found.examples[0].note.startswith("a train leaves the station")
    assert found.examples[0].score > 0.5


def test_twelve_words_in_common_are_none_and_a_short_document_matches_whole():
    twelve = " ".join(PASSAGE.split()[:12])
    assert contamination([twelve + " sea"], [PASSAGE]).rows == 0
    assert contamination([f"please: {twelve}, thanks"], [twelve]).rows == 1
    assert (
        contamination(["only seven words are in this text"], ["seven words are in this text"]).rows
        == 0
    )


def test_a_phrase_of_many_documents_does_not_count():
    documents = [f"{PASSAGE} number {n}" for n in range(11)]
    assert contamination([PASSAGE], documents).rows == 0
    assert contamination([PASSAGE], documents[:10]).rows == 1


def test_runs_never_reach_from_one_row_into_the_next():
    first, second = " ".join(PASSAGE.split()[:12]), " ".join(PASSAGE.split()[12:24])
    assert contamination([first, second, ""], [PASSAGE]).rows == 0
    assert contamination([], [PASSAGE]).of == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 40), st.integers(1, 60), st.integers(0, 2000))
def test_a_match_is_what_a_set_of_tuples_says(start, size, seed):
    document = sentence(60, seed).split()
    row = [*sentence(20, seed + 1).split(), *document[start : start + size], "end"]
    runs = {tuple(document[i : i + 13]) for i in range(48)}
    wanted = any(tuple(row[i : i + 13]) in runs for i in range(max(0, len(row) - 12)))
    assert (contamination([" ".join(row)], [" ".join(document)]).rows == 1) == wanted


def test_files_are_read_as_json_lines_or_as_paragraphs(tmp_path):
    lines = tmp_path / "bench.jsonl.gz"
    with gzip.open(lines, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"q": "one", "a": ["two", {"x": "three"}], "n": 4}) + "\n\n")
        file.write("not { json\nbut two lines\n\nlast")
    assert list(read_documents(lines)) == [
        "one\ntwo\nthree",
        "not { json\n but two lines\n",
        "last",
    ]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "a.txt", "no text"),
        (b"\xff\xfe\x00", "a.txt", "not UTF-8"),
        (b"no gzip", "a.gz", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path, content, name, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile, match=said):
        list(read_documents(path))


# --- real data ----------------------------------------------------------------------------------

REAL = Path(__file__).parents[3] / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="the sets of real answers are not here")


def read(name):
    with gzip.open(REAL / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def decided(items):
    """(item, chosen, rejected) by the majority of people."""
    for one in items:
        votes = [a["choice"] for a in one["annotations"] if a["kind"] == "human"]
        for_first, for_second = votes.count(0), votes.count(1)
        if len(one["responses"]) == 2 and for_first != for_second:
            order = (0, 1) if for_first > for_second else (1, 0)
            yield one, *(one["responses"][at] for at in order)


@real
def test_people_like_longer_answers_on_real_data():
    rows = list(decided(read("tulu1")))
    sizes = [(len(won["text"]), len(lost["text"])) for _, won, lost in rows]
    found = length(*zip(*sizes, strict=True), [one["group"] for one, _, _ in rows], rng=rng())
    assert found.figures["longer_chosen"]["low"] > 0.5


@real
def test_names_of_models_tell_much_on_real_data():
    rows = list(decided(read("llmfao") + read("pandalm")))
    found = source(
        [won.get("model", "") for _, won, _ in rows],
        [lost.get("model", "") for _, _, lost in rows],
        [one["id"] for one, _, _ in rows],
        rng=rng(),
    )
    assert found.figures["accuracy"]["low"] > 0.6
