import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Belief, Pool, Posterior
from learning.errors import ShapeError

margins = st.floats(-60, 60)
ONE = Posterior(np.zeros(1), np.eye(1), 1.0)


def davidson(nu):
    return Posterior(np.zeros(1), np.eye(1), 1.0, tie=nu)


def test_the_variance_of_a_pair_knows_that_responses_are_correlated():
    factor = np.linalg.cholesky(np.array([[1, 0.9], [0.9, 1]]))
    _, s2 = Posterior(np.zeros(2), factor, 1.0).margin(np.eye(2), [[0, 1]])
    assert s2[0] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [(0.0, (0.25, 0.5, 0.25)), (1.0, (0.387456, 0.470007, 0.142537))],
)
def test_davidson_known_answers(margin, expected):
    found = davidson(1.0).probabilities(np.array([margin]), np.zeros(1))
    assert [p.item() for p in found] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("mu", "s2", "expected"), [(2, 4, 0.776845), (1, 0.5, 0.713872), (0, 9, 0.5)]
)
def test_mackay_known_answers(mu, s2, expected):
    found = ONE.preference(np.array([float(mu)]), np.array([float(s2)]))
    assert found[0] == pytest.approx(expected, abs=1e-6)


@given(mu=margins, s2=st.floats(0, 100), nu=st.floats(0, 20))
def test_probabilities_add_up_and_swap(mu, s2, nu):
    posterior, mu, s2 = davidson(nu), np.array([mu]), np.array([s2])
    win, tie, loss = posterior.probabilities(mu, s2)
    assert win + tie + loss == pytest.approx(1, abs=1e-12)
    swapped = posterior.probabilities(-mu, s2)
    np.testing.assert_allclose(swapped, (loss, tie, win), atol=1e-15)
    assert win / (win + loss) == pytest.approx(posterior.preference(mu, s2), abs=1e-12)


def test_margins_by_response_equal_margins_by_difference(planted, fitted, pool):
    x = pool.features[pool.pairs[:, 0]] - pool.features[pool.pairs[:, 1]]
    mu, s2 = fitted.margin(pool)
    np.testing.assert_allclose(mu, x @ fitted.theta, atol=1e-10)
    covariance = fitted.covariance
    np.testing.assert_allclose(s2, np.einsum("nd,de,ne->n", x, covariance, x), atol=1e-10)


def test_draws_have_the_mean_and_covariance(rng):
    factor = np.array([[1.0, 0.0], [0.5, 2.0]])
    draws = Posterior(np.array([1.0, -1.0]), factor, 1.0).draw(40_000, rng)
    np.testing.assert_allclose(draws.mean(axis=0), [1, -1], atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), factor @ factor.T, atol=0.1)


def test_a_posterior_survives_storage(fitted):
    again = Posterior.from_arrays(fitted.to_arrays())
    np.testing.assert_array_equal(again.theta, fitted.theta)
    np.testing.assert_array_equal(again.factor, fitted.factor)
    assert again.strength_cuts == fitted.strength_cuts
    assert (again.tie, again.n_comparisons) == (fitted.tie, fitted.n_comparisons)


def test_a_stored_posterior_names_what_it_lacks(fitted):
    arrays = fitted.to_arrays()
    del arrays["factor"]
    with pytest.raises(ShapeError, match="lacks factor"):
        Posterior.from_arrays(arrays)


def test_features_of_another_width_are_refused(fitted):
    pool = Pool.of(np.zeros((2, 5)), [[0, 1]])
    for call in (fitted.margin, lambda p: fitted.reward(p.features)):
        with pytest.raises(ShapeError, match="got \\(2, 5\\)"):
            call(pool)


def test_rewards_are_what_margins_differ_by(fitted, pool):
    reward = fitted.reward(pool.features)
    mu, _ = fitted.margin(pool)
    np.testing.assert_allclose(mu, reward[pool.pairs[:, 0]] - reward[pool.pairs[:, 1]], atol=1e-9)


@pytest.mark.parametrize("width", [1, 3, 384, 1_024, 1_025, 4_096, 20_000])
@pytest.mark.parametrize("n", [0, 1, 127, 128, 1_023, 1_024, 1_025, 20_000])
def test_blocks_cover_everything_once_and_in_order(width, n):
    belief = Posterior(np.zeros(width), np.zeros((width, 1)), 1.0)
    parts = list(belief.blocks(n))
    assert [at for part in parts for at in range(part.start, part.stop)] == list(range(n))
    assert all(part.stop > part.start for part in parts)


def test_blocks_grow_with_a_factor_that_has_to_be_read_for_each():
    belief = Posterior(np.zeros(4_096), np.zeros((4_096, 1)), 1.0)
    assert next(iter(belief.blocks(100_000))).stop == 4_096


def test_the_size_of_blocks_changes_no_margin(monkeypatch, fitted, pool):
    mu, s2 = fitted.margin(pool)
    monkeypatch.setattr(Belief, "blocks", lambda self, n: (slice(i, i + 1) for i in range(n)))
    one_by_one = fitted.margin(pool)
    np.testing.assert_allclose(one_by_one, (mu, s2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("asked", [None, np.float64])
def test_whitening_leaves_the_features_as_they_were(planted, fitted, pool, dtype, asked):
    """The product overwrites its argument, which must never be the caller's memory."""
    features = planted.features.astype(dtype)
    before = features.copy()
    fitted.respond(features, np.arange(len(features)), dtype=asked)
    fitted.respond(features, np.arange(10, 20), dtype=asked)
    fitted.whiten(features, pool.pairs, dtype=asked)
    fitted.whiten(features, np.arange(20).reshape(-1, 2), dtype=asked)  # no response twice
    np.testing.assert_array_equal(features, before)


def test_a_triangular_factor_is_only_a_faster_one(planted, fitted, pool, rng):
    rotated = fitted.factor @ np.linalg.qr(rng.standard_normal((fitted.rank, fitted.rank)))[0]
    other = Posterior(fitted.theta, rotated, fitted.prior_precision)
    for dtype, close in ((np.float32, 1e-5), (np.float64, 1e-10)):
        features = planted.features.astype(dtype)
        expected = fitted.margin(features, pool.pairs)
        np.testing.assert_allclose(other.margin(features, pool.pairs), expected, atol=close)


@pytest.mark.parametrize(("dtype", "close"), [(np.float32, 2e-5), (np.float64, 1e-10)])
@pytest.mark.parametrize("effects", [0, 3])
def test_drawing_weights_is_drawing_rewards(rng, dtype, close, effects):
    """Draws of the weights give those rewards that whitened rows and the same noise give."""
    dim, features = 5 + effects, rng.standard_normal((40, 5)).astype(dtype)
    factor = np.triu(rng.standard_normal((dim, dim)))
    items = np.array([2, 11, 30])[:effects]
    belief = Posterior(rng.standard_normal(dim), factor, 1.0, items=items)
    rows = rng.permutation(40)[:25]
    expected = Belief.draw_rewards(belief, features, rows, 7, np.random.default_rng(3))
    found = belief.draw_rewards(features, rows, 7, np.random.default_rng(3))
    assert found.shape == (25, 7)
    np.testing.assert_allclose(found, expected, atol=close)
