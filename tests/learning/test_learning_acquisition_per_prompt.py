"""What all functions keep that choose a pair within each prompt, and then prompts."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.acquisition import Recipe, air_filter, apl_two_stage
from learning.acquisition.per_prompt import Layout
from learning.data import Context, Pool, Posterior
from tests.learning.prompts import THREE, choose, random_world

BY_DESIGN = ["delta_ucb", "drts", "dts", "infomax", "maxmin_lcb", "pilaf_pool"]
IN_TURN = [*BY_DESIGN, "apl_two_stage", "ae_borda", "aepo_subset"]  # each prompt once, then again
ALL = [*IN_TURN, "air_filter", "pairs_sort"]
EMPTY = Pool.of(np.zeros((0, 2)), np.zeros((0, 2)))


@given(st.integers(0, 10_000))
def test_a_layout_lists_every_prompt_with_its_responses(seed):
    pool, _ = random_world(seed)
    layout = Layout.of(pool, pool.candidates)
    for p, number in enumerate(np.unique(pool.prompt[pool.candidates])):
        mine = layout.pair[layout.start[p] : layout.start[p + 1]]
        here = np.flatnonzero(pool.eligible & (pool.prompt == number))
        assert sorted(mine) == here.tolist()
        rows = layout.row[layout.first[p] : layout.first[p + 1]]
        assert rows.tolist() == sorted(set(pool.pairs[here].ravel().tolist()))
    assert layout.row[layout.ends].tolist() == np.sort(pool.pairs[layout.pair], axis=1).tolist()
    assert (np.diff(layout.key) > 0).all()


@given(st.integers(0, 10_000), st.integers(1, 12))
def test_tiles_are_layouts_of_their_prompts(seed, size):
    pool, _ = random_world(seed)
    layout, seen = Layout.of(pool, pool.candidates), 0
    for place, part in layout.tiles(size):
        alone = Layout.of(pool, layout.pair[place])
        for field in dataclasses.fields(Layout):
            assert (getattr(part, field.name) == getattr(alone, field.name)).all()
        seen += len(part.pair)
    assert seen == len(layout.pair)


@pytest.mark.parametrize("name", ALL)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_order_of_the_pool_and_the_sides_change_nothing(name, seed):
    pool, belief = random_world(seed)
    rng = np.random.default_rng(seed + 1)
    order, flip = rng.permutation(len(pool)), rng.random((len(pool), 1)) < 0.5
    other = Pool.of(
        pool.features,
        np.where(flip, pool.pairs[:, ::-1], pool.pairs)[order],
        prompt=pool.prompt[order],
        eligible=pool.eligible[order],
    )
    batch = len(np.unique(pool.prompt[pool.candidates]))
    here, there = choose(name, pool, belief, batch), choose(name, other, belief, batch)
    if here.propensity is None:  # a draw may depend on the order in which prompts are listed
        assert order[there.indices].tolist() == here.indices.tolist()
    np.testing.assert_allclose(np.sort(there.gain), np.sort(here.gain), atol=1e-9)


@pytest.mark.parametrize("name", IN_TURN)
@given(seed=st.integers(0, 10_000), batch=st.integers(1, 40))
@settings(max_examples=15)
def test_no_prompt_is_asked_again_while_another_waits(name, seed, batch):
    pool, belief = random_world(seed)
    found = choose(name, pool, belief, batch)
    assert len(found) == min(batch, pool.eligible.sum())
    numbers, size = np.unique(pool.prompt[pool.candidates], return_counts=True)
    asked = np.array([(pool.prompt[found.indices] == number).sum() for number in numbers])
    assert (asked >= np.minimum(size, asked.max() - 1)).all()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("limit", [1, 2])
@given(seed=st.integers(0, 10_000))
@settings(max_examples=10)
def test_no_prompt_is_asked_more_often_than_allowed(name, limit, seed):
    pool, belief = random_world(seed)
    found = choose(name, pool, belief, 1000, context=Context(per_prompt=limit))
    _, size = np.unique(pool.prompt[pool.candidates], return_counts=True)
    assert len(found) == np.minimum(size, limit).sum()
    assert np.unique(pool.prompt[found.indices], return_counts=True)[1].max() <= limit
    assert pool.eligible[found.indices].all()


@pytest.mark.parametrize("name", ALL)
def test_one_big_prompt_and_a_thousand_small_ones(name):
    rng = np.random.default_rng(2)
    features = rng.standard_normal((2100, 5))
    big = np.array([(i, j) for i in range(40) for j in range(i)])
    small = np.arange(100, 2100).reshape(-1, 2)
    prompt = np.concatenate([np.zeros(len(big), int), np.arange(1, 1001)])
    pool = Pool.of(features, np.concatenate([big, small]), prompt=prompt)
    belief = Posterior(rng.standard_normal(5), np.eye(5), 1.0, n_comparisons=100)
    found = choose(name, pool, belief, 300, context=Context(per_prompt=1))
    assert len(set(pool.prompt[found.indices].tolist())) == 300


@pytest.mark.parametrize("name", [*BY_DESIGN, "apl_two_stage", "ae_borda", "air_filter"])
def test_a_prompt_that_is_answered_faster_comes_first(name):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((60, 5))
    pairs = (np.arange(20)[:, None, None] * 3 + THREE).reshape(-1, 2)
    prompt = np.repeat(np.arange(20), 3)
    rate = np.where(prompt == 7, 1e4, 1.0)
    pool = dataclasses.replace(Pool.of(features, pairs, prompt=prompt), rate=rate)
    belief = Posterior(rng.standard_normal(5), np.eye(5), 1.0, n_comparisons=100)
    lenient = {"narrowest": 0.0, "widest": 1.0, "quality": 0.0}
    config = {"apl_two_stage": {"oversample": 20}, "air_filter": lenient}.get(name, {})
    found = choose(name, pool, belief, 3, **config)
    assert pool.prompt[found.indices[0]] == 7
    assert found.gain[0] > 100 * found.gain[1]


def test_a_later_stage_knows_what_the_earlier_one_asked():
    belief = Posterior(np.zeros(2), np.eye(2), 1.0, n_comparisons=100)
    x, almost, other = [3.0, 0], [2.9, 0], [0, 2.0]
    features = np.array([[0, 0], x, almost, [0, 0], x, other])
    pool = Pool.of(features, [[0, 1], [0, 2], [3, 4], [3, 5]], prompt=[0, 0, 1, 1])
    found = choose("delta_ucb", pool, belief, 3)
    assert sorted(found.indices[:2].tolist()) == [0, 2]
    assert found.indices[2] == 3  # alone, pair 1 would tell more; after two like it, less
    w = 0.25 / np.sqrt(1 + np.pi * np.array([9.0, 9.0, 4.0]) / 8)
    gains = 0.5 * np.log1p(w * [9, 9 / (1 + 9 * w[0]), 4])
    assert found.gain == pytest.approx(gains)
    assert found.score.tolist() == pytest.approx([gains[0], -np.inf, gains[0], -np.inf])


def test_prompts_are_compared_by_information_and_not_by_gap():
    features = np.array([[0, 0], [9, 0.01], [0, 0], [0, 2.0]])
    belief = Posterior(np.array([1.0, 0]), np.diag([0.0, 1]), 1.0, n_comparisons=100)
    pool = Pool.of(features, [[0, 1], [2, 3]])
    assert choose("delta_ucb", pool, belief, 1).indices.tolist() == [1]


def test_the_usual_options_go_around_them():
    pool, belief = random_world(5, prompts=30)
    for name in ALL:
        recipe = Recipe.of(name, {"per_prompt": 1, "random_share": 0.2})
        found = recipe.select(pool, belief, Context(), 10, rng=np.random.default_rng(0))
        assert len(found) == 10
        assert found.info["random"] == 2


def test_a_pool_of_single_pairs_is_left_to_the_design():
    pool, belief = random_world(1, prompts=40, most=2)
    found = {tuple(choose(name, pool, belief, 8).indices) for name in BY_DESIGN}
    assert len(found) == 1  # nothing to choose within prompts
    assert not len(Layout.contested(pool).pair)


def test_failures_of_an_empty_pool():
    assert len(air_filter.failures(np.empty(0), np.empty(0), air_filter.Config())) == 0
    assert (
        len(apl_two_stage.predictive_entropy(Layout.of(EMPTY, np.empty(0, int)), np.empty(0))) == 0
    )
