import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons
from learning.heads._answers import fit_answer_model, strength_loss
from learning.heads._likelihood import AnswerModel, terms

ANSWERS = [(1, 0), (1, 1), (1, 2), (1, 3), (0, 0), (-1, 0), (-1, 1), (-1, 2), (-1, 3)]


def judged(*answers):
    n = len(answers)
    outcome, strength = zip(*answers, strict=True)
    return Comparisons.of(np.arange(n), np.arange(n) + n, outcome, strength=strength)


EVERY = judged(*ANSWERS)
MODEL = AnswerModel(tie=0.7, slope=1.3, cuts=(0.4, 1.7))
margins = st.floats(-30, 30)


def plain(margin, outcome, strength, model):
    """The same density, written as in the module's first lines and with no care at all."""
    left, right, tie = np.exp(margin / 2), np.exp(-margin / 2), 2 * model.tie
    p = {1: left, 0: tie, -1: right}[outcome] / (left + right + tie)
    if strength:
        at_least = [
            1.0,
            *(1 / (1 + np.exp(b - model.slope * outcome * margin)) for b in model.cuts),
        ]
        p *= [*at_least, 0.0][strength - 1] - [*at_least, 0.0][strength]
    return np.log(p)


@given(st.floats(-8, 8))
def test_terms_equal_the_plain_density(margin):
    found = terms(np.full(len(EVERY), margin), EVERY, MODEL).value
    expected = [plain(margin, y, s, MODEL) for y, s in ANSWERS]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@given(margins)
def test_slope_and_curvature_are_finite_differences(margin):
    step = 1e-4

    def at(shift):
        return terms(np.full(len(EVERY), margin + shift), EVERY, MODEL)

    slope = (at(step).value - at(-step).value) / (2 * step)
    curvature = -(at(step).slope - at(-step).slope) / (2 * step)
    np.testing.assert_allclose(at(0).slope, slope, atol=1e-6)
    np.testing.assert_allclose(at(0).curvature, curvature, atol=1e-6)


@given(st.floats(-2000, 2000), st.floats(1e-6, 100))
def test_every_term_is_finite_and_log_concave_far_out(margin, tie):
    found = terms(np.full(len(EVERY), margin), EVERY, AnswerModel(tie, 1.0, (0.5, 2.0)))
    assert np.isfinite(found.value).all()
    assert (found.curvature >= 0).all()


@given(margins)
def test_swapping_sides_changes_no_likelihood(margin):
    here = terms(np.full(len(EVERY), margin), EVERY, MODEL)
    there = terms(np.full(len(EVERY), -margin), EVERY.swapped(), MODEL)
    np.testing.assert_allclose(here.value, there.value, atol=1e-12)
    np.testing.assert_allclose(here.slope, -there.slope, atol=1e-12)


@given(st.tuples(st.floats(-2, 2), st.floats(-3, 3), st.floats(-2, 2)))
def test_the_gradient_of_the_strength_scale_is_a_finite_difference(z):
    z, rng = np.array(z), np.random.default_rng(0)
    towards, share = rng.normal(size=(60, 3)), rng.random((60, 3))
    strength = rng.integers(1, 4, (60, 1))
    _, gradient = strength_loss(z, towards, strength, share)
    for i in range(3):
        step = np.zeros(3)
        step[i] = 1e-5
        above, _ = strength_loss(z + step, towards, strength, share)
        below, _ = strength_loss(z - step, towards, strength, share)
        assert gradient[i] == pytest.approx((above - below) / 2e-5, abs=1e-4)


@pytest.mark.parametrize("data", [judged((1, 0)), judged((0, 0)), judged((1, 3)), EVERY])
def test_a_handful_of_answers_stays_near_the_priors(data):
    mu, s2 = np.zeros(len(data)), np.ones(len(data))
    model = fit_answer_model(mu, s2, data, AnswerModel(tie=0.1))
    assert 0.01 < model.tie < 1.0
    assert 0.5 < model.slope < 2.0
    assert model.cuts[0] < model.cuts[1]


def test_many_answers_without_a_tie_make_ties_unlikely():
    data = judged(*[(1, 0)] * 2000)
    model = fit_answer_model(np.zeros(2000), np.zeros(2000), data, AnswerModel(tie=0.1))
    assert model.tie < 0.001
