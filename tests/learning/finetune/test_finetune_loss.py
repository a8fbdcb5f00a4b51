import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons
from learning.finetune import loss
from learning.heads._likelihood import AnswerModel, terms

ANSWERS = [(1, 0), (1, 1), (1, 2), (1, 3), (0, 0), (-1, 0), (-1, 1), (-1, 2), (-1, 3)]
OUTCOME, STRENGTH = (np.array(column) for column in zip(*ANSWERS, strict=True))
N = len(ANSWERS)
DATA = Comparisons.of(np.arange(N), np.arange(N) + N, OUTCOME, strength=STRENGTH)
MODEL = AnswerModel(tie=0.7, slope=1.3, cuts=(0.4, 1.7))


def answers(model=MODEL, **more):
    return loss.Answers(model, **more).double()


def judged(margin, noise=None, model=None):
    margin = torch.as_tensor(margin, dtype=torch.float64).requires_grad_()
    outcome = torch.tensor(OUTCOME, dtype=torch.float64)
    strength = torch.tensor(STRENGTH)
    noise = None if noise is None else torch.as_tensor(noise, dtype=torch.float64)
    made = model if model is not None else answers()
    return margin, loss.losses(margin, outcome, strength, made, noise)


@given(st.lists(st.floats(-40, 40), min_size=N, max_size=N))
def test_losses_and_gradients_are_those_of_the_heads(margins):
    margin, found = judged(margins)
    found.sum().backward()
    expected = terms(np.array(margins), DATA, MODEL)
    np.testing.assert_allclose(found.detach().numpy(), -expected.value, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(margin.grad.numpy(), -expected.slope, rtol=1e-6, atol=1e-6)


@given(st.floats(-2000, 2000))
def test_losses_are_finite_far_out_in_single_precision(margin):
    many = torch.full((N,), margin, requires_grad=True)
    outcome, strength = torch.tensor(OUTCOME, dtype=torch.float32), torch.tensor(STRENGTH)
    noise = torch.tensor([0.0, 0.2, 0.4] * 3)
    found = loss.losses(many, outcome, strength, loss.Answers(MODEL), noise)
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(many.grad).all()


def plain(margin, outcome, strength, eps):
    """The density as its docstring has it, with no care at all."""

    def density(d):
        left, right, tie = np.exp(d / 2), np.exp(-d / 2), 2 * MODEL.tie
        p = {1: left, 0: tie, -1: right}[outcome] / (left + right + tie)
        if strength:
            cuts = [1 / (1 + np.exp(b - MODEL.slope * outcome * d)) for b in MODEL.cuts]
            at_least = [1.0, *cuts, 0.0]
            p *= at_least[strength - 1] - at_least[strength]
        return p

    return -np.log((1 - eps) * density(margin) + eps * density(-margin))


@given(st.floats(-8, 8), st.floats(0, 0.49))
def test_a_label_that_may_be_wrong_is_a_mixture(margin, eps):
    _, found = judged(np.full(N, margin), np.full(N, eps))
    expected = [plain(margin, y, s, eps) for y, s in ANSWERS]
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6, atol=1e-7)


def test_a_label_that_may_be_wrong_costs_a_bounded_amount():
    _, found = judged(np.full(N, -3000.0), np.full(N, 0.1))
    assert float(found[0].detach()) == pytest.approx(-np.log(0.1))


def test_gradients_of_all_parameters_are_finite_differences():
    made = answers()
    margin, noise = np.linspace(-3, 3, N), np.linspace(0, 0.4, N)
    _, found = judged(margin, noise, made)
    found.sum().backward()
    for place in range(4):
        sides = []
        for step in (1e-5, -1e-5):
            moved = answers()
            with torch.no_grad():
                moved.scale[place] += step
            sides.append(float(judged(margin, noise, moved)[1].sum().detach()))
        expected = (sides[0] - sides[1]) / 2e-5
        assert float(made.scale.grad[place]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


def test_without_ties_a_fixed_nu_of_zero_is_bradley_terry():
    margin = torch.linspace(-5, 5, 11, dtype=torch.float64)
    one, none = torch.ones_like(margin), torch.zeros(11, dtype=torch.int64)
    found = loss.losses(margin, one, none, answers(fixed_tie=0.0))
    torch.testing.assert_close(found, torch.nn.functional.softplus(-margin))


def test_a_fixed_nu_gets_no_gradient():
    made = answers(fixed_tie=0.3)
    judged(np.zeros(N), None, made)[1].sum().backward()
    assert made.scale.grad[0] == 0
    assert made.model().tie == 0.3


def test_unrated_aspects_count_nothing():
    rated = torch.tensor([[1.0, float("nan")], [float("nan"), float("nan")]])
    predicted = torch.tensor([[0.0, 5.0], [7.0, 7.0]], requires_grad=True)
    found = loss.aspect_loss(predicted, rated)
    found.backward()
    assert float(found.detach()) == 0.5
    assert predicted.grad.tolist() == [[-1.0, 0.0], [0.0, 0.0]]


def test_ratings_are_standardised_and_constant_ones_vanish():
    ratings = np.array([[1, 5, np.nan], [3, 5, np.nan], [np.nan, 5, np.nan]], dtype=np.float32)
    found = loss.standardised(ratings)
    np.testing.assert_allclose(found[:, 0], [-1, 1, np.nan])
    np.testing.assert_array_equal(found[:, 1], 0)
    assert np.isnan(found[:, 2]).all()
