"""What a question costs: recovered where it was planted, constant where there is nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from learning import surface
from learning.answering import MIN_EVENTS, Answering, Events, fit, logistic, pair_features, ridge
from learning.errors import ShapeError

ODDS = np.array([1.0, -0.9, 0.0, 0.6])
LOG_SECONDS = np.array([3.0, 0.5, -0.2, 0.0])


def events(n, *, odds=ODDS, log_seconds=LOG_SECONDS, noise=0.4, seed=0):
    """Questions whose features are standard normal, answered as the weights say."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 3))])
    answered = rng.random(n) < 1 / (1 + np.exp(-X @ odds))
    seconds = np.exp(X @ log_seconds + noise * rng.standard_normal(n))
    return Events(X[:, 1:], answered, seconds)


def fitted(n=4000, **changes):
    return fit(events(n, **changes), rng=np.random.default_rng(1))


def test_planted_weights_are_recovered():
    found = fitted()
    fresh = events(500, seed=9).features
    X = np.column_stack([np.ones(500), fresh])
    true_chance = 1 / (1 + np.exp(-X @ ODDS))
    true_seconds = np.exp(X @ LOG_SECONDS + 0.4**2 / 2)
    assert np.abs(found.chance(fresh) - true_chance).max() < 0.06
    assert np.abs(np.log(found.seconds(fresh) / true_seconds)).max() < 0.12
    assert found.odds_gain > 0.05
    assert found.seconds_gain == pytest.approx(0.29 / (0.29 + 0.16), abs=0.05)
    rate = found.rate(fresh)
    assert np.corrcoef(np.log(rate), np.log(true_chance / true_seconds))[0, 1] > 0.95


def test_the_rate_prefers_what_is_answered_fast():
    found = fitted()
    short, long = np.array([[-1.0, 0.0, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    first, second = found.rate(np.concatenate([short, long]))
    assert first > 1 > second
    assert (first + second) / 2 == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(5))
def test_features_that_say_nothing_leave_the_constants(seed):
    flat = np.array([1.0, 0, 0, 0])
    found = fitted(400, odds=flat, log_seconds=flat * 2, seed=seed)
    rate = found.rate(events(100, seed=50).features)
    np.testing.assert_allclose(rate, 1.0, atol=0.35)  # at worst a weak slope passes by chance
    assert found.odds_gain < 0.01
    assert found.seconds_gain < 0.03


def test_nothing_to_learn_is_mostly_seen_as_nothing():
    flat = np.array([1.0, 0, 0, 0])
    slopes = [fitted(300, odds=flat, log_seconds=flat, seed=s).log_seconds[1:] for s in range(40)]
    assert sum(bool(s.any()) for s in slopes) <= 12


def test_few_events_give_constants_and_say_so():
    found = fitted(MIN_EVENTS - 1)
    assert (found.odds_gain, found.seconds_gain) == (None, None)
    np.testing.assert_allclose(found.rate(events(20, seed=3).features), 1.0)
    few = events(MIN_EVENTS - 1)
    assert found.seconds(few.features)[0] == pytest.approx(few.seconds.mean(), rel=0.05)
    assert found.chance(few.features)[0] == pytest.approx(few.answered.mean(), abs=0.03)


def test_no_events_at_all_cost_the_same_everywhere():
    found = fit(
        Events(np.zeros((0, 3)), np.zeros(0, bool), np.zeros(0)), rng=np.random.default_rng()
    )
    np.testing.assert_allclose(found.rate(np.ones((4, 3))), 1.0)
    assert found.rate(np.zeros((0, 3))).shape == (0,)
    assert found.to_json()["events"] == 0


def test_people_who_never_skip_teach_no_chance_but_times():
    said = events(500)
    found = fit(
        Events(said.features, np.ones(500, bool), said.seconds), rng=np.random.default_rng()
    )
    assert found.odds_gain is None
    assert found.chance(said.features).min() > 0.99
    assert found.log_seconds[1] > 0.3


def test_times_that_nobody_measured_are_left_out():
    said = events(500)
    seconds = np.where(np.arange(500) < 480, np.nan, said.seconds)
    found = fit(Events(said.features, said.answered, seconds), rng=np.random.default_rng(0))
    assert (found.events, found.timed, found.seconds_gain) == (500, 20, None)


def test_a_coffee_break_does_not_move_the_estimate():
    said = events(1000)
    seconds = said.seconds.copy()
    seconds[:3] = 1e6
    there = fit(Events(said.features, said.answered, seconds), rng=np.random.default_rng(1))
    here = fit(said, rng=np.random.default_rng(1))
    assert np.abs(there.log_seconds - here.log_seconds).max() < 0.05


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_rates_have_mean_one_and_are_bounded(values):
    found = Answering(
        np.zeros(3), np.ones(3), np.ones(4), np.array([1.0, 2.0, 0.0, 0.0]), 99, 99, 0.1, 0.1
    )
    features = np.clip(np.array(values)[:, None] * np.ones(3), -100, 100)
    rate = found.rate(features)
    assert rate.mean() == pytest.approx(1.0)
    assert (rate > 0).all()
    assert rate.max() / rate.min() <= 16 + 1e-9


def test_both_fits_agree_with_another_implementation():
    said = events(300)
    X = np.column_stack([np.ones(300), said.features])
    y = said.answered.astype(float)
    theirs = LogisticRegression(C=1.0, tol=1e-10).fit(said.features, y)
    np.testing.assert_allclose(logistic(X, y), [theirs.intercept_[0], *theirs.coef_[0]], atol=1e-4)
    log_s = np.log(said.seconds)
    linear = Ridge(alpha=1.0).fit(said.features, log_s)
    np.testing.assert_allclose(ridge(X, log_s), [linear.intercept_, *linear.coef_], atol=1e-9)


def test_pair_features_are_those_of_both_texts_and_know_no_side():
    texts = ["a" * 10, "b" * 30, "```\nx\n```"]
    table = surface.features(["p"] * 3, texts)
    found = pair_features(table, [[0, 1], [1, 0], [0, 2]])
    assert found[0, 0] == pytest.approx(np.log(1 + 40), abs=1e-5)
    assert found[0, 1] == pytest.approx(np.log(31 / 11), abs=1e-5)
    assert found[2, 2] == pytest.approx(np.log(3), abs=1e-5)
    np.testing.assert_array_equal(found[0], found[1])


def test_the_generator_decides_everything():
    here, again = (fit(events(300), rng=np.random.default_rng(4)) for _ in range(2))
    assert here.to_json() == again.to_json()


@pytest.mark.parametrize("seconds", [[-1.0], [np.inf], [1.0, 2.0]])
def test_impossible_events_are_refused(seconds):
    with pytest.raises(ShapeError):
        Events(np.zeros((1, 3)), np.ones(1, bool), np.array(seconds))
