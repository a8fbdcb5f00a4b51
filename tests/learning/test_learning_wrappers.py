"""What goes around every function: screen, limit a prompt, rate, random part, prefilter."""

import numpy as np
import pytest

from learning import acquisition
from learning.acquisition import Common, Recipe
from learning.acquisition.wrappers import prefilter, prompt_limit, screen, with_pending
from learning.data import Context, Pool, Posterior
from learning.errors import ConfigError, ShapeError


def select(name, pool, belief, batch=20, *, context=None, seed=0, **given):
    recipe = Recipe.of(name, given)
    rng = np.random.default_rng(seed)
    return recipe.select(pool, belief, context or Context(), batch, rng=rng)


@pytest.fixture
def junk(planted):
    """A pool with a twentieth of junk: random directions of three times the norm."""
    rng = np.random.default_rng(2)
    pairs = np.stack([planted.left[:400], planted.right[:400]], axis=1)
    noise = rng.standard_normal((20, planted.features.shape[1]))
    typical = np.linalg.norm(planted.features[pairs[:, 0]] - planted.features[pairs[:, 1]], axis=1)
    noise *= 3 * np.median(typical) / np.linalg.norm(noise, axis=1, keepdims=True)
    m = len(planted.features)
    features = np.concatenate([planted.features, noise, np.zeros((1, noise.shape[1]))])
    bad = np.stack([np.arange(m, m + 20), np.full(20, m + 20)], axis=1)
    return Pool.of(features, np.concatenate([pairs, bad])), set(range(400, 420))


@pytest.mark.parametrize("name", ["dopt", "bald", "vopt", "balpm"])
def test_junk_attracts_a_design_and_the_screen_keeps_it_out(name, junk, fitted):
    pool, bad = junk
    open_door = select(name, pool, fitted, screen=0)
    screened = select(name, pool, fitted)
    assert len(bad & set(open_door.indices.tolist())) >= 10
    assert not bad & set(screened.indices.tolist())
    assert screened.info["screened"] >= 20


def test_the_screen_is_about_the_norm_and_nothing_else(junk):
    pool, _ = junk
    norm = np.linalg.norm(pool.features[pool.pairs[:, 0]] - pool.features[pool.pairs[:, 1]], axis=1)
    mad = np.median(np.abs(norm - np.median(norm)))
    expected = norm > np.median(norm) + 4 * 1.4826 * mad
    found, n = screen(pool, 4.0)
    np.testing.assert_array_equal(~found.eligible, expected)
    assert n == expected.sum()


def test_equal_norms_are_no_reason_to_leave_anything_out():
    features = np.concatenate([np.eye(9), 5 * np.eye(9)[:1], np.zeros((1, 9))])
    pool = Pool.of(features, [[i, 10] for i in range(10)])
    assert screen(pool, 4.0) == (pool, 0)


def test_junk_is_asked_when_nothing_else_is_left(junk, fitted):
    pool, _ = junk
    found = select("dopt", pool, fitted, 1000)
    assert sorted(found.indices.tolist()) == list(range(420))
    assert found.info["filled_at_random"] > 0
    assert len(found.propensity) == 420


def test_one_prompt_has_one_question_a_batch(pool, fitted):
    assert len(np.unique(pool.prompt)) == 50
    found = select("dopt", pool, fitted, 20)
    assert len(set(pool.prompt[found.indices])) == 20
    assert found.info["per_prompt"] == 1


def test_the_limit_leaves_a_choice(pool):
    assert prompt_limit(pool, 20, 1) == 1  # 50 prompts for 20 questions
    assert prompt_limit(pool, 40, 1) == 2  # 50 for 40: hardly a choice
    assert prompt_limit(pool, 100, 1) is None
    assert prompt_limit(pool, 20, 0) is None
    assert prompt_limit(pool, 20, 3) == 3
    lone = Pool.of(pool.features, pool.pairs, prompt=np.zeros(len(pool)))
    assert prompt_limit(lone, 20, 1) == 40


def test_one_prompt_alone_fills_the_batch(pool, fitted):
    lone = Pool.of(pool.features, pool.pairs, prompt=np.zeros(len(pool)))
    assert len(select("dopt", lone, fitted, 20)) == 20


def test_information_is_weighed_per_minute_on_demand(pool, fitted):
    rate = np.ones(len(pool))
    quick = pool.candidates[::9]
    rate[quick] = 100.0
    rated = Pool(pool.features, pool.pairs, pool.prompt, pool.eligible, rate)
    for name in sorted(acquisition.METHODS):
        ignored = select(name, rated, fitted, 5)
        assert ignored.indices.tolist() == select(name, pool, fitted, 5).indices.tolist()
    found = select("dopt", rated, fitted, 5, per_minute=True, per_prompt=0)
    assert set(found.indices) <= set(quick)


def test_part_of_the_picks_is_random_and_fades(pool, fitted):
    by_round = [
        select("dopt", pool, fitted, context=Context(round=n), random_share=0.5, anneal=0.5)
        for n in range(4)
    ]
    assert [found.info["random"] for found in by_round] == [10, 5, 2, 1]
    assert all(len(set(found.indices.tolist())) == 20 for found in by_round)
    drawn = by_round[0].propensity
    assert (drawn[:10] == 1).all()
    assert drawn[10:] == pytest.approx(10 / pool.eligible.sum())


def test_a_prefilter_keeps_the_uncertain_and_some_others(pool, fitted):
    found, left_out = prefilter(pool, fitted, 50, np.random.default_rng(0))
    assert found.eligible.sum() == 50
    assert left_out == pool.eligible.sum() - 50
    assert (pool.eligible | ~found.eligible).all()
    mu, s2 = fitted.margin(pool)
    best = pool.candidates[
        np.argsort(-(acquisition.base.kappa_weight(mu, s2) * s2)[pool.candidates])
    ]
    assert found.eligible[best[:45]].all()
    assert not found.eligible[best].all()
    assert prefilter(pool, fitted, 10_000, np.random.default_rng(0)) == (pool, 0)


def test_what_is_out_is_in_the_belief(pool, fitted):
    """A question that somebody has open is worth less in other words."""
    first = select("dopt", pool, fitted, 1, per_prompt=0)
    twin = pool.pairs[first.indices]
    context = Context(pending=twin)
    doubled = Pool.of(
        pool.features, np.concatenate([pool.pairs, twin]), prompt=np.append(pool.prompt, 99)
    )
    before = select("dopt", doubled, fitted, 1, per_prompt=0)
    assert doubled.pairs[before.indices].tolist() == twin.tolist()
    after = select("dopt", doubled, fitted, 1, per_prompt=0, context=context)
    asked = np.expm1(2 * before.score[-1])  # w q
    assert np.expm1(2 * after.score[-1]) == pytest.approx(asked / (1 + asked), rel=0.01)
    assert before.score[-1] == pytest.approx(first.gain[0])
    assert with_pending(pool, fitted, np.empty((0, 2), int)) is fitted


def test_pending_answers_change_the_variance_and_not_the_mean(pool, fitted):
    pairs = pool.pairs[:7]
    after = with_pending(pool, fitted, pairs)
    x = pool.features[pairs[:, 0]] - pool.features[pairs[:, 1]]
    mu, s2 = fitted.margin(pool.features, pairs)
    weight = acquisition.base.kappa_weight(mu, s2)
    precision = np.linalg.inv(fitted.covariance) + x.T @ (weight[:, None] * x)
    np.testing.assert_allclose(after.covariance, np.linalg.inv(precision), atol=1e-10)
    np.testing.assert_array_equal(after.theta, fitted.theta)


def test_features_of_another_model_are_refused(pool, fitted):
    narrow = Pool.of(pool.features[:, :5], pool.pairs)
    with pytest.raises(ShapeError, match="features must be"):
        select("dopt", narrow, fitted)


def test_a_recipe_knows_all_its_options():
    recipe = Recipe.of("balpm", {"beta": 0.1, "screen": 3})
    assert recipe.own.beta == 0.1
    assert recipe.common == Common(screen=3.0)
    assert recipe.to_json()["k"] == 13
    assert recipe.to_json()["screen"] == 3.0
    assert Recipe.of("random").to_json() == {}


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("dopt", {"colour": 1}, "dopt has no option 'colour'; it has: after, anneal, per_minute"),
        ("random", {"screen": 4}, "random has no option 'screen'; it has: none"),
        ("dopt", {"screen": -1}, "dopt.screen must be at least 0.0"),
        ("dopt", {"random_share": 2}, "dopt.random_share must be at most 1.0"),
        ("nope", {}, "unknown acquisition 'nope'"),
    ],
)
def test_bad_recipes_are_named(name, given, words):
    with pytest.raises(ConfigError, match=words):
        Recipe.of(name, given)


def test_no_function_hides_a_common_option():
    common = set(Common.__dataclass_fields__)
    for method in acquisition.METHODS.values():
        assert not common & set(method.config_type.__dataclass_fields__)


def test_certain_beliefs_and_flat_features_choose_something():
    flat = Pool.of(np.zeros((6, 3), np.float32), [[0, 1], [2, 3], [4, 5]])
    sure = Posterior(np.zeros(3), np.zeros((3, 1)), 1.0, n_comparisons=50)
    for name in sorted(acquisition.METHODS):
        assert len(select(name, flat, sure, 2)) == 2
