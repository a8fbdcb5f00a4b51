"""The contract that every registered acquisition function keeps."""

import dataclasses

import numpy as np
import pytest

from learning import acquisition
from learning.data import Context, Pool, Posterior
from learning.errors import ConfigError

CONTEXT = Context()


@pytest.fixture(params=sorted(acquisition.METHODS))
def method(request):
    return acquisition.get(request.param)


def choose(method, pool, posterior, batch=10, *, seed=0):
    rng = np.random.default_rng(seed)
    config = method.parse_config()
    return method.select(pool, posterior, CONTEXT, batch, rng=rng, config=config)


def test_picks_are_distinct_and_eligible(method, pool, fitted):
    found = choose(method, pool, fitted, 50)
    assert len(found) == len(set(found.indices.tolist())) == 50
    assert pool.eligible[found.indices].all()


def test_swapping_sides_changes_nothing(method, pool, fitted):
    rng = np.random.default_rng(5)
    flip = rng.random(len(pool)) < 0.5
    pairs = np.where(flip[:, None], pool.pairs[:, ::-1], pool.pairs)
    swapped = dataclasses.replace(pool, pairs=pairs)
    here, there = choose(method, pool, fitted), choose(method, swapped, fitted)
    assert here.indices.tolist() == there.indices.tolist()
    np.testing.assert_allclose(here.gain, there.gain, atol=1e-9)


def test_the_order_of_the_pool_is_of_no_consequence(method, pool, fitted):
    order = np.random.default_rng(3).permutation(len(pool))
    shuffled = Pool(pool.features, pool.pairs[order], pool.prompt[order], pool.eligible[order])
    here, again = choose(method, pool, fitted, seed=0), choose(method, pool, fitted, seed=1)
    if here.indices.tolist() != again.indices.tolist():
        pytest.skip("it draws: another order means other numbers")
    there = choose(method, shuffled, fitted)
    assert order[there.indices].tolist() == here.indices.tolist()


def test_the_generator_decides_everything(method, pool, fitted):
    here, again = choose(method, pool, fitted, seed=3), choose(method, pool, fitted, seed=3)
    assert here.indices.tolist() == again.indices.tolist()


def test_a_batch_larger_than_the_pool_is_the_pool(method, pool, fitted):
    found = choose(method, pool, fitted, 10_000)
    assert sorted(found.indices.tolist()) == pool.candidates.tolist()


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_of_a_prompt_than_the_limit(method, pool, fitted, limit):
    rng, config = np.random.default_rng(0), method.parse_config()
    context = Context(per_prompt=limit)
    found = method.select(pool, fitted, context, 10_000, rng=rng, config=config)
    if method.name != "random":  # the control is a simple random sample, whatever the limit
        assert np.bincount(pool.prompt[found.indices]).max() <= limit


@pytest.mark.parametrize("batch", [0, 5])
def test_an_empty_pool_gives_an_empty_selection(method, pool, fitted, batch):
    nothing = Pool.of(np.zeros((0, fitted.dim)), np.zeros((0, 2)))
    assert len(choose(method, nothing, fitted, batch)) == 0
    assert len(choose(method, pool.with_eligible(np.zeros(len(pool), bool)), fitted, batch)) == 0
    assert len(choose(method, pool, fitted, 0)) == 0


def test_one_pick_is_the_best_score(method, pool, fitted):
    found = choose(method, pool, fitted, 1)
    if found.score is None:
        assert found.propensity is not None  # what does not score draws, and says how likely
        return
    assert found.score[found.indices[0]] == found.score.max()
    assert not np.isfinite(found.score[~pool.eligible]).any()


@pytest.mark.parametrize(("scale", "spread"), [(0, 0), (50, 0), (50, 10), (0, 1e-12), (1e3, 1e3)])
def test_extremes_give_no_nan(method, pool, fitted, scale, spread):
    extreme = Posterior(fitted.theta * scale, np.eye(fitted.dim) * spread, 1.0, n_comparisons=100)
    found = choose(method, pool, extreme, 20)
    assert np.isfinite(found.gain).all()
    assert len(found) == 20


def test_equal_pairs_are_picked_by_the_generator_and_not_by_place(method, fitted):
    pool = Pool.of(np.zeros((2, fitted.dim)), [[0, 1]] * 50)
    firsts = {int(choose(method, pool, fitted, 1, seed=seed).indices[0]) for seed in range(20)}
    assert len(firsts) > 5


def test_it_explains_itself_and_knows_its_options(method):
    assert len(method.summary) > 100
    with pytest.raises(ConfigError, match="no option 'colour'"):
        method.parse_config({"colour": "red"})


def test_entropy_asks_about_the_coin_flip():
    posterior = Posterior(np.array([1.0]), np.array([[1e-3]]), 1.0)
    pool = Pool.of(np.array([[0.0], [0.1], [3.0]]), [[0, 2], [0, 1]])
    found = choose(acquisition.get("entropy"), pool, posterior, 2)
    assert found.indices.tolist() == [1, 0]
    assert found.gain[0] == pytest.approx(0.6918973, abs=1e-5)


def test_random_draws_every_pair_equally_often(pool, fitted):
    method, hits = acquisition.get("random"), np.zeros(len(pool))
    for seed in range(400):
        found = choose(method, pool, fitted, 20, seed=seed)
        hits[found.indices] += 1
    expected = 400 * 20 / pool.eligible.sum()
    assert found.propensity == pytest.approx(20 / pool.eligible.sum())
    assert np.abs(hits[pool.eligible] - expected).max() < 5 * np.sqrt(expected)


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="unknown acquisition 'nope'"):
        acquisition.get("nope")
