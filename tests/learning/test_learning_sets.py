"""Sets that chosen pairs grow into, and the line of good enough."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from learning.acquisition.base import kappa_weight
from learning.data import Comparisons, Context, Pool, Posterior
from learning.heads import HEADS, get
from learning.line import MARK, with_line
from learning.sets import Groups, Side, compose_sets, grow, inside_pairs


def belief_of(d: int, rng: np.random.Generator) -> Posterior:
    factor = np.linalg.qr(rng.normal(size=(d, d)))[0] * rng.uniform(0.3, 2.0, d)
    return Posterior(rng.normal(size=d), factor, 1.0)


def told(features: np.ndarray, belief: Posterior, rows: tuple[int, ...], size: int) -> float:
    """Information in all comparisons of a set, from the weights' covariance. Slow and obvious."""
    precision = np.linalg.inv(belief.factor @ belief.factor.T)
    more = precision.copy()
    for a, b in combinations(rows, 2):
        x = features[a] - features[b]
        weight = kappa_weight(x @ belief.theta, x @ np.linalg.inv(precision) @ x) / (size - 1)
        more += weight * np.outer(x, x)
    return 0.5 * (np.linalg.slogdet(more)[1] - np.linalg.slogdet(precision)[1])


@pytest.mark.parametrize("seed", range(5))
def test_each_newcomer_tells_most_beside_those_that_are_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, belief = rng.normal(size=(12, 5)), belief_of(5, rng)
    members, pair = np.arange(2, 11), np.array([4, 9])
    size, chosen = 5, [4, 9]
    while len(chosen) < size:
        rest = [row for row in members.tolist() if row not in chosen]
        chosen.append(max(rest, key=lambda row: told(features, belief, (*chosen, row), size)))
    assert grow(features, members, pair, size, belief=belief, rng=rng) == tuple(sorted(chosen))


def test_a_set_holds_its_seed_and_only_members() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(30, 4))
    for belief in (None, belief_of(4, rng)):
        rows = grow(features, np.arange(5, 25), np.array([7, 20]), 6, belief=belief, rng=rng)
        assert len(set(rows)) == 6
        assert {7, 20} < set(rows) <= set(range(5, 25))
        assert rows == tuple(sorted(rows))
        short = grow(features, np.arange(5, 8), np.array([5, 6]), 6, belief=belief, rng=rng)
        assert short == (5, 6, 7)


def test_a_copy_of_what_is_there_is_the_last_to_join() -> None:
    rng = np.random.default_rng(0)
    features = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    belief = Posterior(np.zeros(2), np.eye(2), 1.0)
    assert grow(features, np.arange(4), np.array([0, 1]), 3, belief=belief, rng=rng) == (0, 1, 3)


def world(prompts: int, each: int, size: int) -> tuple[Side, Groups, Posterior]:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(prompts * each, 4))
    pairs = np.concatenate(
        [inside_pairs(tuple(range(p * each, (p + 1) * each))) for p in range(prompts)]
    )
    group = pairs[:, 0] // each
    pool = Pool.of(features, pairs, prompt=group + 100)
    groups = Groups(
        np.arange(prompts * each),
        np.arange(prompts + 1) * each,
        np.full(prompts, size),
    )
    belief = belief_of(4, rng)
    seen = Posterior(belief.theta, belief.factor, 1.0, n_comparisons=999)
    return Side(pool, group), groups, seen


def batch(side: Side, groups: Groups, belief: Posterior, n: int, held: Side | None = None):
    return compose_sets(
        side,
        held,
        groups,
        belief,
        Context(),
        batch=n,
        random_share=0.25,
        holdout_share=0.25,
        method="dopt",
        rng=np.random.default_rng(3),
    )[0]


def test_prompts_get_one_set_each_while_there_are_prompts() -> None:
    side, groups, belief = world(prompts=12, each=5, size=4)
    made = batch(side, groups, belief, 10)
    assert len({one.rows[0] // 5 for one in made}) == len(made) == 10
    assert all(len(one.rows) == 4 for one in made)


def test_with_few_prompts_a_pair_is_still_in_one_set_only() -> None:
    side, groups, belief = world(prompts=2, each=8, size=3)
    made = batch(side, groups, belief, 6)
    seeds = [tuple(side.pool.pairs[one.seed.pair].tolist()) for one in made]
    assert len(made) == 6
    for n, one in enumerate(made):
        earlier = [set(rows.rows) for rows in made[:n]]
        assert not any(set(seeds[n]) <= rows for rows in earlier), one


def test_whole_groups_are_asked_once_and_then_there_is_nothing() -> None:
    side, groups, belief = world(prompts=4, each=3, size=3)
    made = batch(side, groups, belief, 10)
    assert sorted(one.rows for one in made) == [(0, 1, 2), (3, 4, 5), (6, 7, 8), (9, 10, 11)]


def test_the_control_arms_draw_prompts_then_pairs() -> None:
    """Propensity of a seed: the share of the prompts that are drawn, times that of its pairs."""
    side, groups, belief = world(prompts=20, each=4, size=4)
    made = batch(side, groups, belief, 8)
    control = [one.seed for one in made if one.seed.arm == "random"]
    assert {round(seed.propensity, 9) for seed in control} == {round(len(control) / 20 / 6, 9)}


@pytest.mark.parametrize("head", [name for name in HEADS if name != "ensemble"])
def test_a_planted_line_is_found(head: str) -> None:
    """Rewards and a threshold are planted; yes and no alone find the threshold again."""
    rng = np.random.default_rng(5)
    features, theta, line = rng.normal(size=(3000, 4)), np.array([1.5, -1.0, 0.5, 0.0]), 0.8
    good = rng.random(3000) < 1 / (1 + np.exp(line - features @ theta))
    data = Comparisons.of(np.arange(3000), np.full(3000, 3000), np.where(good, 1, -1))
    belief = get(head).fit(with_line(features), data)
    assert belief.theta[4] * MARK == pytest.approx(line, abs=0.15)
    np.testing.assert_allclose(belief.theta[:4], theta, atol=0.2)


def test_where_nobody_spoke_of_the_line_rewards_are_what_they_were() -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(60, 3))
    pairs = rng.permutation(60).reshape(-1, 2)
    won = np.where(features[pairs[:, 0], 0] > features[pairs[:, 1], 0], 1, -1)
    data = Comparisons.of(pairs[:, 0], pairs[:, 1], won)
    for name in ("linear_bt", "item_bt"):
        plain, lined = get(name).fit(features, data), get(name).fit(with_line(features), data)
        mu, s2 = plain.margin(features, pairs)
        also_mu, also_s2 = lined.margin(with_line(features), pairs)
        np.testing.assert_allclose(also_mu, mu, rtol=1e-6)
        np.testing.assert_allclose(also_s2, s2, rtol=1e-6)


def test_one_prompt_fills_a_batch_when_there_is_no_other() -> None:
    side, groups, belief = world(prompts=1, each=12, size=3)
    made = batch(side, groups, belief, 15)
    assert len(made) == len({one.rows for one in made}) == 15
