"""Rules that choose a pair within a prompt: slow second versions, and what each is for."""

from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from learning.acquisition import ae_borda, dts, pairs_sort
from learning.acquisition.per_prompt import Layout
from learning.data import Context, Pool, Posterior, Prompts
from learning.errors import ShapeError
from tests.learning.prompts import THREE, choose, known, random_world


def directed(pool, belief, number):
    """Margins and deviations of the difference, from both sides, of one prompt's pairs."""
    mean, cov = pool.features @ belief.theta, pool.features @ belief.covariance @ pool.features.T
    for p in np.flatnonzero(pool.eligible & (pool.prompt == number)):
        for i, j in (pool.pairs[p], pool.pairs[p][::-1]):
            variance = cov[i, i] + cov[j, j] - 2 * cov[i, j]
            yield p, i, j, mean[i] - mean[j], np.sqrt(variance)


def chosen(selection, pool):
    return {int(pool.prompt[i]): int(i) for i in selection.indices}


def slow_merge_sort(scores):
    """Bottom-up merge sort with a comparator that keeps a list of what it was asked."""
    asked = []

    def better(i, j):
        asked.append((i, j))
        return scores[i] > scores[j]

    runs = [[i] for i in range(len(scores))]
    while len(runs) > 1:
        merged = []
        for a, b in zip(runs[::2], [*runs[1::2], []][: len(runs[::2])], strict=True):
            out = []
            while a and b:
                out.append(a.pop(0) if better(a[0], b[0]) else b.pop(0))
            merged.append(out + a + b)
        runs = merged
    return (runs[0] if runs else []), asked


@given(
    st.lists(st.permutations(range(9)).flatmap(lambda p: st.integers(1, 9).map(lambda k: p[:k])))
)
def test_the_merge_path_is_what_merge_sort_asks(lists):
    owner = np.repeat(np.arange(len(lists)), [len(scores) for scores in lists]).astype(int)
    place = np.concatenate([np.empty(0, int), *[np.arange(len(scores)) for scores in lists]])
    standing = [np.argsort(np.argsort(-np.array(scores))) for scores in lists]
    path = pairs_sort.merge_path(owner, place, np.concatenate([np.empty(0, int), *standing]))
    expected = []
    for base, scores in zip(np.cumsum([0, *map(len, lists)]), lists, strict=False):
        expected += [(base + i, base + j) for i, j in map(sorted, slow_merge_sort(scores)[1])]
    assert sorted(map(tuple, np.sort(path, axis=1).tolist())) == sorted(expected)


def test_merge_sort_of_four_takes_five_comparisons():
    standing = np.argsort(np.argsort(-np.array([3, 1, 2, 0])))
    path = pairs_sort.merge_path(np.zeros(4, int), np.arange(4), standing)
    assert sorted(map(sorted, path.tolist())) == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]
    assert slow_merge_sort([3, 1, 2, 0])[0] == [0, 2, 1, 3]


def naive_delta_ucb(options, b):
    return max(options, key=lambda o: o[3] + b * o[4])[0]


def naive_infomax(options, b):
    return max(options, key=lambda o: expit(o[3] + b * o[4]) - expit(o[3] - b * o[4]))[0]


def naive_maxmin_lcb(options, b):
    low = {}
    for pair, i, _, mu, s in options:
        low.setdefault(i, []).append((mu - b * s, pair))
    return max((min(rivals) for rivals in low.values()), key=lambda worst: worst[0])[1]


@pytest.mark.parametrize(
    ("name", "naive"),
    [
        ("delta_ucb", naive_delta_ucb),
        ("infomax", naive_infomax),
        ("maxmin_lcb", naive_maxmin_lcb),
    ],
)
@given(seed=st.integers(0, 10_000), b=st.sampled_from([0.1, 1.0, 2.5]))
@settings(max_examples=40)
def test_bounds_rules_choose_the_pair_that_a_loop_chooses(name, naive, seed, b):
    pool, belief = random_world(seed)
    prompts = np.unique(pool.prompt[pool.candidates])
    expected = {int(n): int(naive(list(directed(pool, belief, n)), b)) for n in prompts}
    found = choose(name, pool, belief, len(prompts), deviations=b)
    assert chosen(found, pool) == expected


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.5, 1.0, 2.0]))
def test_aepo_chooses_the_pair_that_a_loop_chooses(seed, diversity):
    pool, belief = random_world(seed)
    unit = pool.features / np.linalg.norm(pool.features, axis=1, keepdims=True)
    expected = {}
    for number in np.unique(pool.prompt[pool.candidates]):
        here = np.flatnonzero(pool.eligible & (pool.prompt == number))
        rows = sorted(set(pool.pairs[here].ravel().tolist()))
        S = unit[rows] @ unit[rows].T - np.eye(len(rows))
        value = {}
        for pair in here:
            y = np.isin(rows, pool.pairs[pair]).astype(float)
            value[pair] = y @ S.sum(axis=1) / (2 * (len(rows) - 1)) - diversity * y @ S @ y / 2
        expected[int(number)] = max(value.values())
    found = choose("aepo_subset", pool, belief, len(expected), diversity=diversity)
    got = dict(zip(pool.prompt[found.indices].tolist(), found.gain, strict=True))
    assert got == pytest.approx(expected, abs=1e-9)


def slow_duel(layout, first, second, start):
    """The value of every pair, one prompt and one try after the other."""
    value, missed, tries = np.empty(len(layout.pair)), 0, first.shape[1]
    listed = {tuple(sorted(ends)) for ends in layout.ends.tolist()}
    for p, begin in enumerate(start):
        mine = np.flatnonzero(layout.owner == p)
        column = None
        for t in [(begin + k) % tries for k in range(tries)]:
            i, j = mine[first[mine, t].argmax()], mine[second[mine, t].argmax()]
            if tuple(sorted((int(i), int(j)))) in listed:
                column = t
                break
        missed += column is None
        column = begin if column is None else column
        for pair in np.flatnonzero(layout.prompt == p):
            i, j = layout.ends[pair]
            here = first[i, column] + second[j, column], first[j, column] + second[i, column]
            value[pair] = max(here)
    return value, missed


@given(st.integers(0, 10_000))
def test_a_duel_is_what_a_loop_over_prompts_and_tries_finds(seed):
    rng = np.random.default_rng(seed)
    pool, _ = random_world(seed)
    layout = Layout.of(pool, pool.candidates)
    first, second = rng.standard_normal((2, len(layout.row), 4))
    start, order = rng.integers(4, size=len(layout.first) - 1), rng.permutation(len(layout.row))
    value, missed = dts.duel(layout, first, second, start, order)
    expected, also_missed = slow_duel(layout, first, second, start)
    np.testing.assert_allclose(value, expected)
    assert missed == also_missed


@given(st.integers(0, 10_000))
def test_borda_bounds_are_those_of_a_loop(seed):
    pool, _ = random_world(seed)
    layout = Layout.of(pool, pool.candidates)
    draws = np.random.default_rng(seed).standard_normal((len(layout.row), 8))
    with mock.patch.object(ae_borda, "_CELLS", 200):  # several blocks even here
        mean, sd = ae_borda.borda_bounds(layout, draws, 64, np.random.default_rng(0))
    for c, p in enumerate(layout.owner):
        mine = draws[layout.owner == p]
        score = expit(draws[c] - mine).mean(axis=0)
        assert (mean[c], sd[c]) == pytest.approx((score.mean(), score.std(ddof=1)))


def test_borda_over_some_rivals_is_close_to_borda_over_all():
    reward = np.random.default_rng(0).standard_normal(400)
    pairs = np.stack([np.arange(399), np.arange(1, 400)], axis=1)
    layout = Layout.of(Pool.of(reward[:, None], pairs, prompt=np.zeros(399, int)), np.arange(399))
    draws = np.repeat(reward[:, None], 2, axis=1)
    some, _ = ae_borda.borda_bounds(layout, draws, 64, np.random.default_rng(1))
    every, _ = ae_borda.borda_bounds(layout, draws, 1000, np.random.default_rng(1))
    assert len(set(every - some)) > 1
    assert np.abs(some - every).max() < 0.1


def test_the_draws_of_pilaf_have_the_stated_frequencies():
    reward, k = np.array([2.0, 1, 0]), 4000
    belief, features = known(np.tile(reward, k))
    pairs = (np.arange(k)[:, None, None] * 3 + THREE).reshape(-1, 2)
    pool = Pool.of(features, pairs, prompt=np.repeat(np.arange(k), 3))
    found = choose("pilaf_pool", pool, belief, k)
    tilt = 2 * np.cosh(reward[THREE[:, 0]] - reward[THREE[:, 1]])  # either direction
    expected = k * (0.5 * tilt / tilt.sum() + 0.5 / 3)
    counts = np.bincount(found.indices % 3, minlength=3)
    assert np.abs(counts - expected).max() < 5 * np.sqrt(k / 4)
    assert abs(found.info["tilted"] - k / 2) < 5 * np.sqrt(k / 4)


def test_the_rival_of_ae_borda_is_uniform_among_the_eligible():
    k = 3000
    belief, features = known(np.tile([3.0, 1, 0, -1], k))
    three = np.array([[0, 1], [2, 0], [0, 3], [1, 2]])
    pairs = (np.arange(k)[:, None, None] * 4 + three).reshape(-1, 2)
    pool = Pool.of(features, pairs, prompt=np.repeat(np.arange(k), 4))
    counts = np.bincount(choose("ae_borda", pool, belief, k).indices % 4, minlength=4)
    assert counts[3] == 0  # the best response always takes part
    assert np.abs(counts[:3] - k / 3).max() < 5 * np.sqrt(k / 4)


def test_ae_borda_asks_where_the_best_is_unclear():
    features = np.array([[5.0, 0], [0, 0], [0, 0.1], [0, 0], [0, 3], [0, -3]])
    belief = Posterior(np.array([1.0, 0]), np.eye(2) * 0.5, 1.0, n_comparisons=100)
    pool = Pool.of(features, [[0, 1], [1, 2], [3, 4], [3, 5], [4, 5]], prompt=[0, 0, 1, 1, 1])
    found = choose("ae_borda", pool, belief, 2)
    assert pool.prompt[found.indices].tolist() == [1, 0]
    assert found.gain[0] > found.gain[1] > 0


@pytest.mark.parametrize("name", ["drts", "dts"])
def test_draws_follow_the_belief_and_not_its_mean(name):
    features = np.array([[0.0], [1], [-1]])
    belief = Posterior(np.zeros(1), np.ones((1, 1)), 1.0, n_comparisons=100)
    pool = Pool.of(features, THREE, prompt=[0, 0, 0])
    firsts = [int(choose(name, pool, belief, 1, seed=seed).indices[0]) for seed in range(20)]
    assert set(firsts) == {2}  # the middle one is never a favourite, nor a last


def test_apl_reads_the_entropy_of_the_language_model_where_it_is_known():
    belief, features = known(np.linspace(0, 1, 8))
    pool = Pool.of(features, np.arange(8).reshape(4, 2), prompt=[10, 20, 30, 40])
    ids, entropy = np.array([40, 10, 20, 99]), np.array([0.5, 2.0, np.nan, 50.0])
    context = Context(prompts=Prompts(ids, np.zeros((4, 1)), entropy))
    found = choose("apl_two_stage", pool, belief, 4, context=context)
    assert pool.prompt[found.indices[[0, 3]]].tolist() == [10, 40]
    assert found.gain == pytest.approx([2.0, 1.25, 1.25, 0.5])  # the mean where unknown
    assert found.info == {"unit": "nats", "entropy": "language model", "unknown": 2}


def test_apl_names_the_language_model():
    belief, features = known(np.arange(4))
    pool = Pool.of(features, np.arange(4).reshape(2, 2))
    told = Prompts(np.arange(2), np.empty((2, 0)), np.array([0.5, 2.0]), model="tiny:01")
    found = choose("apl_two_stage", pool, belief, 2, context=Context(prompts=told))
    assert found.info["entropy_model"] == "tiny:01"
    assert found.info["unknown"] == 0


@pytest.mark.parametrize("ids", [[0, 1, 2], [7, 8, 9]])
def test_apl_asks_the_head_where_the_language_model_says_nothing_of_any_prompt(ids):
    belief, features = known([0, 3.0, 0, 0.1, 0, 1.0])
    pool = Pool.of(features, np.arange(6).reshape(3, 2))
    entropy = np.full(3, np.nan) if ids[0] == 0 else np.ones(3)
    told = Prompts(np.array(ids), np.empty((3, 0)), entropy, model="tiny:01")
    found = choose("apl_two_stage", pool, belief, 3, context=Context(prompts=told))
    assert found.indices.tolist() == [1, 2, 0]
    assert found.info == {"unit": "nats", "entropy": "head"}


def test_apl_falls_back_to_the_entropy_of_the_head():
    belief, features = known([0, 3.0, 0, 0.1, 0, 1.0])
    pool = Pool.of(features, np.arange(6).reshape(3, 2))
    found = choose("apl_two_stage", pool, belief, 3)
    assert found.indices.tolist() == [1, 2, 0]
    assert found.gain[0] == pytest.approx(0.691898, abs=1e-5)
    assert found.info["entropy"] == "head"


@pytest.mark.parametrize(("oversample", "fewest", "most"), [(1, 30, 200), (100, 1, 1)])
def test_apl_looks_at_so_many_prompts_for_each_that_is_asked(oversample, fewest, most):
    belief, features = known(np.linspace(0, 5, 200))
    pool = Pool.of(features, [[0, i] for i in range(1, 101)])
    firsts = {
        int(choose("apl_two_stage", pool, belief, 1, seed=s, oversample=oversample).indices[0])
        for s in range(60)
    }
    assert fewest <= len(firsts) <= most


def test_aepo_draws_prompts_uniformly():
    belief, features = known(np.arange(40))
    pool = Pool.of(features, np.arange(40).reshape(20, 2))
    hits = np.zeros(20)
    for seed in range(300):
        found = choose("aepo_subset", pool, belief, 5, seed=seed)
        hits[found.indices] += 1
        assert found.propensity == pytest.approx(0.25)
    assert np.abs(hits - 75).max() < 5 * np.sqrt(75)


def test_air_asks_what_passes_first():
    belief, features = known(np.concatenate([np.zeros(20), np.arange(20.0)]))
    pool = Pool.of(features, np.arange(40).reshape(2, 20).T)  # gaps 0 to 19
    quality = np.concatenate([np.zeros(20), np.arange(20) % 2])
    context = Context(quality=quality)
    picks = [choose("air_filter", pool, belief, n, context=context) for n in (4, 14)]
    passed, once = (set(found.indices.tolist()) for found in picks)
    moderate, good = set(range(6, 14)), set(range(1, 20, 2))
    assert passed == moderate & good
    assert once == moderate | good
    assert picks[0].info["passed"] == 4
    with pytest.raises(ShapeError, match="quality must have shape"):
        choose("air_filter", pool, belief, 1, context=Context(quality=quality[1:]))


def test_air_takes_the_reward_for_quality_where_there_is_none():
    belief, features = known([0, 1.0, 5, 6, 5, 9, 0, 0])
    pool = Pool.of(features, np.arange(8).reshape(4, 2))
    found = choose("air_filter", pool, belief, 1)
    assert found.indices.tolist() == [1]  # its gap is 1 like that of pair 0, and it is better
    assert found.info["passed"] == 1


def test_pairs_sort_asks_the_uncertain_comparisons_of_the_sort_first():
    rewards = np.array([3.0, 2.9, 0, -3, -3.2])
    belief, features = known(rewards)
    pairs = np.array([(i, j) for i in range(5) for j in range(i)])
    found = choose("pairs_sort", Pool.of(features, pairs, prompt=np.zeros(10, int)), belief, 10)
    neighbours = {two[::-1] for two in pairwise(range(5))}  # listed best first
    path = {tuple(pair) for pair in pairs[found.indices[: found.info["path"]]].tolist()}
    assert neighbours <= path  # no sort can do without comparing neighbours
    assert pairs[found.indices[:2]].tolist() == [[1, 0], [4, 3]]
    assert found.info["uncertain"] == 2
