"""BAL-PM against measuring distances anew at every pick, and the author's sums by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning import acquisition
from learning.acquisition import balpm
from learning.data import Context, Pool, Posterior, Prompts
from learning.information import bald
from tests.learning import references

METHOD = acquisition.get("balpm")
IGNORANT = Posterior(np.zeros(1), np.zeros((1, 1)), 1.0, n_comparisons=99)  # BALD is 0
LINE = np.array([[0.0], [1.0], [3.0], [10.0], [10.5]])


def choose(pool, belief, batch, context, *, seed=0, **config):
    rng, options = np.random.default_rng(seed), METHOD.parse_config(config)
    return METHOD.select(pool, belief, context, batch, rng=rng, config=options)


def on_a_line(**context):
    """Two pairs for each of five prompts on a line, all without information."""
    prompt = np.repeat(np.arange(5), 2)
    pool = Pool.of(np.zeros((2, 1)), [[0, 1]] * 10, prompt=prompt)
    return pool, Context(prompts=Prompts(np.arange(5), LINE), **context)


class Town:
    """Random pairs of prompts in clumps, some prompts alike, some answered before."""

    def __init__(self, seed, *, pairs=300, prompts=60, answered=25):
        rng = np.random.default_rng(seed)
        self.features = rng.standard_normal((200, 6))
        left = rng.integers(0, 200, pairs)
        both = np.stack([left, (left + rng.integers(1, 200, pairs)) % 200], axis=1)
        self.vectors = 3 * rng.standard_normal((8, 5))[rng.integers(0, 8, prompts)]
        self.vectors += rng.standard_normal(self.vectors.shape)
        self.vectors[5:9] = self.vectors[4]  # the same prompt five times
        self.ids = rng.permutation(1000)[:prompts]
        self.row = rng.integers(0, prompts, pairs)
        self.answered = rng.integers(0, prompts, answered)
        self.pool = Pool(
            self.features,
            both,
            self.ids[self.row],
            rng.random(pairs) > 0.1,
            rng.uniform(0.5, 2.0, pairs),
        )
        self.belief = Posterior(
            rng.standard_normal(6), rng.standard_normal((6, 6)) / 3, 1.0, n_comparisons=99
        )

    def context(self, **more):
        known = Prompts(self.ids, self.vectors)
        return Context(prompts=known, labelled_prompts=self.ids[self.answered], **more)

    def slowly(self, batch, **options):
        allowed = self.pool.candidates
        worth = bald(*self.belief.margin(self.pool)) * self.pool.rates
        picked, gain = references.balpm_by_rescanning(
            worth[allowed], self.row[allowed], self.vectors, self.answered, batch, **options
        )
        return allowed[picked], gain


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    k=st.sampled_from([1, 2, 13, 59]),
    beta=st.sampled_from([0.0, 1e-2, 0.3, 10.0]),
    d_x=st.sampled_from([0.5, 1.0, 8.0]),
    limit=st.sampled_from([None, 1, 3]),
)
def test_picks_are_those_of_measuring_every_distance_at_every_pick(seed, k, beta, d_x, limit):
    town = Town(seed)
    found = choose(
        town.pool, town.belief, 80, town.context(per_prompt=limit), k=k, beta=beta, d_x=d_x
    )
    picked, gain = town.slowly(80, k=k, beta=beta, d_x=d_x, limit=limit)
    assert found.indices.tolist() == picked.tolist()
    np.testing.assert_allclose(found.gain, gain, atol=1e-12)


@pytest.mark.parametrize(
    ("k", "known", "first"),
    [
        (1, [1.2703629, 0.2703629, 1.9635100, 0.5772157, 0.5772157], 2),
        (2, [2.3689751, 0.9635100, 1.3689751, 3.2162730, 3.2852659], 4),
    ],
)
def test_novelty_has_the_known_values(k, known, first):
    pool, context = on_a_line(labelled_prompts=np.array([0]))
    found = choose(pool, IGNORANT, 1, context, k=k, beta=1.0)
    radius = references.nearest(LINE, k)[1]
    without_floor = found.score[::2] - np.log((2 * radius + 1e-4) / (2 * radius))
    # The known values do not count the answered prompt 0 for itself, as we do: psi(2) - psi(1).
    np.testing.assert_allclose(without_floor, np.array(known) - [1, 0, 0, 0, 0], atol=1e-6)
    assert pool.prompt[found.indices].tolist() == [first]


def test_a_pick_crowds_its_neighbours_and_itself():
    pool, context = on_a_line(labelled_prompts=np.array([0]), per_prompt=1)
    found = choose(pool, IGNORANT, 2, context, k=2, beta=1.0)
    assert pool.prompt[found.indices].tolist() == [4, 3]  # 10.5, then 10
    np.testing.assert_allclose(found.gain, [3.2852659, 2.2162730], atol=1e-4)


def test_answers_to_a_prompt_count_each():
    once = choose(*_asked(1), k=2, beta=1.0).score
    thrice = choose(*_asked(3), k=2, beta=1.0).score
    np.testing.assert_allclose((once - thrice)[::2], [0.5 + 1 / 3] * 3 + [0, 0], atol=1e-9)


def _asked(times):
    pool, context = on_a_line(labelled_prompts=np.repeat(0, times))
    return pool, IGNORANT, 1, context


def test_novelty_spreads_a_batch_over_clumps():
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    towns = np.concatenate([circle + np.array([100 * town, 0]) for town in range(5)])
    pool = Pool.of(np.zeros((2, 1)), [[0, 1]] * 100, prompt=np.arange(100))
    context = Context(prompts=Prompts(np.arange(100), towns))
    found = choose(pool, IGNORANT, 15, context, k=19)
    assert np.bincount(found.indices // 20).tolist() == [3] * 5


def test_equal_values_are_settled_by_the_generator():
    pool, context = on_a_line()
    sides = {choose(pool, IGNORANT, 1, context, k=2, seed=seed).indices[0] for seed in range(20)}
    assert sides == {8, 9}  # both pairs of the loneliest prompt


def test_the_graph_is_remembered_and_changes_nothing(monkeypatch):
    town, made = Town(2), []
    build = balpm.neighbours
    monkeypatch.setattr(balpm, "neighbours", lambda *args: made.append(1) or build(*args))
    memory = {}
    first = choose(town.pool, town.belief, 20, town.context(memory=memory))
    again = choose(town.pool, town.belief, 20, town.context(memory=memory))
    fresh = choose(town.pool, town.belief, 20, town.context())
    assert first.indices.tolist() == again.indices.tolist() == fresh.indices.tolist()
    assert len(made) == 2
    choose(town.pool, town.belief, 20, town.context(memory=memory), k=5)
    town.vectors[0] += 1.0
    choose(town.pool, town.belief, 20, town.context(memory=memory), k=5)
    assert len(made) == 4
    assert len(memory) == 1  # one graph, not one a change


def test_the_order_in_which_prompts_are_listed_is_of_no_consequence():
    town = Town(3)
    order = np.random.default_rng(0).permutation(60)
    listed = Prompts(town.ids[order], town.vectors[order])
    there = dataclasses.replace(town.context(), prompts=listed)
    here = choose(town.pool, town.belief, 40, town.context(), beta=0.3)
    assert (
        here.indices.tolist()
        == choose(town.pool, town.belief, 40, there, beta=0.3).indices.tolist()
    )


@pytest.mark.parametrize("given", ["nothing", "too few"])
def test_without_prompt_vectors_the_mean_of_responses_stands_in(given):
    town = Town(4)
    few = Prompts(town.ids[:10], town.vectors[:10])
    context = dataclasses.replace(town.context(), prompts=few if given == "too few" else None)
    ids = np.unique(town.pool.prompt)
    means = []
    for prompt in ids:
        rows = np.unique(town.pool.pairs[town.pool.prompt == prompt])
        means.append(town.features[rows].mean(axis=0))
    stand_in = Prompts(ids, np.array(means, dtype=np.float32))
    same = dataclasses.replace(context, prompts=stand_in)
    found = choose(town.pool, town.belief, 40, context, beta=0.3)
    assert found.info["prompts"] == "means of responses"
    wanted = choose(town.pool, town.belief, 40, same, beta=0.3)
    assert wanted.info["prompts"] == "prompt vectors"
    assert found.indices.tolist() == wanted.indices.tolist()


def test_answered_prompts_that_nobody_knows_are_left_out():
    pool, context = on_a_line(labelled_prompts=np.array([0, 77]))
    found = choose(pool, IGNORANT, 3, context, k=2)
    known = choose(pool, IGNORANT, 3, on_a_line(labelled_prompts=np.array([0]))[1], k=2)
    assert found.indices.tolist() == known.indices.tolist()


@pytest.mark.parametrize("prompts", [1, 4])
def test_one_prompt_or_equal_prompts_leave_the_choice_to_information(prompts):
    town = Town(5)
    vectors = np.ones((prompts, 3))
    pool = dataclasses.replace(town.pool, prompt=np.arange(300) % prompts)
    context = Context(prompts=Prompts(np.arange(prompts), vectors))
    found = choose(pool, town.belief, 200, context)
    plain = acquisition.get("bald")
    rng = np.random.default_rng(0)
    same = plain.select(pool, town.belief, context, 200, rng=rng, config=plain.parse_config())
    assert found.indices.tolist() == same.indices.tolist()


def test_a_rate_weighs_information_and_not_novelty():
    pool, context = on_a_line()
    slow = dataclasses.replace(pool, rate=np.full(10, 0.1))
    here, there = (choose(p, IGNORANT, 10, context, k=2) for p in (pool, slow))
    np.testing.assert_array_equal(here.gain, there.gain)
