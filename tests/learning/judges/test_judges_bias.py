"""Biases of judges: known answers, planted ones found again, and names."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from learning.errors import NotEnoughData, ShapeError
from learning.judges.bias import by_tag, kin, position, self_preference, shown_first
from learning.judges.controls import CONTROLS, controls, differences
from learning.judges.related import Relation, families, plain, related, relation
from learning.judges.replies import read
from tests.learning.judges.judging import asking

NAN = math.nan


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# --- sides -----------------------------------------------------------------------------------


def test_a_fair_judge_chooses_each_side_once_a_question(rng):
    found = position([[1, 0], [0, 1]] * 30, rng=rng)
    assert (found.first.value, found.first.low, found.first.high) == (0.5, 0.5, 0.5)
    assert (found.consistent.value, found.calls, found.always) == (1.0, 120, "")


@pytest.mark.parametrize(("side", "name"), [(1, "first"), (0, "second")])
def test_a_judge_who_always_says_the_same_is_found_out(rng, side, name):
    found = position([[side, side]] * 40, rng=rng)
    assert (found.always, found.first.value, found.consistent.value) == (name, side, 0.0)
    assert position([[side, side]] * 5, rng=rng).always == ""  # too few to say so


def test_a_planted_preference_for_what_comes_first_is_measured(rng):
    margin = rng.normal(0, 1, 2000)
    first = rng.random(2000) < expit(margin + 0.8)
    second = rng.random(2000) < expit(-margin + 0.8)
    found = position(np.stack([first, second], axis=1).astype(float), rng=rng)
    expected = expit(rng.normal(0, 1, 100_000) + 0.8).mean()
    assert found.first.low < expected < found.first.high
    assert found.first.low > 0.6
    assert 0.4 < found.consistent.value < 0.7


def test_ties_are_no_side(rng):
    found = position([[1, NAN], [NAN, NAN], [0, 1]], rng=rng)
    assert found.calls == 3
    assert found.first.value == pytest.approx(2 / 3)
    assert found.consistent.value == 1.0  # the one question with two decided calls
    with pytest.raises(NotEnoughData):
        position([[NAN, NAN]], rng=rng)


@pytest.mark.parametrize("chosen", [[1, 0], [[1, 0, 1]], [[0.5, 1]]])
def test_what_is_no_table_of_sides_is_refused(rng, chosen):
    with pytest.raises(ShapeError):
        position(chosen, rng=rng)


def test_sides_of_two_verdicts():
    def said(order, choice):
        return read(f'{{"choice": "{choice}", "strength": 1}}', asking(), order)

    assert shown_first(said((1, 0), "A"), said((0, 1), "A"), (1, 0)) == (1.0, 1.0)
    assert shown_first(said((1, 0), "A"), said((0, 1), "B"), (1, 0)) == (1.0, 0.0)
    one, two = shown_first(said((0, 1), "tie"), said((1, 0), "B"), (0, 1))
    assert (math.isnan(one), two) == (True, 0.0)


# --- own kin ---------------------------------------------------------------------------------


def test_the_known_answer_of_self_preference(rng):
    delta = np.array([0.2, -0.4, 1.0])
    found = self_preference(expit(delta + 0.5), expit(delta), clusters=[0, 1, 2], rng=rng)
    assert found.dbg.value == pytest.approx(0.109512, abs=1e-6)
    assert found.dbg.low < found.dbg.value < found.dbg.high
    assert found.questions == 3


def test_a_judge_whose_kin_is_better_is_not_blamed(rng):
    own = expit(rng.normal(1.5, 1, 300))
    found = self_preference(own, own, clusters=np.arange(300), rng=rng)
    assert (found.dbg.value, found.judge == found.people) == (0.0, True)
    assert found.judge > 0.7


def test_kin_is_told_by_names_and_only_where_one_of_two_is():
    authors = [
        ("GPT 3.5 Turbo", "Claude v2"),
        ("Falcon (7B)", "gpt-4"),
        ("gpt-4", "gpt-3.5-turbo"),
        ("Falcon (7B)", "Claude v2"),
        ("gpt-4", ""),
    ]
    assert kin("gpt-4-0613", authors).tolist() == [0, 1, -1, -1, -1]


def test_without_a_question_there_is_no_self_preference(rng):
    with pytest.raises(NotEnoughData):
        self_preference([], [], clusters=[], rng=rng)
    with pytest.raises(ShapeError):
        self_preference([0.5], [], clusters=[], rng=rng)


@pytest.mark.parametrize(
    ("judge", "author", "how"),
    [
        ("gpt-4", "GPT 4", Relation.SAME),
        ("gpt-4-0613", "openai/gpt-4", Relation.SAME),
        ("gpt-4o-2024-08-06", "gpt-4o", Relation.SAME),
        ("gpt-3.5-turbo-instruct", "gpt-4", Relation.FAMILY),
        ("o3-mini", "gpt-4o", Relation.FAMILY),
        ("gpt-4", "Vicuna v1.3 (13B)", Relation.FAMILY),
        ("gpt-4", "cerebras-gpt-6.7B", Relation.NONE),
        ("gpt-4", "GPT-NeoXT-Chat-Base (20B)", Relation.NONE),
        ("gpt-4", "claude-3-opus-20240229", Relation.NONE),
        ("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct-AWQ", Relation.SAME),
        ("Qwen2.5-7B-Instruct", "Qwen-Chat (7B)", Relation.FAMILY),
        ("DeepSeek-R1-Distill-Qwen-7B", "Qwen2.5-72B", Relation.FAMILY),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama3.1:8b", Relation.FAMILY),
        ("Mixtral-8x7B", "mistral-large", Relation.FAMILY),
        ("PandaLM-7B", "llama-7b", Relation.FAMILY),
        ("gemma-2-9b", "PaLM 2 Bison", Relation.FAMILY),
        ("command-r", "command-light", Relation.FAMILY),
        ("gpt-4", "Weaver 12k", Relation.UNKNOWN),
        ("gpt-4", "", Relation.UNKNOWN),
        ("house-model", "House Model", Relation.SAME),
        ("opt-7b", "adopted-model", Relation.UNKNOWN),
    ],
)
def test_relations_told_by_names(judge, author, how):
    assert relation(judge, author) is relation(author, judge) is how
    assert related(judge, author) is (how in (Relation.SAME, Relation.FAMILY))


@given(st.text(max_size=30))
def test_every_name_has_an_answer(name):
    assert relation(name, name) in (Relation.SAME, Relation.UNKNOWN)
    assert families(name.upper()) == families(name.lower())
    assert plain(f"somebody/{name}") == plain(name) or "/" in name


# --- controls --------------------------------------------------------------------------------


def texts(rng, n):
    word = lambda: " ".join(["word"] * int(rng.integers(1, 80)))  # noqa: E731
    list_ = lambda: "\n- item" * int(rng.integers(0, 5))  # noqa: E731
    return [word() + list_() for _ in range(n)]


def test_a_planted_liking_of_length_is_found_and_no_other(rng):
    n = 1500
    first, second = texts(rng, n), texts(rng, n)
    gaps = differences(["?"] * n, first, second)
    quality = rng.normal(0, 1, n)
    long = gaps[:, 0] / gaps[:, 0].std()
    people = (rng.random(n) < expit(quality + 0.3 * long)).astype(float)
    judge = (rng.random(n) < expit(quality + 1.2 * long)).astype(float)
    found = controls(judge, people, gaps, clusters=np.arange(n), rng=rng)
    by_name = {one.name: one for one in found}
    assert list(by_name) == ["length", "lists"]  # there is neither markup nor a refusal
    length, lists = by_name["length"], by_name["lists"]
    assert length.judge > length.people > 0
    assert 0.4 < length.difference.low < length.difference.value < length.difference.high
    assert lists.difference.low < 0 < lists.difference.high


def test_coefficients_turn_round_with_the_numbering(rng):
    n = 200
    first, second = texts(rng, n), texts(rng, n)
    gaps = differences(["?"] * n, first, second)
    np.testing.assert_allclose(gaps, -differences(["?"] * n, second, first))
    assert gaps.shape == (n, len(CONTROLS))
    said = (rng.random(n) < 0.6).astype(float)
    one = controls(said, said, gaps, clusters=np.arange(n), rng=rng)
    other = controls(1 - said, 1 - said, -gaps, clusters=np.arange(n), rng=rng)
    assert [c.judge for c in one] == pytest.approx([c.judge for c in other])
    assert all(c.difference.value == c.difference.low == c.difference.high == 0 for c in one)


def test_few_questions_and_odd_tables_are_refused(rng):
    gaps = np.ones((29, len(CONTROLS)))
    with pytest.raises(NotEnoughData, match="29 questions"):
        controls([0.5] * 29, [0.5] * 29, gaps, clusters=range(29), rng=rng)
    with pytest.raises(ShapeError):
        controls([0.5] * 30, [0.5] * 30, gaps, clusters=range(30), rng=rng)


# --- tags ------------------------------------------------------------------------------------


def test_agreement_by_tag_the_worst_first():
    p, y = [0.9, 0.9, 0.2, 0.5], [1.0, 0.0, 0.0, 1.0]
    found = by_tag(p, y, [["maths"], ["maths", "code", "code"], [], ["maths"]])
    assert [(one.tag, one.n, one.agreement.value) for one in found] == [
        ("code", 1, 0.0),
        ("maths", 3, 0.5),
    ]
    assert 0 < found[1].agreement.low < 0.5 < found[1].agreement.high < 1
    with pytest.raises(ShapeError):
        by_tag(p, y, [[]])
