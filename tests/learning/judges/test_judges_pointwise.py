"""Everything from yes or no about each response."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.judges.asking import EndpointJudge
from learning.judges.endpoint import Endpoint
from learning.judges.errors import CannotAsk, EmptyReply, Malformed, Refused
from learning.judges.pointwise import PointwiseJudge, derived
from learning.judges.protocol import Completion
from learning.judges.secret import Secret
from learning.judges.swapping import judge
from learning.judges.yes_no import EndpointYesNo, share_of
from tests.learning.judges.judging import KEY, Hurried, asking, completion, responses_in, serving

THREE = ("x", "y", "z")


def said(text, *tops, refusal=""):
    entries = [
        {
            "token": max(top, key=top.get),
            "top_logprobs": [{"token": t, "logprob": math.log(p)} for t, p in top.items()],
        }
        for top in tops
    ]
    return Completion(text, "m", 1, 1, refusal=refusal, logprobs=entries)


def test_the_share_of_yes_is_summed_over_spellings():
    top = {"Yes": 0.4, " yes": 0.1, "YES": 0.1, "No": 0.2, "Maybe": 0.2}
    assert share_of(said("Yes", top)) == pytest.approx(0.6 / 0.8)


def test_words_before_the_answer_are_passed_over():
    tops = [{"**": 0.9, "Yes": 0.05}, {"No": 0.75, "Yes": 0.25}]
    assert share_of(said("**No**", *tops)) == pytest.approx(0.25)


@pytest.mark.parametrize(("text", "share"), [("Yes.", 0.95), ("I say NO", 0.05)])
def test_a_bare_word_counts_as_95_to_5(text, share):
    assert share_of(said(text)) == pytest.approx(share)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (said(" "), EmptyReply),
        (said("Perhaps"), Malformed),
        (said("Oui"), Malformed),
        (said("", refusal="I will not"), Refused),
    ],
)
def test_what_is_neither_yes_nor_no_is_named(made, kind):
    with pytest.raises(kind):
        share_of(made)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_a_preference_is_the_difference_of_log_odds_and_follows_the_numbers(one, two):
    ask = asking()
    p, back = derived(ask, [one, two]).p, derived(ask, [two, one]).p
    odds = math.log(one / (1 - one)) - math.log(two / (1 - two))
    assert p == pytest.approx(1 / (1 + math.exp(-odds)))
    assert p + back == pytest.approx(1)


def test_every_form_follows_from_the_shares():
    shares = [0.3, 0.9, 0.6]
    found = derived(asking("rank", "rate", "accept", responses=THREE), shares)
    assert found.tiers == ((1,), (2,), (0,))
    assert found.acceptable == 2
    assert found.details()["rate"]["ratings"] == {"overall": [1, 4, 3]}
    assert derived(asking("best_worst", responses=THREE), shares).tiers == ((1,), (2,), (0,))
    thumbs = derived(asking("rate", responses=THREE, rate={"thumbs": True}), shares)
    assert thumbs.details()["rate"]["thumbs"] == [False, True, True]
    assert derived(asking("rank", responses=THREE), [0.1, 0.2, 0.3]).acceptable == 0


@pytest.mark.parametrize(("one", "level"), [(0.55, 1), (0.65, 2), (0.9, 3), (1.0, 3)])
def test_how_clear_it_is_follows_the_log_odds(one, level):
    assert derived(asking(), [one, 0.5]).fields((0, 1))["verdict"] == f"a{level}"
    sure = derived(asking(compare={"confidence": True}), [one, 0.5])
    assert sure.fields((0, 1))["confidence"] == str(level)


def test_equal_shares_are_a_tie_where_there_is_one():
    assert derived(asking(), [0.5, 0.5]).outcome == "tie"
    assert derived(asking(compare={"steps": 2}), [0.5, 0.5]).tiers == ((0,), (1,))


@pytest.mark.parametrize(
    ("name", "options"), [("compare", {"aspects": ["x"]}), ("rate", {"aspects": ["x", "y"]})]
)
def test_aspects_cannot_be_told_from_one_word(name, options):
    with pytest.raises(CannotAsk):
        derived(asking(name, **{name: options}), [0.1, 0.2])


def test_an_endpoint_is_asked_once_a_response():
    def decide(body):
        assert body["max_tokens"] < 10
        assert "response_format" not in body
        return "Yes" if "four" in responses_in_one(body) else "No"

    def responses_in_one(body):
        assert responses_in(body) == {}  # no letters: there is one response
        return body["messages"][1]["content"]

    with (
        serving(decide=decide) as server,
        Endpoint(server.url, key=Secret(KEY), stop=Hurried()) as endpoint,
    ):
        who = PointwiseJudge(EndpointYesNo(endpoint, "tiny"))
        made = judge(who, asking(), (1, 0))
        assert who.name == "tiny (pointwise)"
        assert EndpointJudge(endpoint, "tiny").name == "tiny"
    assert [call.order for call in made.calls] == [(1,), (0,)]
    assert made.verdict.tiers == ((0,), (1,))
    assert made.calls[0].tokens_in == 100
    assert len(server.bodies) == 2


def test_a_failure_at_one_response_is_no_verdict_and_keeps_the_calls():
    def behave(handler, body, count):
        handler.say(200, completion("Yes" if count == 1 else "Vielleicht"))
        return True

    with (
        serving(behave) as server,
        Endpoint(server.url, key=Secret(KEY), stop=Hurried()) as endpoint,
    ):
        made = judge(PointwiseJudge(EndpointYesNo(endpoint, "tiny")), asking(), (0, 1))
    assert (made.verdict, made.error.code) == (None, "malformed")
    assert [call.error for call in made.calls] == ["", "malformed"]
    assert made.calls[1].reply == "Vielleicht"


def test_forms_that_cannot_be_derived_are_told_before_a_call():
    with (
        serving(decide=lambda body: "Yes") as server,
        Endpoint(server.url, key=Secret(KEY), stop=Hurried()) as endpoint,
    ):
        ask = asking(compare={"aspects": ["x"]})
        made = judge(PointwiseJudge(EndpointYesNo(endpoint, "tiny")), ask, (0, 1))
    assert made.error.code == "cannot_ask"
    assert (made.calls, server.bodies) == ((), [])
