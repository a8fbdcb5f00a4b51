"""The gate and the sign of saturation: known answers, and what they never do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from learning.errors import ShapeError
from learning.finetune import gate
from learning.finetune.gate import Difference, examine, missing, needed
from learning.finetune.saturation import saturation
from learning.metrics import ece

Made = dict[str, Any]


def world(n: int = 600, prompts: int = 200, *, worth: float = 0.0, seed: int = 1) -> Made:
    """Answers by a known reward: its margin, and what length is worth besides."""
    rng = np.random.default_rng(seed)
    margin, length = rng.normal(0, 1.5, n), rng.normal(0, 1.0, n)
    p = 1 / (1 + np.exp(-(margin + worth * length)))
    return {
        "margin": margin,
        "length": length,
        "outcome": np.where(rng.random(n) < p, 1, -1),
        "prompt": rng.integers(0, prompts, n),
    }


def verdict(made: Made, new: Any, old: Any) -> gate.Verdict:
    rng = np.random.default_rng(0)
    return examine(new, old, made["outcome"], made["length"], made["prompt"], rng=rng)


def test_the_truth_is_promoted_over_a_coin() -> None:
    made = world()
    found = verdict(made, made["margin"], np.zeros(600))
    assert found.promoted
    assert found.log_loss is not None
    assert found.log_loss.old == pytest.approx(np.log(2))
    assert found.log_loss.high < 0
    assert found.reason.startswith("better on the holdout")


def test_a_coin_is_not_promoted_over_the_truth() -> None:
    made = world()
    found = verdict(made, np.zeros(600), made["margin"])
    assert not found.promoted
    assert "not better on the holdout" in found.reason


def test_the_same_model_is_not_promoted_over_itself() -> None:
    made = world()
    found = verdict(made, made["margin"], made["margin"])
    assert not found.promoted
    for one in (found.log_loss, found.ece, found.length, found.accuracy):
        assert one is not None
        assert (one.value, one.low, one.high) == (0.0, 0.0, 0.0)


def test_a_gain_within_chance_is_said_to_be_so() -> None:
    made = world(120, 60)
    rng = np.random.default_rng(5)
    old = made["margin"] + rng.normal(0, 0.6, 120)
    new = made["margin"] + rng.normal(0, 0.55, 120)
    found = verdict(made, new, old)
    assert not found.promoted
    assert found.log_loss is not None
    if found.log_loss.value < 0:
        assert "may be chance" in found.reason
        assert "held-out prompts would show it" in found.reason


def test_a_model_that_ranks_better_and_brags_is_refused() -> None:
    """Its log-loss is lower than a coin's, and its certainty far too high."""
    made = world(4000, 1000)
    found = verdict(made, 1.9 * made["margin"], 0.05 * made["margin"])
    assert found.ece is not None
    assert found.ece.new > 0.05
    shy = examine(
        1.9 * made["margin"],
        np.zeros(4000),
        made["outcome"],
        made["length"],
        made["prompt"],
        rng=np.random.default_rng(0),
    )
    assert shy.ece is not None
    assert shy.ece.worse
    assert not shy.promoted
    assert "how sure it may be" in shy.reason


def test_a_model_that_likes_length_more_than_people_do_is_refused() -> None:
    made = world(4000, 1000)
    rng = np.random.default_rng(2)
    old = 0.6 * made["margin"] + rng.normal(0, 0.8, 4000)
    new = made["margin"] + 0.45 * made["length"]
    found = verdict(made, new, old)
    assert found.length is not None
    assert found.log_loss is not None
    assert found.log_loss.better
    assert found.length.new == pytest.approx(0.45, abs=0.12)
    assert found.length.worse
    assert not found.promoted


def test_length_that_people_do_like_is_no_bias() -> None:
    made = world(4000, 1000, worth=0.8)
    right = made["margin"] + 0.8 * made["length"]
    found = verdict(made, right, made["margin"])
    assert found.length is not None
    assert found.length.new < 0.12 < 0.6 < found.length.old
    assert found.promoted


@pytest.mark.parametrize("prompts", [0, 1, 29])
def test_few_prompts_never_promote_and_say_how_many_it_takes(prompts: int) -> None:
    margin = np.full(prompts * 9, 3.0)
    ones = np.ones(prompts * 9)
    named = np.repeat(np.arange(prompts), 9)
    found = examine(margin, -margin, ones, margin, named, rng=np.random.default_rng(0))
    assert not found.promoted
    assert f"to tell: {prompts}, and it takes at least 30" in found.reason
    assert found.log_loss is None


def test_one_who_is_right_to_be_sure_is_no_worse_calibrated_than_a_coin() -> None:
    """Plain errors are never negative, and that of a coin is 0: each model would lose to it."""
    refused = 0
    for seed in range(20):
        made = world(150, 80, seed=seed)
        found = verdict(made, made["margin"], np.zeros(150))
        assert found.ece is not None
        assert found.ece.old == 0.0
        refused += found.ece.worse
    assert refused <= 2


def test_ties_say_nothing() -> None:
    made = world()
    made["outcome"] = np.where(np.arange(600) % 2, made["outcome"], 0)
    found = verdict(made, made["margin"], np.zeros(600))
    assert found.n == 300


def test_figures_are_those_of_the_metrics() -> None:
    made = world()
    found = verdict(made, made["margin"], 0.3 * made["margin"])
    towards = made["margin"] * made["outcome"]
    confidence = 1 / (1 + np.exp(-np.abs(towards)))
    assert found.ece is not None
    assert found.log_loss is not None
    assert found.accuracy is not None
    plain = ece(confidence, (towards > 0).astype(float))
    chance = gate.by_chance(confidence, np.random.default_rng(4))
    assert 0.01 < chance < 0.06
    assert found.ece.new == pytest.approx(plain - chance, abs=0.004)
    assert found.log_loss.new == pytest.approx(np.log1p(np.exp(-towards)).mean())
    assert found.accuracy.new == (towards > 0).mean()


def test_what_length_deserves_is_the_maximum_of_the_likelihood() -> None:
    made = world(500, worth=0.7)
    towards, gap = made["margin"] * made["outcome"], made["length"] * made["outcome"]
    found = missing(towards, gap, np.ones((1, 500)))[0]
    best = minimize_scalar(lambda b: np.logaddexp(0, -(towards + b * gap)).sum(), bounds=(-5, 5))
    assert found == pytest.approx(best.x, abs=1e-4)


def test_answers_that_length_separates_have_a_finite_worth() -> None:
    gap = np.linspace(0.5, 2, 50)
    assert 1 < missing(np.zeros(50), gap, np.ones((1, 50)))[0] <= 20


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), turned=st.integers(0, 10_000))
def test_the_side_shown_changes_nothing(seed: int, turned: int) -> None:
    made = world(90, 40, seed=seed)
    noisy = made["margin"] + np.random.default_rng(seed).normal(0, 1, 90)
    one = verdict(made, made["margin"], noisy)
    flip = np.where(np.random.default_rng(turned).random(90) < 0.5, -1, 1)
    other = examine(
        made["margin"] * flip,
        noisy * flip,
        made["outcome"] * flip,
        made["length"] * flip,
        made["prompt"],
        rng=np.random.default_rng(0),
    )
    assert one.promoted == other.promoted
    assert one.log_loss is not None
    assert other.log_loss is not None
    assert one.log_loss.low == pytest.approx(other.log_loss.low)
    assert one.n == other.n


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    made = world()
    with pytest.raises(ShapeError, match="new must be finite"):
        verdict(made, np.where(np.arange(600) == 3, bad, 0.0), np.zeros(600))


def test_lengths_that_differ_are_refused() -> None:
    made = world()
    with pytest.raises(ShapeError, match="outcome must be"):
        verdict(made | {"outcome": [1, -1]}, made["margin"], made["margin"])


def test_needed_prompts_grow_with_the_square_of_the_interval() -> None:
    assert needed(Difference(0.6, 0.62, -0.02, -0.06, 0.02), 100) == 400


# --- saturation --------------------------------------------------------------------------


def test_a_gain_that_is_certain_is_no_saturation() -> None:
    rng = np.random.default_rng(3)
    after = rng.exponential(0.5, 200)
    found = saturation(after + 0.1, after, np.arange(200), rng=rng)
    assert found.gain == pytest.approx(0.1)
    assert not found.saturated


def test_no_gain_beyond_chance_is() -> None:
    rng = np.random.default_rng(3)
    after = rng.exponential(0.5, 200)
    found = saturation(after + rng.normal(0, 0.3, 200), after, np.arange(200), rng=rng)
    assert found.low < 0 < found.high
    assert found.saturated


def test_few_prompts_say_nothing_of_it() -> None:
    rng = np.random.default_rng(3)
    after = rng.exponential(0.5, 29)
    assert not saturation(after, after, np.arange(29), rng=rng).saturated
    assert not saturation([], [], [], rng=rng).saturated


def test_saturation_wants_answers_of_one_exam() -> None:
    with pytest.raises(ShapeError, match="expected"):
        saturation([1.0], [1.0, 2.0], [1, 2], rng=np.random.default_rng(0))
