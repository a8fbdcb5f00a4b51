from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Context, Pool, Posterior
from learning.errors import ConfigError
from learning.selection import allot, compose_batch, round_shares


@pytest.fixture
def holdout(pool):
    return Pool.of(pool.features, pool.pairs[:30])


@pytest.fixture
def compose(pool, holdout, fitted):
    def call(*, seed=0, **changes):
        options = {
            "pool": pool,
            "holdout_pool": holdout,
            "posterior": fitted,
            "batch": 20,
            "random_share": 0.2,
            "holdout_share": 0.1,
            "method": "entropy",
            **changes,
        }
        arguments = [options.pop(name) for name in ("pool", "holdout_pool", "posterior")]
        return compose_batch(*arguments, Context(), rng=np.random.default_rng(seed), **options)

    return call


def arms(batch):
    return Counter(choice.arm for choice in batch)


def test_shares_are_kept_exactly(compose):
    assert arms(compose()) == {"policy": 14, "random": 4, "holdout": 2}


def test_no_pair_is_asked_twice_and_all_may_be_asked(compose, pool):
    batch = compose(batch=100)
    training = [choice.pair for choice in batch if choice.arm != "holdout"]
    assert len(training) == len(set(training))
    assert pool.eligible[training].all()


def test_propensities_say_how_likely_each_arm_chose_it(compose, pool):
    chance = {choice.arm: choice.propensity for choice in compose()}
    assert chance["policy"] == 1.0
    assert chance["random"] == pytest.approx(4 / pool.eligible.sum())
    assert chance["holdout"] == pytest.approx(2 / 30)


def test_a_policy_that_draws_reports_its_own_propensity(compose, pool):
    batch = compose(method="random")
    drawn = [choice.propensity for choice in batch if choice.arm == "policy"]
    assert drawn == pytest.approx([14 / (pool.eligible.sum() - 4)] * 14)


def test_the_random_arm_does_not_depend_on_the_policy(compose):
    chosen = [
        {c.pair for c in compose(method=m) if c.arm == "random"} for m in ("entropy", "random")
    ]
    assert chosen[0] == chosen[1]


def test_arms_cannot_be_told_by_their_place(compose):
    places = {arm: [] for arm in ("policy", "random", "holdout")}
    for seed in range(60):
        for place, choice in enumerate(compose(seed=seed)):
            places[choice.arm].append(place)
    for where in places.values():
        assert np.mean(where) == pytest.approx(9.5, abs=2)


def test_the_same_generator_gives_the_same_batch(compose):
    assert compose(seed=4).choices == compose(seed=4).choices
    assert compose(seed=4).choices != compose(seed=5).choices


@pytest.mark.parametrize(
    ("posterior", "reason"),
    [
        (Posterior(np.zeros(32), np.eye(32), 1.0), "waits for 16 comparisons, the head has seen 0"),
        (Posterior(np.zeros(32), np.eye(32), 1.0, n_comparisons=15), "the head has seen 15"),
    ],
)
def test_without_a_usable_head_the_policy_draws_at_random_and_says_so(
    compose, posterior, reason, pool
):
    batch = compose(posterior=posterior)
    assert arms(batch) == arms(compose())
    assert reason in batch.info["fallback"]
    assert batch.info["method"] == "random_unique"
    drawn = [choice for choice in batch if choice.arm == "policy"]
    assert {choice.method for choice in drawn} == {"random_unique"}
    assert len({int(pool.prompt[choice.pair]) for choice in drawn}) == len(drawn)


def test_dopt_waits_until_there_are_as_many_comparisons_as_features(compose):
    def method(seen, **config):
        belief = Posterior(np.zeros(32), np.eye(32), 1.0, n_comparisons=seen)
        return compose(posterior=belief, method="dopt", config=config).info["method"]

    assert [method(31), method(32)] == ["random_unique", "dopt"]
    assert [method(19, after=20), method(20, after=20)] == ["random_unique", "dopt"]


def test_an_exhausted_holdout_leaves_its_share_to_the_others(compose, holdout):
    empty = holdout.with_eligible(np.zeros(len(holdout), bool))
    for other in (empty, None):
        found = arms(compose(holdout_pool=other))
        assert found["holdout"] == 0
        assert found["policy"] + found["random"] == 20


def test_an_exhausted_pool_leaves_its_share_to_the_holdout(compose, pool):
    few = pool.with_eligible(np.arange(len(pool)) < 3)
    found = arms(compose(pool=few))
    assert found["policy"] + found["random"] == 3
    assert found["holdout"] == 17


def test_a_holdout_without_share_is_never_touched(compose, pool):
    few = pool.with_eligible(np.arange(len(pool)) < 3)
    assert arms(compose(pool=few, holdout_share=0.0))["holdout"] == 0


def test_nothing_left_is_an_empty_batch(compose, pool):
    nothing = pool.with_eligible(np.zeros(len(pool), bool))
    assert len(compose(pool=nothing, holdout_pool=None)) == 0
    assert len(compose(batch=0)) == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"random_share": 1.5}, "random_share must lie between 0 and 1"),
        ({"holdout_share": -0.1}, "holdout_share must lie"),
        ({"random_share": 0.7, "holdout_share": 0.7}, "more than 1"),
        ({"batch": -1}, "batch must be at least 0"),
        ({"method": "nope"}, "unknown acquisition"),
        ({"config": {"x": 1}}, "no option 'x'"),
    ],
)
def test_bad_options_are_named(compose, change, words):
    with pytest.raises(ConfigError, match=words):
        compose(**change)


shares = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda s: sum(s) <= 1)


@given(shares, st.integers(0, 200), st.integers(0, 60), st.integers(0, 60))
def test_the_arms_always_fill_what_can_be_filled(shares, batch, train, holdout):
    at_random, held = shares
    counts = allot(batch, {"random": at_random, "holdout": held}, train=train, holdout=holdout)
    assert min(counts.values()) >= 0
    assert counts["random"] + counts["policy"] <= train
    assert counts["holdout"] <= holdout
    assert sum(counts.values()) == min(batch, train + (holdout if held else 0))


@given(shares, st.integers(0, 1000))
def test_rounding_keeps_the_sum_and_is_never_off_by_one_or_more(shares, total):
    shares = [*shares, max(0.0, 1 - sum(shares))]
    counts = round_shares(total, shares)
    assert sum(counts) == total
    assert all(abs(n - total * share) < 1 + 1e-6 for n, share in zip(counts, shares, strict=True))


def test_exact_shares_are_not_disturbed_by_floating_point():
    assert round_shares(10, [0.1, 0.2, 1 - 0.1 - 0.2]) == [1, 2, 7]
