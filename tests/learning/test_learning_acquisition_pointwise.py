"""Functions that score pairs one by one, against slow loops, and what they draw at random."""

import dataclasses

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

from learning import acquisition
from learning.acquisition import bald_power, epig
from learning.acquisition.base import first_of_each, kappa_weight
from learning.data import Context, Pool, Posterior
from learning.information import bald, sigmoid_variance
from tests.learning import references

SCORERS = ["bald", "bald_power", "bayes_guro", "epig", "margin_small", "margin_large", "balpm"]
STEADY = ["bald", "bayes_guro", "epig", "margin_small", "margin_large", "balpm"]
ALL = ["random_unique", *SCORERS]


def choose(name, pool, belief, batch=10, *, seed=0, context=None, **config):
    method = acquisition.get(name)
    return method.select(
        pool,
        belief,
        context or Context(),
        batch,
        rng=np.random.default_rng(seed),
        config=method.parse_config(config),
    )


def one_dimensional(means, variances):
    """A pool with one pair for each mean and variance of the margin, and its belief."""
    rows = np.stack([means, np.sqrt(variances)], axis=1)
    features = np.concatenate([np.zeros((1, 2)), rows])
    pairs = np.stack([np.arange(1, len(rows) + 1), np.zeros(len(rows), dtype=int)], axis=1)
    belief = Posterior(np.array([1.0, 0.0]), np.array([[0.0], [1.0]]), 1.0, n_comparisons=99)
    return Pool.of(features, pairs), belief


def variance_with(information):
    return brentq(lambda s2: float(bald(np.zeros(1), np.array([s2]))[0]) - information, 1e-9, 50)


@pytest.mark.parametrize("name", STEADY)
def test_the_order_of_the_pool_is_of_no_consequence(name, pool, fitted):
    order = np.random.default_rng(3).permutation(len(pool))
    shuffled = Pool(
        pool.features, pool.pairs[order], pool.prompt[order], pool.eligible[order], pool.rate
    )
    here, there = choose(name, pool, fitted, 30), choose(name, shuffled, fitted, 30)
    assert here.indices.tolist() == order[there.indices].tolist()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_of_a_prompt_than_allowed(name, pool, fitted, limit):
    found = choose(name, pool, fitted, 10_000, context=Context(per_prompt=limit))
    _, there = np.unique(pool.prompt[pool.eligible], return_counts=True)
    assert np.bincount(pool.prompt[found.indices]).max() == limit
    assert len(found) == np.minimum(there, limit).sum()
    assert pool.eligible[found.indices].all()


@pytest.mark.parametrize("name", SCORERS)
def test_half_precision_features_are_enough(name, pool, fitted):
    small = dataclasses.replace(pool, features=pool.features.astype(np.float16))
    here, there = choose(name, pool, fitted, 40), choose(name, small, fitted, 40)
    assert len(np.intersect1d(here.indices, there.indices)) >= 36


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("bald", bald),
        ("bayes_guro", sigmoid_variance),
        ("margin_small", lambda mu, s2: 1 - expit(abs(mu))),
        ("margin_large", lambda mu, s2: abs(mu)),
    ],
)
def test_the_best_by_the_rule_times_the_rate_come_first(name, rule, pool, fitted):
    rate = np.random.default_rng(2).uniform(0.5, 2.0, len(pool))
    score = rule(*fitted.margin(pool)) * rate
    order = [i for i in np.argsort(-score) if pool.eligible[i]][:25]
    found = choose(name, dataclasses.replace(pool, rate=rate), fitted, 25)
    assert found.indices.tolist() == order
    np.testing.assert_allclose(found.gain, score[order], rtol=1e-9)
    np.testing.assert_allclose(found.score[pool.eligible], score[pool.eligible], rtol=1e-9)


def test_the_small_margin_is_the_near_tie_however_uncertain():
    pool, belief = one_dimensional(np.array([3.0, -0.1, 0.5]), np.array([9.0, 1e-6, 9.0]))
    assert choose("margin_small", pool, belief, 3).indices.tolist() == [1, 2, 0]
    assert choose("margin_large", pool, belief, 3).indices.tolist() == [0, 2, 1]
    assert choose("bald", pool, belief, 3).indices.tolist() == [2, 0, 1]


# random_unique -------------------------------------------------------------------------------


def uneven():
    """Prompts with 1, 2, 3 and 6 pairs, shuffled."""
    prompt = np.random.default_rng(4).permutation(np.repeat([7, 3, 90, 1], [1, 2, 3, 6]))
    return Pool.of(np.eye(24), np.arange(24).reshape(12, 2), prompt=prompt)


@pytest.mark.parametrize("batch", [1, 3, 4, 6, 9, 12])
def test_propensities_are_how_often_a_pair_is_drawn(batch, fitted):
    pool, hits, chance = uneven(), np.zeros(12), np.full(12, np.nan)
    for seed in range(3000):
        found = choose("random_unique", pool, fitted, batch, seed=seed)
        hits[found.indices] += 1
        chance[found.indices] = found.propensity
    assert chance.sum() == pytest.approx(batch)
    spread = np.sqrt(chance * (1 - chance) / 3000)
    assert (np.abs(hits / 3000 - chance) <= 4.5 * spread + 1e-12).all()


def test_every_prompt_once_before_any_twice(pool, fitted):
    prompts = np.unique(pool.prompt[pool.eligible])
    found = choose("random_unique", pool, fitted, len(prompts) + 5)
    first, second = np.split(pool.prompt[found.indices], [len(prompts)])
    assert sorted(first) == prompts.tolist()
    assert len(set(second)) == 5


def test_the_limit_holds_in_the_propensities_too(fitted):
    found = choose("random_unique", uneven(), fitted, 99, context=Context(per_prompt=2))
    size = {7: 1, 3: 2, 90: 3, 1: 6}
    expected = [min(2, size[p]) / size[p] for p in uneven().prompt[found.indices].tolist()]
    np.testing.assert_allclose(found.propensity, expected)


# bald_power ----------------------------------------------------------------------------------


def duels(n):
    """``n`` prompts with two pairs each, worth 0.4 and 0.1 nats."""
    variance = np.tile([variance_with(0.4), variance_with(0.1)], n)
    pool, belief = one_dimensional(np.zeros(2 * n), variance)
    return dataclasses.replace(pool, prompt=np.repeat(np.arange(n), 2)), belief


@pytest.mark.parametrize(("power", "chance"), [(1.0, 0.8), (8.0, 0.99998474), (0.0, 0.5)])
def test_a_pair_is_drawn_in_proportion_to_its_powered_information(power, chance):
    n = 20_000
    pool, belief = duels(n)
    setting = {"power_first": power, "power_last": power}
    found = choose("bald_power", pool, belief, n, context=Context(per_prompt=1), **setting)
    better = (found.indices % 2 == 0).mean()
    assert better == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / n) + 2 / n)
    np.testing.assert_allclose(found.gain, np.where(found.indices % 2, 0.1, 0.4), atol=1e-6)


def test_the_power_rises_in_a_line_and_stays():
    config = bald_power.Config(power_first=1, power_last=8, rounds=20)
    powers = [bald_power.power_at(number, config) for number in (0, 10, 20, 500)]
    assert powers == [1.0, 4.5, 8.0, 8.0]


@pytest.mark.parametrize("limit", [None, 1, 3])
def test_weighing_picks_by_their_chance_is_unbiased(pool, fitted, limit):
    rng = np.random.default_rng(0)
    mu, s2 = fitted.margin(pool)
    weight, truth = 0.3 * np.log(bald(mu, s2)), np.abs(mu[pool.eligible]).sum()
    sums = []
    for _ in range(4000):
        key = weight + rng.gumbel(size=len(pool))
        order = pool.candidates[np.argsort(-key[pool.candidates])]
        picked = first_of_each(order, pool.prompt, 25, limit=limit)
        chance = bald_power.again(weight, key, picked, pool, limit)
        sums.append((np.abs(mu[picked]) / chance).sum())
    assert np.mean(sums) == pytest.approx(truth, abs=4 * np.std(sums) / np.sqrt(len(sums)))


def test_a_selection_carries_these_chances(pool, fitted):
    context = Context(per_prompt=1, round=10)
    rated = dataclasses.replace(pool, rate=1.0 + np.arange(len(pool)) % 3)
    found = choose("bald_power", rated, fitted, 25, context=context)
    value = bald(*fitted.margin(pool)) * rated.rates
    weight = 4.5 * np.log(value)
    chance = bald_power.again(weight, found.score, found.indices, rated, 1)
    np.testing.assert_allclose(found.propensity, chance)
    np.testing.assert_allclose(found.gain, value[found.indices])
    assert (np.diff(found.score[found.indices]) < 0).all()


def test_all_that_there_is_was_bound_to_be_drawn(pool, fitted):
    assert (choose("bald_power", pool, fitted, 10_000).propensity == 1.0).all()


def test_pairs_without_information_come_last_in_random_order():
    pool, belief = one_dimensional(np.zeros(40), np.repeat([1.0, 0.0], 20))
    orders = [choose("bald_power", pool, belief, 40, seed=seed).indices for seed in range(2)]
    for order in orders:
        assert set(order[:20]) == set(range(20))
    assert orders[0][20:].tolist() != orders[1][20:].tolist()


# epig ----------------------------------------------------------------------------------------

ROWS = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("noisy", "known"),
    [(False, [0.3465736, 0.0, 0.1421604]), (True, [0.1438410, 0.0, 0.0660447])],
)
def test_epig_has_the_known_values(noisy, known, monkeypatch):
    monkeypatch.setattr(epig, "kappa_weight", lambda mu, s2: np.full(len(mu), 0.25))
    pool = Pool.of(ROWS, [[0, 3], [1, 3], [2, 3]])
    belief = Posterior(np.zeros(2), 2.0 * np.eye(2), 1.0, n_comparisons=99)
    context = Context(targets=np.array([[0, 3]]))
    found = choose("epig", pool, belief, 3, context=context, noisy=noisy)
    np.testing.assert_allclose(found.score, known, atol=1e-6)


def slow_epig(pool, belief, targets, *, noisy):
    """Pair by pair, with the covariance of the weights."""
    found = np.zeros(len(pool))
    for i, (left, right) in enumerate(pool.pairs):
        x = pool.features[left] - pool.features[right]
        for other, another in targets:
            t = pool.features[other] - pool.features[another]
            s2, t2 = x @ belief.covariance @ x, t @ belief.covariance @ t
            noise = 1 / kappa_weight(t @ belief.theta, t2) if noisy else 0.0
            w = kappa_weight(x @ belief.theta, s2)
            rho2 = (x @ belief.covariance @ t) ** 2 / ((s2 + 1 / w) * (t2 + noise))
            found[i] -= np.log(1 - rho2) / 2 / len(targets)
    return found


@pytest.mark.parametrize("noisy", [False, True])
def test_epig_is_the_average_over_targets(pool, fitted, noisy, monkeypatch):
    monkeypatch.setattr(epig, "_TILE_BYTES", 7 * 8 * 30)  # seven pairs at a time
    targets = np.random.default_rng(1).permutation(60).reshape(30, 2)
    found = choose("epig", pool, fitted, 5, context=Context(targets=targets), noisy=noisy)
    slow = slow_epig(pool, fitted, targets, noisy=noisy)
    np.testing.assert_allclose(found.score[pool.eligible], slow[pool.eligible], rtol=1e-9)
    assert found.info["targets"] == 30
    single = dataclasses.replace(pool, features=pool.features.astype(np.float32))
    about = choose("epig", single, fitted, 5, context=Context(targets=targets), noisy=noisy)
    np.testing.assert_allclose(about.score[pool.eligible], slow[pool.eligible], rtol=2e-3)


def test_without_targets_epig_looks_at_the_whole_pool_or_a_sample(pool, fitted):
    everything = choose("epig", pool, fitted, 5, context=Context(targets=pool.pairs))
    assert choose("epig", pool, fitted, 5).score.tolist() == everything.score.tolist()
    few = choose("epig", pool, fitted, 5, targets=50)
    assert few.info["targets"] == 50
    alike = np.corrcoef(few.score[pool.eligible], everything.score[pool.eligible])[0, 1]
    assert alike > 0.8


def test_epig_prefers_what_tells_about_the_targets_to_what_tells_most():
    features = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])
    pool = Pool.of(features, [[1, 0], [2, 0]])
    belief = Posterior(np.zeros(2), np.eye(2), 1.0, n_comparisons=99)
    context = Context(targets=np.array([[1, 0]]))
    assert choose("bald", pool, belief, 1).indices.tolist() == [1]
    assert choose("epig", pool, belief, 1, context=context).indices.tolist() == [0]


def test_discrete_epig_has_the_known_values():
    p = expit(np.array([[2.0], [-2.0]]))
    assert references.member_epig(p, p)[0] == pytest.approx(0.1792075, abs=1e-6)
    assert references.member_epig(p, np.full((2, 1), 0.3))[0] == pytest.approx(0.0, abs=1e-12)


def test_epig_is_near_that_of_many_members():
    rng = np.random.default_rng(5)
    features = np.concatenate([np.zeros((1, 3)), rng.standard_normal((9, 3))])
    pool = Pool.of(features, [[i, 0] for i in range(1, 6)])
    targets = np.array([[i, 0] for i in range(6, 10)])
    belief = Posterior(np.array([0.5, -0.5, 0.2]), 0.7 * np.eye(3), 1.0, n_comparisons=99)
    found = choose("epig", pool, belief, 5, context=Context(targets=targets))
    draws = belief.draw(100_000, rng)
    members = expit(draws @ features.T)
    slow = references.member_epig(members[:, 1:6], members[:, 6:])
    np.testing.assert_allclose(found.score, slow, rtol=0.15)
    assert found.indices.tolist() == np.argsort(-slow).tolist()
