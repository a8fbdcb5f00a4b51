import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from learning.errors import ConfigError, ShapeError
from learning.routing import Calibration, risk_coverage, threshold
from learning.routing.guarantee import upper_bound

ALPHA, DELTA = 0.15, 0.1


@pytest.mark.parametrize(
    ("wrong", "n", "bound"), [(3, 100, 0.065586), (5, 100, 0.090771), (0, 22, 0.099372)]
)
def test_the_known_bounds(wrong, n, bound):
    assert upper_bound(wrong, n, 0.1) == pytest.approx(bound, abs=1e-6)


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0.01, 0.5))
def test_a_bound_is_where_so_few_errors_have_chance_delta(n, share, delta):
    wrong = int(share * (n - 1))
    bound = upper_bound(wrong, n, delta)
    assert binom.cdf(wrong, n, bound) == pytest.approx(delta, rel=1e-6)


def test_nothing_and_only_errors_bound_nothing():
    np.testing.assert_array_equal(upper_bound([0, 7], [0, 7], 0.1), 1.0)


class Sure:
    """A judge whose errors fall with its confidence from 0.5 to 0.04."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def draw(self, n):
        confidence = 0.5 + 0.5 * self.rng.random(n)
        return confidence, self.rng.random(n) < self.risk(confidence)

    def risk(self, confidence):
        return 0.04 + 0.46 * (1 - (confidence - 0.5) / 0.5) ** 1.5


@pytest.mark.parametrize("n", [200, 600])
def test_the_promise_is_broken_no_more_often_than_stated(n):
    """200 calibrations; the truth about each threshold is integrated."""
    grid = 0.5 + 0.5 * (np.arange(20_000) + 0.5) / 20_000
    judge, broken, certified = Sure(n), 0, 0
    for _ in range(200):
        calibration = Calibration(*judge.draw(n))
        pool, _ = judge.draw(500)
        found = threshold(calibration, pool, alpha=ALPHA, delta=DELTA)
        if found.certified:
            certified += 1
            broken += judge.risk(grid[grid >= found.least]).mean() > ALPHA
    assert certified > 100
    # 200 tries at a chance of 0.1: more than 31 would happen once in a hundred.
    assert broken <= binom.ppf(0.99, 200, DELTA)
    assert broken > 0  # it is not kept by promising next to nothing


def test_the_naive_cut_breaks_the_promise_often():
    """What the bound is for: the loosest threshold whose errors *seem* few enough."""
    grid = 0.5 + 0.5 * (np.arange(20_000) + 0.5) / 20_000
    judge, broken = Sure(5), 0
    for _ in range(200):
        confidence, wrong = judge.draw(100)
        order = np.argsort(-confidence)
        ok = np.cumsum(wrong[order]) / np.arange(1, 101) <= ALPHA
        least = confidence[order][np.flatnonzero(ok)[-1]] if ok.any() else 2.0
        broken += bool(ok.any()) and judge.risk(grid[grid >= least]).mean() > ALPHA
    assert broken > 0.3 * 200


def test_more_calibration_lets_more_stand():
    judge = Sure(1)
    pool, _ = judge.draw(2000)

    def covered(n):
        found = threshold(Calibration(*judge.draw(n)), pool, alpha=0.15, delta=0.1)
        return (pool >= found.least).mean()

    means = [np.mean([covered(n) for _ in range(20)]) for n in (100, 1000, 5000)]
    assert means[0] < means[1] < means[2]


def test_a_judge_without_confidence_stands_whole_or_not_at_all():
    pool = np.full(50, 0.9)
    right = Calibration(np.full(40, 0.9), np.zeros(40, bool))
    found = threshold(right, pool, alpha=0.1, delta=0.1)
    assert (found.least, found.calibrated, found.wrong) == (0.9, 40, 0)
    wrong = Calibration(np.full(40, 0.9), np.arange(40) < 10)
    assert not threshold(wrong, pool, alpha=0.1, delta=0.1).certified


@pytest.mark.parametrize("calibration", [Calibration.none(), Calibration([0.9] * 5, [False] * 5)])
def test_too_few_questions_promise_nothing(calibration):
    found = threshold(calibration, [0.5, 0.9], alpha=0.1, delta=0.1)
    assert (found.certified, found.bound, found.calibrated) == (False, 1.0, 0)


def test_no_questions_no_threshold():
    assert not threshold(Calibration([0.9] * 50, [False] * 50), [], alpha=0.1, delta=0.1).certified


def test_the_known_area_under_risk_and_coverage():
    found = risk_coverage([4, 3, 2, 1], [0, 0, 1, 0])
    assert found.aurc == pytest.approx(0.145833, abs=1e-6)
    np.testing.assert_allclose(found.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(found.risk, [0, 0, 1 / 3, 0.25])


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=20))
def test_equally_sure_answers_are_in_no_order(answers):
    sure, wrong = (np.array(column, dtype=float) for column in zip(*answers, strict=True))
    one = risk_coverage(sure, wrong)
    other = risk_coverage(sure[::-1], wrong[::-1])
    assert one.aurc == pytest.approx(other.aurc)
    assert one.risk[-1] == pytest.approx(wrong.mean())
    assert len(one.risk) == len(np.unique(sure))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: threshold(Calibration.none(), [0.5], alpha=0.0, delta=0.1), ConfigError),
        (lambda: threshold(Calibration.none(), [0.5], alpha=0.1, delta=1.0), ConfigError),
        (lambda: threshold(Calibration.none(), [np.nan], alpha=0.1, delta=0.1), ShapeError),
        (lambda: Calibration([0.5, np.nan], [True, False]), ShapeError),
        (lambda: Calibration([0.5], [True, False]), ShapeError),
        (lambda: risk_coverage([], []), ShapeError),
        (lambda: risk_coverage([0.5], [np.nan]), ShapeError),
    ],
)
def test_bad_input_is_refused(call, error):
    with pytest.raises(error):
        call()
