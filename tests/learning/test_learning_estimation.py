import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ConfigError, NotEnoughData, ShapeError
from learning.estimation import (
    anchored_mean,
    best_chances,
    classical_mean,
    weighted_mean,
    win_rates,
)

PEOPLE = [1, 0, 1, 1, 0]
JUDGE = [0.9, 0.2, 0.6, 0.8, 0.4]
ELSEWHERE = [0.7, 0.3, 0.9, 0.5, 0.6, 0.1, 0.8, 0.4, 0.95, 0.25]

shares = st.lists(st.floats(0, 1), min_size=2, max_size=30)


def test_the_known_answers_of_prediction_powered_inference():
    found = anchored_mean(PEOPLE, JUDGE, ELSEWHERE, lam=1.0)
    assert found.value == pytest.approx(0.570, abs=1e-9)
    assert found.se == pytest.approx(0.154337, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.26750, 0.87250), abs=1e-5)
    assert found.effective_n == pytest.approx(5 * (0.219089 / 0.154337) ** 2, rel=1e-4)


def test_the_known_answers_of_people_alone():
    found = classical_mean(PEOPLE)
    assert (found.value, found.se) == pytest.approx((0.6, 0.219089), abs=1e-6)
    assert (found.n, found.lam, found.effective_n) == (5, 0.0, 5.0)
    same = anchored_mean(PEOPLE, JUDGE, ELSEWHERE, lam=0.0)
    assert (same.value, same.se) == pytest.approx((found.value, found.se))


def test_the_known_chances():
    found = best_chances([0.04, 0.16, 0.36, 0.01], 2.0)
    np.testing.assert_allclose(found, [0.3077, 0.6154, 0.9231, 0.1538], atol=5e-5)


def test_the_weight_is_the_one_of_least_variance():
    people, judge, rest = [1, 0, 0, 1, 1, 0], [0.6, 0.1, 0.5, 0.4, 0.9, 0.8], [0.1, 0.9, 0.4, 0.6]
    best = anchored_mean(people, judge, rest)
    assert 0 < best.lam < 1
    pooled = np.var([*judge, *rest])
    cov = np.mean(np.multiply(people, judge)) - np.mean(people) * np.mean(judge)
    assert best.lam == pytest.approx(cov / ((1 + 6 / 4) * pooled))


def test_a_judge_that_contradicts_people_is_not_relied_on():
    assert anchored_mean([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], [0.5, 0.4]).lam == 0.0
    perfect = anchored_mean([1, 1, 0, 0], [1, 1, 0, 0], [1, 0] * 200)
    assert perfect.lam == pytest.approx(1 / (1 + 4 / 400), rel=0.01)
    assert perfect.effective_n > 50


def test_equal_chances_are_the_plain_estimate(rng):
    people, judge = rng.random(400), rng.random(400)
    asked = np.zeros(400, bool)
    asked[rng.permutation(400)[:80]] = True
    found = weighted_mean(people, asked, np.full(400, 0.2), judge, lam=0.7)
    assert found.value == pytest.approx(0.7 * judge.mean() + (people - 0.7 * judge)[asked].mean())
    alone = weighted_mean(people, asked, np.full(400, 0.2))
    assert alone.value == pytest.approx(people[asked].mean())
    assert alone.se == pytest.approx(people[asked].std() / np.sqrt(80))


def test_intervals_hold_what_they_say_with_unequal_chances():
    rng = np.random.default_rng(0)
    size, runs = 2000, 400
    x = rng.random(size)
    truth = (rng.random(size) < 0.2 + 0.6 * x).astype(float)
    judge = np.where(rng.random(size) < 0.8, truth, 1 - truth)
    chance = 0.05 + 0.3 * x  # what is likelier true is asked more often
    kept = {"anchored": 0, "alone": 0, "naive": 0}
    narrower = 0
    for _ in range(runs):
        asked = rng.random(size) < chance
        anchored = weighted_mean(truth, asked, chance, judge)
        alone = weighted_mean(truth, asked, chance)
        naive = classical_mean(truth[asked])
        for name, found in (("anchored", anchored), ("alone", alone), ("naive", naive)):
            kept[name] += found.low <= truth.mean() <= found.high
        narrower += anchored.se < alone.se
    assert kept["anchored"] / runs > 0.92
    assert kept["alone"] / runs > 0.92
    assert kept["naive"] / runs < 0.3  # forgetting the chances is no small mistake
    assert narrower > 0.95 * runs


@given(shares, st.floats(0.01, 40))
def test_chances_cost_the_budget_or_are_at_an_end(errors, budget):
    found = best_chances(errors, budget)
    assert ((found >= 0.05) & (found <= 1)).all()
    lowest, highest = 0.05 * len(errors), float(len(errors))
    assert found.sum() == pytest.approx(np.clip(budget, lowest, highest), rel=1e-6)
    order = np.argsort(errors)
    assert (np.diff(found[order]) >= -1e-9).all()


def test_dear_questions_are_asked_less_often():
    found = best_chances([0.1, 0.1], 1.0, cost=[1.0, 4.0])
    assert found[0] == pytest.approx(2 * found[1])
    assert found @ [1, 4] == pytest.approx(1.0)


def test_win_rates_by_hand():
    models = [[0, 1], [1, 0], [0, 2], [2, 2], [0, -1]]
    found = win_rates(models, [1, 0, -1, 1, 1], [True] * 5, np.ones(5), [0.5] * 5)
    assert [(r.model, r.questions) for r in found] == [(0, 4), (1, 2), (2, 1)]
    assert found[0].classical.value == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert found[1].classical.value == pytest.approx(0.25)
    assert found[2].anchored.value == pytest.approx(1.0)


def test_a_good_judge_narrows_win_rates(rng):
    size = 3000
    models = rng.integers(0, 3, (size, 2))
    outcome = np.where(rng.random(size) < 0.5 + 0.15 * (models[:, 1] - models[:, 0]), 1, -1)
    asked = rng.random(size) < 0.1
    judge = np.clip(0.5 + 0.45 * outcome + 0.1 * rng.standard_normal(size), 0, 1)
    for rate in win_rates(models, outcome, asked, np.full(size, 0.1), judge):
        assert rate.anchored.effective_n > 3 * rate.anchored.n
        assert rate.classical.n == rate.anchored.n
        rows = (models == rate.model).sum(axis=1) == 1
        left = models[rows, 0] == rate.model
        truth = np.where(left, outcome[rows] > 0, outcome[rows] < 0).mean()
        assert abs(rate.anchored.value - truth) < 4 * rate.anchored.se + 0.01


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: classical_mean([]), NotEnoughData),
        (lambda: classical_mean([np.nan]), ShapeError),
        (lambda: classical_mean([1.0], level=1.0), ConfigError),
        (lambda: anchored_mean([1.0], [1.0], []), NotEnoughData),
        (lambda: anchored_mean([1.0], [1.0, 2.0], [1.0]), ShapeError),
        (lambda: anchored_mean([1.0], [1.0], [1.0], lam=1.5), ConfigError),
        (lambda: weighted_mean([1.0], [False], [0.5]), NotEnoughData),
        (lambda: weighted_mean([1.0], [True], [0.0]), ShapeError),
        (lambda: weighted_mean([1.0, 2.0], [True], [0.5]), ShapeError),
        (lambda: weighted_mean([1.0], [True], [0.5], [1.0], lam=-1.0), ConfigError),
        (lambda: best_chances([-1.0], 1.0), ShapeError),
        (lambda: best_chances([1.0], 0.0), ConfigError),
        (lambda: win_rates([[0, 1]], [1], [True, True], [1.0], [0.5]), ShapeError),
    ],
)
def test_what_cannot_be_estimated_is_refused(call, error):
    with pytest.raises(error):
        call()
