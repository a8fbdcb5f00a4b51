"""Reports in plain words, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest

from annotator.charts import Point, learning_curve
from annotator.wording import FELL_BACK, card_rows, facts, options, sentences, some


def report(*, wanted: int = 12, chosen: int = 12, **policy: Any) -> dict[str, Any]:
    said = {"name": "dopt", "options": {"per_prompt": 1}, "selection": {}, "fallback": None}
    return {"wanted": wanted, "chosen": {"policy": chosen}, "policy": said | policy}


def noted(**selection: Any) -> dict[str, Any]:
    return report(selection=selection)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            noted(screened=12),
            "12 pairs were left out because their features are implausibly large.",
        ),
        (noted(screened=1), "1 pair was left out because its features are implausibly large."),
        (
            noted(prefiltered=1200),
            "The prefilter set 1\u202f200 pairs aside as the least uncertain.",
        ),
        (
            noted(entropy="head"),
            "No language model's entropies of these prompts were imported: how unsure the head is "
            "of their pairs stood in.",
        ),
        (
            noted(entropy="language model", entropy_model="tiny:01", unknown=0),
            "The entropies of prompts are those of the language model tiny:01.",
        ),
        (
            noted(entropy="language model", entropy_model="tiny:01", unknown=12),
            "The entropies of prompts are those of the language model tiny:01; it says nothing of "
            "12 prompts: the mean of the others stood in.",
        ),
        (noted(random=3), "The random share of the policy drew 3 questions."),
        (
            noted(filled_at_random=2),
            "2 questions were drawn at random to fill the batch: screen and limits had left too "
            "few.",
        ),
        (
            noted(certificate=0.98),
            "Each choice is proven to have been the best of the whole pool at its turn.",
        ),
        (
            noted(certificate=1.25),
            "Not every choice is proven to be the best: a pair that was not looked at closely may "
            "have been worth up to 1.25 times as much.",
        ),
        (
            report(most_of_one_prompt=3),
            "Up to 3 questions about one prompt: there are too few for 1 each.",
        ),
        (
            report(fallback="dopt waits for 400 comparisons, the head has seen 12"),
            "dopt waits for 400 comparisons, the head has seen 12; until then questions are drawn "
            "at random, one a prompt.",
        ),
        (report(wanted=0, chosen=0), "The queue was full: nothing had to be chosen."),
        (report(chosen=5), "12 questions were wanted, the pool had 5 left."),
        (report(instead_of="dopt"), f"{FELL_BACK['encoder']} (The campaign asks for dopt.)"),
        (
            report(instead_of="dopt", because="payoff"),
            f"{FELL_BACK['payoff']} (The campaign asks for dopt.)",
        ),
        (
            report(instead_of="dopt", because="untried"),
            f"{FELL_BACK['untried']} (The campaign asks for dopt.)",
        ),
    ],
)
def test_what_happened_is_said(given: dict[str, Any], said: str) -> None:
    assert sentences(given) == [said]


@pytest.mark.parametrize(
    "given",
    [
        {},
        report(),
        noted(screened=0, random=0, filled_at_random=0, per_prompt=None, certificate=None),
        report(most_of_one_prompt=1),
        report(options={}, most_of_one_prompt=9),  # a function without a limit
    ],
)
def test_where_nothing_happened_nothing_is_said(given: dict[str, Any]) -> None:
    assert sentences(given) == []


def test_what_a_question_costs_is_said_with_what_it_rests_on() -> None:
    found = {"events": 80, "chance": 0.93, "seconds": 14.2, "odds_gain": 0.01, "seconds_gain": 0.3}
    slopes = {"odds": {"length": 0.0}, "log_seconds": {"length": 0.4}}
    assert sentences(report(answering=found | slopes)) == [
        "For a typical pair, 93% of questions are answered, in 14 seconds; the texts do not tell "
        "the chance of an answer, the texts tell the time."
    ]
    few = found | slopes | {"events": 12, "odds_gain": None, "seconds_gain": None}
    assert "12 answers and skips are too few" in sentences(report(answering=few))[0]


def test_what_has_no_words_is_shown_by_name() -> None:
    given = report(
        options={"per_minute": True, "beta": 0.0123456, "window": 2000},
        selection={"screened": 3, "unit": "nats", "graph": "exact", "gap": None},
    )
    assert facts(given) == {"unit": "nats", "graph": "exact"}
    assert options(given) == {"per minute": "on", "beta": "0.01235", "window": "2000"}
    assert facts({}) == options({}) == {}


def test_a_card_shows_the_figures_it_has() -> None:
    figures = {
        "accuracy": 0.612,
        "log_loss": 0.65432,
        "agreement": None,
        "gain": -0.01,
        "intervals": {"accuracy": [0.55, 0.67], "log_loss": [None, None]},
    }
    assert card_rows(figures) == [
        ("accuracy with this encoder", "61.2\u202f%", "55.0\u202f% to 67.0\u202f%"),
        ("log-loss with this encoder (a coin: 0.693)", "0.654", ""),
        ("log-loss that the embedding saves", "-0.010", ""),
    ]
    assert card_rows({}) == []


def test_numbers_have_their_nouns() -> None:
    assert [some(n, "pair") for n in (0, 1, 2, 12345)] == [
        "0 pairs",
        "1 pair",
        "2 pairs",
        "12\u202f345 pairs",
    ]


def test_the_ticks_of_a_flat_curve_can_be_told_apart() -> None:
    for last in (0.868, 0.87, 0.88, 0.9):
        flat = [Point(10, 0.868, None, None), Point(80, last, None, None)]
        chart = learning_curve({"a": flat}, percent=True)
        assert chart is not None
        said = [tick.text for tick in chart.y_ticks]
        assert len(set(said)) == len(said) >= 2
