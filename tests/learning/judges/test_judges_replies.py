"""Replies as models really write them; whatever comes, only a named error leaves."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.judges.errors import CutOff, EmptyReply, Malformed, Refused, ReplyError
from learning.judges.replies import choice_probabilities, complaint, read, with_probability
from tests.learning.judges.judging import asking

GOOD = {"reason": "B is right", "choice": "B", "strength": 2, "confidence": 75}
TEXT = json.dumps(GOOD)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"Here is my verdict:\n```\n{TEXT}\n```\nI hope it helps!",
        f'<think>First {{"choice": "A", "strength": 1}} came to mind.</think>{TEXT}',
        f'A draft: {{"choice": "A", "strength": 1, "confidence": 60}}. Better: {TEXT}',
        f"The set {{A, B}} has two members. {TEXT}",
        TEXT.replace('"choice"', '"Choice"'),
        TEXT.replace('"B"', '"Response B"'),
        TEXT.replace('"B"', '"[[b]]"'),
        TEXT.replace('"B"', '"**B**."'),
        TEXT.replace("2,", '"2",'),
        TEXT.replace("2,", "2.0,"),
        TEXT.replace("2,", '"clearly",'),
        TEXT.replace("75", '"75%"'),
        TEXT.replace("75", "0.75"),
        TEXT.replace("B is right", "B is\nright"),
        TEXT.replace("}", ', "mood": {"good": true}}'),
        json.dumps({"thoughts": {"deep": []}, **GOOD}),
    ],
)
def test_what_can_be_read(text):
    found = read(text, asking(), (0, 1))
    assert (found.tiers, found.strength, found.p) == (((1,), (0,)), 2, 0.25)


@pytest.mark.parametrize(
    ("change", "field", "expected"),
    [
        ({"choice": "C"}, "choice", "one of A, B, tie, neither"),
        ({"choice": "both"}, "choice", "one of"),
        ({"choice": 1}, "choice", "one of"),
        ({"choice": ["A"]}, "choice", "one of"),
        ({"choice": "甲"}, "choice", "one of"),
        ({"choice": "A or B"}, "choice", "one of"),
        ({"choice": None}, "choice", "one of"),
        ({"strength": 4}, "strength", "from 1 to 3"),
        ({"strength": 0}, "strength", "from 1 to 3"),
        ({"strength": 1.5}, "strength", "from 1 to 3"),
        ({"strength": True}, "strength", "from 1 to 3"),
        ({"strength": "very"}, "strength", "from 1 to 3"),
        ({"strength": {}}, "strength", "from 1 to 3"),
        ({"strength": 10**400}, "strength", "from 1 to 3"),
        ({"strength": math.nan}, "strength", "from 1 to 3"),
        ({"strength": None}, "strength", "from 1 to 3"),
    ],
)
def test_what_is_wrong_is_named(change, field, expected):
    with pytest.raises(Malformed) as caught:
        read(json.dumps({**GOOD, **change}), asking(), (0, 1))
    assert caught.value.field == field
    assert expected in caught.value.expected
    if change[field] is None:
        assert caught.value.got == "nothing"
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("said", ["high", None, -5, 101, [], True, math.inf])
def test_a_confidence_that_says_nothing_leaves_the_choice(said):
    found = read(json.dumps({**GOOD, "confidence": said}), asking(), (0, 1))
    assert found.p == pytest.approx(1 - 0.8)  # as sure as "clearly" is


def test_whoever_is_less_than_half_sure_is_undecided():
    assert read(json.dumps({**GOOD, "confidence": 20}), asking(), (0, 1)).p == 0.5


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", EmptyReply),
        (" \n\t", EmptyReply),
        ("<think>hm</think>\n", EmptyReply),
        ("I'm sorry, but I cannot compare these responses.", Refused),
        ("As an AI language model, I have no opinion.", Refused),
        ('{"error": "I cannot assist with that."}', Refused),
        ('{"reason": "It is', CutOff),
        ('```json\n{"reason": "It is", "choice": "A",', CutOff),
        ("B is better.", Malformed),
        ("Réponse B est meilleure.", Malformed),
        ("{'choice': 'B', 'strength': 2}", Malformed),
        ('["B", 2]', Malformed),
        ('{"answer": "B"}', Malformed),
        ("null", Malformed),
        ("[" * 100_000, Malformed),
        ('{"a":' * 100_000, CutOff),
        ("\ud83d", Malformed),
    ],
)
def test_what_is_no_verdict_has_a_name(text, kind):
    with pytest.raises(ReplyError) as caught:
        read(text, asking(), (0, 1))
    assert type(caught.value) is kind


def test_a_reply_that_the_limit_of_tokens_ended():
    with pytest.raises(CutOff):
        read("B is better because", asking(), (0, 1), cut_off=True)
    with pytest.raises(CutOff):
        read("", asking(), (0, 1), cut_off=True)
    assert read(TEXT + " and so on", asking(), (0, 1), cut_off=True).p == 0.25


@pytest.mark.parametrize(
    ("form", "reply", "field"),
    [
        ("rank", {"ranking": "A"}, "ranking"),
        ("rank", {"ranking": [["A"], ["B"]]}, "ranking"),
        ("rank", {"ranking": ["A", "B", "B"]}, "ranking"),
        ("rank", {"ranking": ["A", "B", "D"]}, "ranking"),
        ("rank", {"ranking": [["A", ["B"]], "C"]}, "ranking"),
        ("rank", {"ranking": {"A": 1}}, "ranking"),
        ("rank", {"ranking": ["A", "B", "C"], "all_wrong": "maybe"}, "all_wrong"),
        ("best_worst", {"best": "A", "worst": "A"}, "worst"),
        ("best_worst", {"best": "A"}, "worst"),
        ("rate", {"ratings": {"A": 1, "B": 2}}, "ratings.C"),
        ("rate", {"ratings": {"A": 1, "B": 2, "C": 5}}, "ratings.C.overall"),
        ("rate", {"ratings": {"A": 1, "B": 2, "C": {}}}, "ratings.C.overall"),
        ("rate", {"ratings": [1, 2, 3]}, "ratings"),
        ("rate", {"ratings": {"A": 1, "B": 2, "C": 3, "D": 4}}, "ratings"),
        ("accept", {"good": {"A": True, "B": 1, "C": False}}, "good"),
        ("accept", {"good": "all"}, "good"),
    ],
)
def test_what_is_wrong_in_other_forms_is_named(form, reply, field):
    with pytest.raises(Malformed) as caught:
        read(json.dumps(reply), asking(form, responses=["x", "y", "z"]), (2, 0, 1))
    assert caught.value.field == field


def test_ties_where_there_must_be_none():
    ask = asking("rank", responses=["x", "y", "z"], rank={"ties": False})
    with pytest.raises(Malformed, match="a place of its own"):
        read('{"ranking": [["A", "B"], ["C"]]}', ask, (0, 1, 2))
    with pytest.raises(Malformed, match="one of A, B, neither"):
        read('{"choice": "tie"}', asking(compare={"steps": 6}), (0, 1))


def test_only_the_end_of_an_endless_reply_is_looked_at():
    with pytest.raises(Malformed, match="reply"):
        read(TEXT + " and so on" * 30_000, asking(), (0, 1))
    assert read(" and so on" * 30_000 + TEXT, asking(), (0, 1)).p == 0.25


def test_a_complaint_says_what_was_expected():
    with pytest.raises(Malformed) as caught:
        read(json.dumps({**GOOD, "strength": 9}), asking(), (0, 1))
    assert "strength: expected a whole number from 1 to 3, got 9" in complaint(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
KEYS = ("reason", "choice", "strength", "confidence", "aspects", "ranking", "all_wrong")
KEYS += ("best", "worst", "ratings", "thumbs", "good")
near = st.sampled_from(["A", "b", "tie", "=", "neither", "up", "yes", 1, 2, "3", True, ["A"], {}])
letters = st.sampled_from(["A", "B", "C", "D", "response a", ""])
odd = near | json_values | st.dictionaries(letters, near | json_values, max_size=4)
odd |= st.lists(near | st.lists(letters, max_size=3), max_size=4)
replies = st.dictionaries(st.sampled_from(KEYS), odd).map(json.dumps) | st.text()


@pytest.mark.parametrize("names", [["compare"], ["rank"], ["best_worst"], ["rate"], ["accept"]])
@given(text=replies, before=st.text(max_size=20), lost=st.integers(0, 30))
def test_nothing_but_named_errors_leaves(names, text, before, lost):
    responses = ["x", "y"] if names == ["compare"] else ["x", "y", "z"]
    options = {"compare": {"aspects": ["true"]}, "rate": {"thumbs": True}}
    ask = asking(*names, responses=responses, **options)
    try:
        found = read(before + text[: len(text) - lost], ask, ask.straight)
    except ReplyError as error:
        assert error.code != "reply"  # noqa: PT017
    else:
        named = {number for tier in found.tiers for number in tier}
        assert named == set(ask.straight)


# --- probabilities of tokens -----------------------------------------------------------------


def tokens(*texts, **at):
    """Entries for these texts; ``at["n3"]`` gives the alternatives of the fourth."""
    made = []
    for place, text in enumerate(texts):
        others = at.get(f"n{place}", {text: 0.9})
        top = [{"token": t, "logprob": math.log(p)} for t, p in others.items()]
        made.append({"token": text, "logprob": -0.1, "top_logprobs": top})
    return made, "".join(texts)


def test_the_tokens_own_probabilities_are_summed_over_spellings():
    made, text = tokens(
        '{"reason": "A", ', '"choice": "', "A", '"}', n2={"A": 0.5, "a": 0.1, "B": 0.2, "tie": 0.1}
    )
    found = choice_probabilities(made, text)
    assert found == {"A": pytest.approx(0.6), "B": pytest.approx(0.2), "tie": pytest.approx(0.1)}


def test_a_letter_inside_a_longer_token_is_found():
    made, text = tokens('{"choice":', ' "A', '"}', n1={' "A': 0.6, ' "B': 0.3, " A": 0.05})
    assert choice_probabilities(made, text) == {"A": pytest.approx(0.6), "B": pytest.approx(0.3)}


@pytest.mark.parametrize(("order", "p"), [((0, 1), 0.75), ((1, 0), 0.25)])
def test_the_models_probability_replaces_what_it_stated(order, p):
    found = read('{"choice": "A", "strength": 3, "confidence": 99}', asking(), order)
    better = with_probability(found, order, {"A": 0.6, "B": 0.2, "tie": 0.1})
    assert better.p == pytest.approx(p)
    assert better.confidence == pytest.approx(0.75)
    assert better.tiers == found.tiers


@pytest.mark.parametrize("letters", [{}, {"tie": 0.9}, {"A": 0.0, "B": 0.0}])
def test_without_letters_what_was_stated_stands(letters):
    found = read(TEXT, asking(), (0, 1))
    assert with_probability(found, (0, 1), letters) == found


entry = st.fixed_dictionaries(
    {
        "token": st.sampled_from(['"choice": "', "A", "{", "", None, 3]),
        "logprob": st.floats() | st.none() | st.just("x"),
        "top_logprobs": st.none()
        | st.lists(st.dictionaries(st.just("token"), json_values) | st.none()),
    }
)


@given(st.lists(entry, max_size=5))
def test_odd_logprobs_are_left_alone(entries):
    text = "".join(e["token"] for e in entries if isinstance(e["token"], str))
    assert all(0 <= p <= 6 for p in choice_probabilities(entries, text).values())
