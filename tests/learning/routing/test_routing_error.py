import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from learning.errors import ShapeError
from learning.routing import Signs, denoise, fit_error, human_error, slip_rate
from learning.routing._logistic import fit, predict
from learning.routing.error import HIGHEST, LOWEST, table
from tests.learning.routing.routed import Judged


def test_the_known_slip_rate():
    assert slip_rate(0.18) == pytest.approx(0.1)
    np.testing.assert_allclose(slip_rate([0.0, 0.5, 0.9]), [0.0, 0.5, 0.5])


@given(st.floats(0, 0.5))
def test_a_slip_rate_gives_its_disagreement_back(rate):
    assert slip_rate(2 * rate * (1 - rate)) == pytest.approx(rate, abs=1e-6)


def test_human_error_from_nothing_few_and_many():
    nothing = human_error([], [])
    assert nothing.value == pytest.approx(0.1)
    assert nothing.low < 0.02
    assert nothing.high > 0.25
    rng = np.random.default_rng(0)
    truth = rng.choice([-1, 1], 4000)
    one, two = (np.where(rng.random(4000) < 0.2, -truth, truth) for _ in range(2))
    many = human_error(one, two)
    assert many.low < 0.2 < many.high
    assert many.high - many.low < 0.04
    assert many.pairs == 4000


def test_ties_say_nothing_of_slips():
    assert human_error([0, 1, 0], [1, 0, 0]) == human_error([], [])


def test_people_who_always_differ_are_no_more_than_nearly_coins():
    found = human_error(np.ones(100), -np.ones(100))
    assert found.value == pytest.approx(0.4)
    assert denoise(np.array([0.5]), found.value)[0] == pytest.approx(0.5)


@given(st.floats(LOWEST, HIGHEST), st.floats(0, 0.45))
def test_denoising_undoes_what_slips_do(error, human):
    seen = error * (1 - human) + (1 - error) * human
    assert denoise(np.array([seen]), human)[0] == pytest.approx(error, abs=1e-9)


def test_denoising_is_clipped():
    np.testing.assert_allclose(denoise(np.array([0.0, 1.0]), 0.1), [LOWEST, HIGHEST])
    with pytest.raises(ShapeError, match="human error"):
        denoise(np.array([0.1]), 0.5)


def test_the_weak_tag_is_found_from_an_audit():
    world = Judged(n=2000, seed=1)
    rows = np.arange(300)
    disagree = (world.people[0] != world.signs.outcome)[rows].astype(float)
    model = fit_error(world.signs.subset(rows), disagree, human=0.1)
    predicted = model.predict(world.signs)
    assert predicted[world.tag == 0].min() > 0.45
    assert predicted[world.tag != 0].mean() == pytest.approx(0.15, abs=0.06)
    assert model.rows == 300
    effects = model.effects()
    assert effects["tag 0"][0] > 3 * effects["tag 0"][1]


def test_tags_get_less_say_the_less_they_say():
    rng = np.random.default_rng(3)
    n = 600
    tag = rng.integers(0, 6, n)
    signs = Signs.of(np.full(n, 0.8), tags=np.eye(6)[tag])
    alike = rng.random(n) < 0.3
    apart = rng.random(n) < np.where(tag == 0, 0.9, 0.15)
    spread = [
        np.ptp(fit_error(signs, y.astype(float), human=0.0).predict(signs)) for y in (alike, apart)
    ]
    assert spread[0] < 0.12 < 0.4 < spread[1]


def test_no_audit_one_question_and_one_class_are_ordinary():
    world = Judged(n=60)
    none = fit_error(world.signs.subset(np.empty(0, int)), [])
    np.testing.assert_allclose(none.disagreement(world.signs), 0.22, atol=0.05)
    one = fit_error(world.signs.subset(np.array([0])), [1.0])
    right = fit_error(world.signs, np.zeros(60), human=0.0)
    assert (one.predict(world.signs) > none.predict(world.signs)).all()
    assert right.predict(world.signs).max() < 0.12
    assert right.predict(world.signs).min() >= LOWEST
    worse = fit_error(world.signs, np.ones(60), human=0.0)
    assert worse.predict(world.signs).max() <= HIGHEST


def test_more_audit_of_the_same_moves_further_from_the_prior():
    signs = Signs.of(np.full(400, 0.9))
    means = [
        fit_error(signs.subset(np.arange(k)), np.zeros(k), human=0.0).predict(signs)[0]
        for k in (0, 5, 50, 400)
    ]
    assert (np.diff(means) < 0).all()


def test_a_question_without_a_winner_is_a_coin():
    model = fit_error(Signs.of([0.9] * 30), np.zeros(30))
    np.testing.assert_allclose(model.predict(Signs.of([np.nan, 0.5])), 0.5)


def test_the_head_is_one_more_sign():
    world = Judged(n=800, bad=0.15)
    mu = np.where(world.wrong, -1, 1) * world.signs.outcome * 2.0
    with_head = world.signs.with_head(mu, np.full(800, 0.5))
    model = fit_error(with_head.subset(np.arange(200)), world.wrong[:200].astype(float), human=0.0)
    predicted = model.predict(with_head)
    assert predicted[world.wrong].min() > predicted[~world.wrong].max()
    with pytest.raises(ShapeError, match="signs"):
        model.predict(world.signs)


def test_turning_sides_changes_nothing():
    rng = np.random.default_rng(0)
    p, gap, mu = rng.random(50), rng.standard_normal(50), rng.standard_normal(50)
    here = Signs.of(p, length_gap=gap).with_head(mu, np.ones(50))
    there = Signs.of(1 - p, length_gap=-gap).with_head(-mu, np.ones(50))
    np.testing.assert_allclose(table(here)[0], table(there)[0], atol=1e-9)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"probability": [1.2]}, "probability must lie"),
        ({"probability": [0.2, 0.3], "inconsistent": [True]}, "inconsistent must have shape"),
        ({"probability": [0.2], "tags": [[np.nan]]}, "tags has NaN"),
        ({"probability": [0.2], "tags": [[1.5]]}, "tags must lie"),
        ({"probability": [0.2], "tags": [[1.0], [0.0]]}, "tags must have shape"),
        ({"probability": [0.2], "length_gap": [np.nan]}, "length_gap has NaN"),
        ({"probability": [0.2], "similarity": [np.inf]}, "similarity has NaN or infinite"),
    ],
)
def test_bad_signs_are_named(given, words):
    with pytest.raises(ShapeError, match=words):
        Signs.of(**given)


@pytest.mark.parametrize(
    ("p", "wrong", "words"),
    [
        ([0.9], [np.nan], "wrong has NaN"),
        ([0.9], [2.0], r"wrong must lie in \[0, 1\]"),
        ([0.9], [0.0, 1.0], "wrong must have shape"),
        ([np.nan], [0.0], "named no winner in 1"),
    ],
)
def test_bad_audits_are_named(p, wrong, words):
    with pytest.raises(ShapeError, match=words):
        fit_error(Signs.of(p), wrong)


def test_one_head_column_alone_is_refused():
    signs = Signs.of([0.5])
    with pytest.raises(ShapeError, match="together"):
        type(signs)(
            probability=signs.probability,
            inconsistent=signs.inconsistent,
            tags=signs.tags,
            length_gap=signs.length_gap,
            similarity=signs.similarity,
            head_margin=np.zeros(1),
        )


def test_the_logistic_regression_against_a_general_optimiser(rng):
    x = rng.standard_normal((40, 4))
    y = rng.random(40)
    mean, precision = rng.standard_normal(4), np.array([0.5, 1.0, 2.0, 8.0])
    found = fit(x, y, mean=mean, precision=precision)

    def loss(w):
        m = x @ w
        value = -(y * np.log(expit(m)) + (1 - y) * np.log(expit(-m))).sum()
        return value + 0.5 * precision @ (w - mean) ** 2

    best = minimize(loss, mean, method="BFGS", options={"gtol": 1e-8})
    np.testing.assert_allclose(found.mean, best.x, atol=1e-5)
    p = expit(x @ best.x)
    hessian = (x.T * p * (1 - p)) @ x + np.diag(precision)
    np.testing.assert_allclose(np.linalg.inv(found.root @ found.root.T), hessian, rtol=1e-4)
    evidence = -best.fun + 0.5 * (np.log(precision).sum() - np.linalg.slogdet(hessian)[1])
    assert found.evidence == pytest.approx(evidence, abs=1e-5)


def test_an_extreme_fit_stays_finite_and_silent():
    x = np.array([[1.0, 50.0], [1.0, -50.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fit(x, np.array([1.0, 0.0]), mean=np.zeros(2), precision=np.full(2, 1e-6))
    assert np.isfinite(found.mean).all()
    assert found.mean[1] > 0.1
    low, high = sorted(predict(found, x))
    assert 0 < low < 0.5 < high < 1
