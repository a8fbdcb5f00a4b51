"""Information in one answer: known answers, laws, and a slow second integration."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import norm

from learning.acquisition.base import kappa_weight
from learning.data import moderate
from learning.information import bald, sigmoid_variance
from tests.learning import references

GRID = [(0, 1), (0, 4), (1, 1), (2, 1), (2, 4), (4, 1), (4, 9)]
BALD = [0.093709, 0.231138, 0.081427, 0.054164, 0.176600, 0.012874, 0.182582]
margins = st.floats(-60, 60)
variances = st.floats(0, 1e4)


def both(pairs):
    mu, s2 = np.array(pairs, dtype=float).T
    return mu, s2


def slow_bald(mu, s2):
    p = references.integrate(expit, mu, s2)
    return references.coin(p) - references.integrate(lambda f: references.coin(expit(f)), mu, s2)


def slow_variance(mu, s2):
    p = references.integrate(expit, mu, s2)
    return references.integrate(lambda f: (expit(f) - p) ** 2, mu, s2)


def test_bald_of_gaussian_margins_has_the_known_values():
    np.testing.assert_allclose(bald(*both(GRID), nodes=96), BALD, atol=1e-5)
    np.testing.assert_allclose(bald(*both(GRID)), BALD, rtol=6.5e-4)


def test_variance_of_the_probability_has_the_known_values():
    found = sigmoid_variance(*both([(0, 1), (2, 4)]))
    np.testing.assert_allclose(found, [0.043379, 0.061865], atol=1e-5)


def test_quadrature_agrees_with_a_fine_sum():
    pairs = [(mu, s2) for mu in np.linspace(-4, 4, 9) for s2 in (0.01, 0.3, 1.0, 4.0, 9.0)]
    np.testing.assert_allclose(bald(*both(pairs)), [slow_bald(*p) for p in pairs], rtol=8e-4)
    slow = [slow_variance(*pair) for pair in pairs]
    np.testing.assert_allclose(sigmoid_variance(*both(pairs)), slow, rtol=3e-3)


@given(st.lists(st.tuples(margins, variances), min_size=1, max_size=20))
def test_both_are_bounded_and_ignore_the_side_shown(pairs):
    mu, s2 = both(pairs)
    for rule, most in ((bald, np.log(2)), (sigmoid_variance, 0.25)):
        found = rule(mu, s2)
        assert ((found >= 0) & (found <= most + 1e-12)).all()
        np.testing.assert_array_equal(found, rule(-mu, s2))


@given(margins)
def test_a_certain_margin_has_nothing_to_tell(mu):
    assert bald(*both([(mu, 0.0)]))[0] == pytest.approx(0.0, abs=1e-15)
    assert sigmoid_variance(*both([(mu, 0.0)]))[0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("mu", [0.0, 3.0, 20.0, 50.0])
def test_a_small_variance_tells_half_the_fisher_information(mu):
    weight = expit(mu) * expit(-mu)
    assert bald(*both([(mu, 1e-6)]))[0] == pytest.approx(weight * 1e-6 / 2, rel=1e-5)
    assert sigmoid_variance(*both([(mu, 1e-6)]))[0] == pytest.approx(weight**2 * 1e-6, rel=1e-4)


def test_equal_pairs_score_equally_to_the_bit_wherever_they_stand():
    mu, s2 = np.full(9001, 0.7), np.full(9001, 1.3)
    assert len(np.unique(bald(mu, s2))) == len(np.unique(sigmoid_variance(mu, s2))) == 1


def test_members_have_the_known_values():
    def of(*p):
        return references.member_bald(np.array(p)[:, None])[0]

    assert of(0.9, 0.1) == pytest.approx(0.3680642, abs=1e-6)
    assert of(0.9, 0.5) == pytest.approx(0.1017492, abs=1e-6)
    assert of(0.3, 0.3) == pytest.approx(0.0)
    assert of(*expit([0.0, 1.0, 2.0])) == pytest.approx(0.0605839, abs=1e-6)


@pytest.mark.parametrize(("mu", "s2"), [(0, 1), (2, 4), (-1, 0.5)])
def test_bald_is_that_of_many_members(mu, s2):
    even = (np.arange(20_000) + 0.5) / 20_000  # members at equal steps of probability
    p = expit(mu + np.sqrt(s2) * norm.ppf(even))[:, None]
    assert bald(*both([(mu, s2)]))[0] == pytest.approx(references.member_bald(p)[0], rel=2e-3)
    assert sigmoid_variance(*both([(mu, s2)]))[0] == pytest.approx(p.var(), rel=2e-3)


def houlsby(mu, s2):
    """The closed form for probit in nats, which falls below zero."""
    m, v, c = np.sqrt(np.pi / 8) * mu, np.pi * s2 / 8, np.sqrt(np.pi * np.log(2) / 2)
    noise = c / np.sqrt(v + c**2) * np.exp(-(m**2) / (2 * (v + c**2)))
    return references.coin(norm.cdf(m / np.sqrt(1 + v))) - np.log(2) * noise


def test_the_closed_form_of_houlsby_is_near_but_negative_where_ours_is_not():
    mu, s2 = both([(0, 1), (2, 1), (6, 1)])
    np.testing.assert_allclose(houlsby(mu, s2), [0.098926, 0.062649, 0.000905], atol=1e-6)
    np.testing.assert_allclose(bald(mu[:2], s2[:2]), houlsby(mu[:2], s2[:2]), rtol=0.16)
    assert bald(mu, s2)[2] == pytest.approx(0.001992, abs=1e-6)
    assert houlsby(4.0, 0.01) < 0 < bald(*both([(4.0, 0.01)]))[0]


def test_the_gaussian_surrogate_has_the_known_values():
    mu, s2 = both([(0, 1), (2, 4), (4, 9)])
    weight = kappa_weight(mu, s2)
    np.testing.assert_allclose(weight, [0.2118417, 0.1081204, 0.0540019], atol=1e-6)
    about = np.log1p(weight * s2) / 2
    np.testing.assert_allclose(about, [0.0960706, 0.1797041, 0.1980498], atol=1e-6)
    np.testing.assert_allclose(about, bald(mu, s2), rtol=0.09)


def test_the_moderated_probability_is_near_the_exact_one():
    assert expit(moderate(*both([(2, 4)])))[0] == pytest.approx(0.776845, abs=1e-6)
    assert references.integrate(expit, 2, 4) == pytest.approx(0.775200, abs=1e-6)


def test_information_of_a_batch_counts_repeats_once():
    point, other = expit([2.0, 2.0, -2.0, -2.0]), expit([1.0, -1.0, 1.0, -1.0])

    def of(*columns):
        return references.member_batch_bald(np.stack(columns, axis=1))

    assert of(point) == pytest.approx(0.3278133, abs=1e-6)
    assert of(point, point) == pytest.approx(0.4764191, abs=1e-6)
    assert of(other) == pytest.approx(0.1109441, abs=1e-6)
    assert of(point, other) == pytest.approx(0.4387574, abs=1e-6)


def test_half_the_log_determinant_is_the_information_of_a_batch():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3)) * 0.5
    members = expit(rng.standard_normal((200_000, 3)) @ x.T)
    s2 = (x**2).sum(axis=1)
    rows = np.sqrt(kappa_weight(np.zeros(4), s2))[:, None] * x
    together = np.linalg.slogdet(np.eye(4) + rows @ rows.T)[1] / 2
    assert together == pytest.approx(references.member_batch_bald(members), rel=0.03)
