"""Greedy design: known answers, and a slow, obvious second implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning import acquisition
from learning.acquisition import coldstart, guro, vopt
from learning.acquisition.base import kappa_weight
from learning.data import Context, Pool, Posterior
from learning.design import greedy, greedy_variance, information
from tests.learning.references import full_greedy, full_variance_greedy

ROWS = np.array([[1, 0], [1, 0.1], [0, 0.8], [0.6, 0.6]])


def pool_of(rows, *, dtype=np.float64, **given):
    """A pool whose pair differences are exactly these rows."""
    features = np.concatenate([rows, np.zeros((1, rows.shape[1]))]).astype(dtype)
    n = len(rows)
    return Pool.of(features, np.stack([np.arange(n), np.full(n, n)], axis=1), **given)


def belief_of(covariance, theta=None):
    theta = np.zeros(len(covariance)) if theta is None else np.asarray(theta, float)
    factor = np.linalg.inv(np.linalg.cholesky(np.linalg.inv(covariance))).T
    return Posterior(theta, factor, 1.0, n_comparisons=100)


def run(pool, belief, batch, **given):
    rng = np.random.default_rng(given.pop("seed", 0))
    return greedy(pool, belief, pool.candidates, batch, rng=rng, **given)


def constant(weight):
    return lambda mu, s2: np.broadcast_to(weight, mu.shape).astype(float)


def test_four_rows_by_hand():
    found = run(pool_of(ROWS), belief_of(np.eye(2)), 3, weigh=constant(1.0))
    assert found.indices.tolist() == [1, 2, 0]
    wq = np.expm1(2 * found.gain)
    np.testing.assert_allclose(wq, [1.01, 0.6368159, 0.5015198], atol=1e-6)
    assert 2 * found.gain.sum() == pytest.approx(1.5973653, abs=1e-6)
    X = ROWS[[1, 2, 0]]
    assert 2 * found.gain.sum() == pytest.approx(np.linalg.slogdet(np.eye(2) + X.T @ X)[1])


def test_scale_moves_between_weight_and_covariance():
    small = run(pool_of(ROWS[:3]), belief_of(np.eye(2)), 3, weigh=constant(1.0))
    large = run(pool_of(ROWS[:3]), belief_of(4 * np.eye(2)), 3, weigh=constant(0.25))
    assert small.indices.tolist() == large.indices.tolist()
    np.testing.assert_allclose(small.gain, large.gain, atol=1e-12)


def test_a_duplicate_is_worth_little_once_its_twin_is_asked():
    rows = np.array([[1, 0], [1, 0], [0, 0.9]])
    found = run(pool_of(rows), belief_of(np.eye(2)), 2, weigh=constant(1.0))
    assert found.indices[0] in (0, 1)
    assert found.indices[1] == 2
    np.testing.assert_allclose(np.expm1(2 * found.gain), [1.0, 0.81], atol=1e-12)


def test_the_design_that_is_optimal_has_leverage_equal_to_the_dimension():
    """Kiefer and Wolfowitz (1960): at the optimum the largest leverage is ``d``."""
    design = belief_of(np.linalg.inv(np.diag([0.5, 0.5])))
    arms = np.array([[1, 0], [0, 1], [np.sqrt(0.5), np.sqrt(0.5)]])
    _, leverage = design.margin(pool_of(arms))
    np.testing.assert_allclose(leverage, [2, 2, 2], atol=1e-12)


def test_leverage_of_one_shot_by_hand():
    """Shen, Sun and Ton (2025): gradient of the log determinant at full weight."""
    w = np.array([0.25, 0.25, 0.25, 0.05])
    belief = belief_of(np.linalg.inv(ROWS.T @ (w[:, None] * ROWS)))
    _, q = belief.margin(pool_of(ROWS))
    np.testing.assert_allclose(w * q, [0.4923622, 0.4830333, 0.9043099, 0.1202946], atol=1e-6)
    assert (w * q).sum() == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("mu", "s2", "weight", "gain"),
    [(0, 1, 0.2118417, 0.0960706), (2, 4, 0.1081204, 0.1797041), (4, 9, 0.0540019, 0.1980498)],
)
def test_the_kappa_weight_by_hand(mu, s2, weight, gain):
    found = kappa_weight(np.array([mu, -mu], float), np.array([s2, s2], float))
    np.testing.assert_allclose(found, weight, atol=1e-7)
    np.testing.assert_allclose(information(found, np.array([s2, s2])), gain, atol=1e-6)


def test_the_kernel_form_is_the_feature_form(rng):
    A, lam = rng.standard_normal((7, 4)), 0.7
    by_features = np.linalg.slogdet(lam * np.eye(4) + A.T @ A)[1] - 4 * np.log(lam)
    by_kernel = np.linalg.slogdet(np.eye(7) + A @ A.T / lam)[1]
    assert by_features == pytest.approx(by_kernel, abs=1e-10)


def test_the_variance_of_a_pair_counts_their_correlation():
    belief = belief_of(np.array([[1, 0.9], [0.9, 1]]))
    _, s2 = belief.margin(np.eye(2), [[0, 1]])
    assert s2[0] == pytest.approx(0.2)


def gamma_pool(seed, n, d, dtype=np.float32):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * rng.gamma(2.0, 1.0, size=(n, 1))
    factor = np.eye(d) + np.triu(rng.standard_normal((d, d))) / (4 * np.sqrt(d))
    belief = Posterior(rng.standard_normal(d) / d, factor, 1.0, n_comparisons=99)
    return pool_of(rows, dtype=dtype, prompt=np.arange(n) // 7), belief


@pytest.mark.parametrize("per_prompt", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_picks_are_those_of_a_greedy_that_looks_at_everything(seed, per_prompt):
    pool, belief = gamma_pool(seed, 3000, 24)
    pool = pool.with_eligible(np.random.default_rng(seed).random(3000) < 0.9)
    found = run(pool, belief, 48, window=300, per_prompt=per_prompt)
    picks, gains = full_greedy(pool, belief, 48, weigh=kappa_weight, per_prompt=per_prompt)
    assert found.indices.tolist() == picks
    np.testing.assert_allclose(found.gain, gains, rtol=1e-6)
    assert found.info["certificate"] <= 1 + 1e-4
    assert found.info["survivors"] < 3000 or found.info["sweeps"] > 1


@pytest.mark.parametrize("seed", range(3))
def test_neither_window_nor_survivors_change_the_picks(monkeypatch, seed):
    pool, belief = gamma_pool(seed, 4000, 24, dtype=np.float64)
    sizes = ((1, 1, 16), (2**14, 300, 2000), (2**21, 2048, 300), (2**30, 4000, 4000))
    found = []
    for window_bytes, survivors, window in sizes:
        monkeypatch.setattr("learning.design._determinant._WINDOW_BYTES", window_bytes)
        monkeypatch.setattr("learning.design._determinant._SURVIVORS", survivors)
        found.append(run(pool, belief, 64, window=window))
    assert len({each.info["sweeps"] for each in found}) > 1  # they went different ways
    for each in found[1:]:
        assert each.indices.tolist() == found[0].indices.tolist()
        np.testing.assert_allclose(each.gain, found[0].gain, rtol=1e-9)


def test_rates_enter_the_choice(rng):
    pool, belief = gamma_pool(3, 1000, 8)
    rates = rng.gamma(2.0, size=1000) + 0.1
    pool = Pool(pool.features, pool.pairs, pool.prompt, pool.eligible, rates)
    found = run(pool, belief, 40)
    picks, gains = full_greedy(pool, belief, 40, weigh=kappa_weight)
    assert found.indices.tolist() == picks
    np.testing.assert_allclose(found.gain, gains, rtol=1e-6)


def test_half_precision_is_a_way_to_store_not_to_compute():
    pool, belief = gamma_pool(1, 2000, 16, dtype=np.float16)
    found = run(pool, belief, 50)
    as_stored = Pool.of(pool.features.astype(np.float64), pool.pairs, prompt=pool.prompt)
    assert found.indices.tolist() == run(as_stored, belief, 50).indices.tolist()


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 8), st.integers(1, 70))
def test_gains_never_grow_and_nothing_is_picked_twice(seed, n, d, batch):
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, d)) * rng.choice([0, 1e-9, 1, 1e3], size=(n, 1))
    found = run(pool_of(rows), belief_of(np.eye(d) * 2.0, rng.standard_normal(d) * 30), batch)
    assert len(set(found.indices.tolist())) == len(found.indices) == min(n, batch)
    assert np.isfinite(found.gain).all()
    assert (found.gain >= 0).all()
    assert (np.diff(found.gain) <= 1e-9 * (1 + found.gain[:-1])).all()


def test_scaling_features_up_and_weights_down_changes_nothing():
    pool, belief = gamma_pool(2, 800, 12, dtype=np.float64)
    scaled = Pool.of(pool.features * 8, pool.pairs, prompt=pool.prompt)
    other = Posterior(belief.theta / 8, belief.factor / 8, 1.0)
    assert run(pool, belief, 30).indices.tolist() == run(scaled, other, 30).indices.tolist()


def test_what_is_out_counts_as_asked(planted, fitted, pool):
    """The first half of a greedy batch, once pending, leads to the second half."""
    # Weights are fixed within a batch and fresh after it, so the weight is held here.
    weigh = constant(0.2)
    whole = run(pool, fitted, 10, weigh=weigh)
    later = fitted.condition(*_whitened(pool, fitted, whole.indices[:5], 0.2))
    left = pool.eligible.copy()
    left[whole.indices[:5]] = False
    rest = run(pool.with_eligible(left), later, 5, weigh=weigh)
    assert rest.indices.tolist() == whole.indices[5:].tolist()
    np.testing.assert_allclose(rest.gain, whole.gain[5:], rtol=1e-9)


def _whitened(pool, belief, rows, weight):
    _, z = belief.whiten(pool.features, pool.pairs[rows])
    return z, np.full(len(rows), weight)


def test_covariance_after_a_pick_by_hand():
    belief = belief_of(np.eye(2)).condition(np.array([[1, 0.1]]), np.array([1.0]))
    expected = [[0.5024876, -0.0497512], [-0.0497512, 0.9950249]]
    np.testing.assert_allclose(belief.covariance, expected, atol=1e-6)


def test_guro_by_hand():
    z = np.array([[1, 0], [0, 1], [2, 0], [3, 0], [0.5, 1.2]])
    belief = belief_of(np.diag([0.5, 1.0]), [1.0, 0.0])
    pool = pool_of(z)
    paper = run(pool, belief, 1, weigh=guro.slope, value=guro.bound)
    np.testing.assert_allclose(
        paper.score, [0.1390256, 0.25, 0.1484834, 0.0958342, 0.2939896], atol=1e-6
    )
    code = run(pool, belief, 1, weigh=guro.slope, value=guro.leverage)
    np.testing.assert_allclose(
        code.score, [0.0983060, 0.25, 0.2099872, 0.2032950, 0.3677806], atol=1e-6
    )
    assert paper.indices.tolist() == code.indices.tolist() == [4]
    unweighted = run(pool, belief, 1, weigh=constant(1.0), value=guro.leverage)
    assert unweighted.indices.tolist() == [3]
    assert unweighted.gain[0] == pytest.approx(4.5)


def test_cold_start_ignores_what_the_model_thinks(pool, fitted):
    opinion = Posterior(fitted.theta * 100, fitted.factor, 1.0, n_comparisons=3)
    silence = Posterior(fitted.theta * 0, fitted.factor, 1.0, n_comparisons=3)
    method = acquisition.get("coldstart")

    def picks(belief):
        rng = np.random.default_rng(0)
        config = method.parse_config()
        return method.select(pool, belief, Context(), 9, rng=rng, config=config).indices.tolist()

    expected = run(pool, silence, 9, weigh=coldstart.even).indices.tolist()
    assert picks(opinion) == picks(silence) == expected


def test_cold_start_hands_over(pool, fitted):
    method, dopt = acquisition.get("coldstart"), acquisition.get("dopt")
    one = method.select(
        pool, fitted, Context(), 9, rng=np.random.default_rng(0), config=method.parse_config()
    )
    other = dopt.select(
        pool, fitted, Context(), 9, rng=np.random.default_rng(0), config=dopt.parse_config()
    )
    assert one.indices.tolist() == other.indices.tolist()


def variance(pool, belief, target, batch, **given):
    rng = np.random.default_rng(0)
    return greedy_variance(pool, belief, pool.candidates, batch, target, rng=rng, **given)


def test_variance_drop_by_hand(monkeypatch):
    """Sigma = 4 I, w = 1/4, A = diag(1, 0)."""
    monkeypatch.setattr("learning.design._variance.kappa_weight", constant(0.25))
    rows = np.array([[1, 0], [0, 1], [0.7, 0.7]])
    belief = belief_of(4 * np.eye(2))
    target = belief.factor.T @ np.diag([1.0, 0.0]) @ belief.factor
    found = variance(pool_of(rows), belief, target, 1)
    np.testing.assert_allclose(found.score, [2, 0, 0.9898990], atol=1e-6)
    for row, gain in zip(rows, found.score, strict=True):
        after = np.linalg.inv(np.eye(2) / 4 + 0.25 * np.outer(row, row))
        assert 4.0 - after[0, 0] == pytest.approx(gain)


@pytest.mark.parametrize("per_prompt", [None, 1])
@pytest.mark.parametrize("seed", range(4))
def test_variance_greedy_is_the_obvious_one(seed, per_prompt):
    pool, belief = gamma_pool(seed, 400, 10)
    target = vopt.target_matrix(
        pool, belief, Context(), vopt.Config(targets=100), np.random.default_rng(1)
    )
    found = variance(pool, belief, target, 100, per_prompt=per_prompt)
    picks, gains = full_variance_greedy(pool, belief, target, 100, per_prompt=per_prompt)
    n = len(picks)
    assert found.indices.tolist() == picks[:n]
    np.testing.assert_allclose(found.gain, gains, rtol=1e-6)


def test_a_short_list_says_what_it_missed():
    pool, belief = gamma_pool(5, 3000, 10)
    target = np.eye(10)
    whole = variance(pool, belief, target, 100)
    short = variance(pool, belief, target, 100, shortlist=70)
    assert whole.info["missed"] == 0.0
    assert short.info["missed"] > 0.0
    assert short.gain.sum() <= whole.gain.sum() * (1 + 1e-9)
    assert short.gain.sum() > 0.8 * whole.gain.sum()


@pytest.mark.parametrize("omega", ["uniform", "logloss", "sign", "policy"])
def test_targets_are_what_it_looks_after(omega, pool, fitted):
    """With one target, the pair itself is the best question about it."""
    method = acquisition.get("vopt")
    target = pool.pairs[pool.candidates[11]]
    context = Context(targets=target[None, :])
    config = method.parse_config({"omega": omega})
    found = method.select(pool, fitted, context, 1, rng=np.random.default_rng(0), config=config)
    assert found.indices.tolist() == [pool.candidates[11]]


def test_undecided_signs_weigh_most():
    mu, s2 = np.array([0.0, 3.0, 0.0]), np.array([1.0, 1.0, 4.0])
    found = vopt.target_weights("sign", mu, s2)
    np.testing.assert_allclose(found / found[0], [1.0, np.exp(-4.5), 0.5], rtol=1e-12)


def test_policy_weights_are_the_softmax_covariance(planted, fitted):
    """All pairs of four responses: their weighted outer products are Cov under the policy."""
    pairs = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])
    pool = Pool.of(planted.features, pairs, prompt=np.zeros(6))
    weight = vopt.policy_weights(pool, fitted, pairs, np.zeros(6, int))
    phi = planted.features[:4]
    pi = np.exp(phi @ fitted.theta) / np.exp(phi @ fitted.theta).sum()
    expected = phi.T @ (np.diag(pi) - np.outer(pi, pi)) @ phi
    x = phi[pairs[:, 0]] - phi[pairs[:, 1]]
    np.testing.assert_allclose(x.T @ (weight[:, None] * x), expected, atol=1e-10)
