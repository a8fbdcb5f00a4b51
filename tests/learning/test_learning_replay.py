"""The replay itself: folds, what is paid for, pairing, and worlds."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.acquisition import METHODS, random
from learning.data import Selection
from learning.errors import ConfigError, LearningError, NotEnoughData
from learning.heads import LinearBT
from learning.replay.folds import draw, split
from learning.replay.loop import Arm, Plan, replay
from learning.replay.parallel import Failure, capped, processes, run_all, settle, tasks
from learning.replay.worlds import Embedded, build, planted, principal
from tests.learning.replayed import planted_corpus, planted_world

ROOT = Path(__file__).parents[2]
PLAN = Plan(labels=96, batch=32, start=32)


@pytest.fixture(scope="module")
def world():
    return planted_world()


def figures(run):
    return [(s.labels, s.accuracy, s.log_loss, s.brier, s.ece) for s in run.steps]


# --- folds --------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000), how=st.sampled_from(["group", "items"]))
@settings(max_examples=25)
def test_every_pair_is_on_one_side_and_groups_are_never_torn(seed, how):
    world = WORLD
    train, test = split(world, how, seed)
    assert sorted([*train, *test]) == list(range(len(world.pairs)))
    assert 0 < len(test) < len(train)
    if how == "group":
        assert not set(world.group[train]) & set(world.group[test])


WORLD = planted_world(prompts=12, responses=3)


def test_held_out_items_have_responses_that_training_knows(world):
    train, test = split(world, "items", 0)
    known = np.isin(world.pairs[test], world.pairs[train]).all(axis=1)
    assert known.mean() > 0.9
    assert len(test) == round(0.2 * len(world.pairs))


def test_asking_a_pair_reveals_one_of_its_answers_and_the_test_keeps_all(world):
    fold = draw(world, "group", 3, start=32)
    answers = world.answers
    for at, pair in enumerate(fold.train):
        there = answers.outcome[answers.start[pair] : answers.start[pair + 1]]
        assert fold.revealed.outcome[at] in there
        assert tuple(fold.revealed.pairs[at]) == tuple(world.pairs[pair])
    asked = {
        (tuple(pair), int(o))
        for pair, o in zip(fold.exam.pairs[fold.exam.pair], fold.exam.outcome, strict=True)
    }
    test = np.setdiff1d(np.arange(len(world.pairs)), fold.train)
    wanted = {
        (tuple(world.pairs[pair]), int(o))
        for pair in test
        for o in answers.outcome[answers.start[pair] : answers.start[pair + 1]]
    }
    assert asked == wanted
    assert len(fold.exam.outcome) == answers.count[test].sum()


def test_each_of_several_answers_is_revealed_to_some_seed(world):
    torn = np.flatnonzero(
        [len(set(world.answers.outcome[a : a + 2])) == 2 for a in world.answers.start[:-1]]
    )[0]
    seen = set()
    for seed in range(20):
        fold = draw(world, "group", seed, start=8)
        if torn in fold.train:
            seen.add(int(fold.revealed.outcome[np.searchsorted(fold.train, torn)]))
    assert seen == {1, -1}


def test_a_file_with_one_group_says_what_to_do(world):
    one = replace(world, group=np.zeros_like(world.group))
    with pytest.raises(NotEnoughData, match="use --folds items"):
        split(one, "group", 0)
    assert len(split(one, "items", 0)[1])


def test_nothing_decisive_to_test_on_is_refused(world):
    ties = replace(world.answers, outcome=np.zeros_like(world.answers.outcome))
    with pytest.raises(NotEnoughData, match="no decisive answer"):
        draw(replace(world, answers=ties), "group", 0, start=8)


# --- the loop -----------------------------------------------------------------------------


def test_every_label_is_paid_for_the_first_batch_included(world):
    run = replay(world, Arm("entropy"), replace(PLAN, labels=80), 0)
    assert [step.labels for step in run.steps] == [32, 64, 80]
    assert run.pool == len(split(world, "group", 0)[0])
    assert run.steps[0].select_seconds == 0
    assert all(step.seconds >= step.select_seconds for step in run.steps)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(world):
    first, again = (replay(world, Arm("entropy"), PLAN, 5) for _ in range(2))
    assert figures(first) == figures(again)
    assert figures(first) != figures(replay(world, Arm("entropy"), PLAN, 6))


def test_functions_are_paired_equal_at_the_first_step_and_when_all_is_asked(world):
    plan = replace(PLAN, labels=10_000, batch=64)
    one, other = (replay(world, Arm(name), plan, 2) for name in ("random", "entropy"))
    assert figures(one)[0] == figures(other)[0]
    assert figures(one)[1] != figures(other)[1]
    assert one.steps[-1].labels == other.steps[-1].labels == one.pool
    np.testing.assert_allclose(figures(one)[-1], figures(other)[-1], atol=1e-4)


def test_a_run_is_what_fitting_by_hand_on_the_same_labels_gives(world):
    """A second implementation of two rounds of random, in plain steps."""
    run = replay(world, Arm("random"), replace(PLAN, labels=64), 1)
    fold = draw(world, "group", 1, start=32)
    rest = np.setdiff1d(np.arange(len(fold.train)), fold.first)
    second = np.random.default_rng([1, 4]).choice(rest, size=32, replace=False)
    known = fold.revealed.subset(np.concatenate([fold.first, second]))
    belief = LinearBT().fit(world.features, known)
    p = belief.preference(*belief.margin(world.features, fold.exam.pairs))[fold.exam.pair]
    right = [
        ((p > 0.5) if outcome > 0 else (p < 0.5))
        for p, outcome in zip(p, fold.exam.outcome, strict=True)
        if outcome
    ]
    surprise = [
        -np.log(p if outcome > 0 else 1 - p)
        for p, outcome in zip(p, fold.exam.outcome, strict=True)
        if outcome
    ]
    assert run.steps[-1].accuracy == pytest.approx(np.mean(right))
    assert run.steps[-1].log_loss == pytest.approx(np.mean(surprise), abs=3e-3)
    assert run.tested == len(fold.exam.outcome)


def test_a_planted_reward_is_learnt():
    world = planted_world(prompts=100, dim=16, scale=4.0)
    steps = replay(world, Arm("random"), replace(PLAN, labels=400), 0).steps
    assert steps[-1].log_loss < 0.9 * steps[0].log_loss
    assert steps[-1].accuracy > 0.7


def watched(monkeypatch, select, **about):
    """A function of our own, under the name `watched`."""
    method = replace(METHODS["random"], name="watched", select=select, **about)
    monkeypatch.setitem(METHODS, "watched", method)


def test_what_a_function_leaves_open_is_drawn_so_that_all_cost_the_same(world, monkeypatch):
    def lazy(pool, belief, context, batch, *, rng, config):
        picked = pool.candidates[:3]
        return Selection(indices=picked, gain=np.zeros(len(picked)))

    watched(monkeypatch, lazy)
    run = replay(world, Arm("watched"), PLAN, 0)
    assert [step.labels for step in run.steps] == [32, 64, 96]
    assert run.filled == 2 * 29


def test_a_function_is_told_what_a_campaign_would_tell_it(world, monkeypatch):
    told = []

    def spy(pool, belief, context, batch, *, rng, config):
        told.append((pool, belief, context, batch))
        return random.select(pool, belief, context, batch, rng=rng, config=config)

    watched(monkeypatch, spy, needs_prompts=True)
    replay(world, Arm("watched"), PLAN, 0)
    (pool, belief, first, batch), (later, _, second, _) = told
    assert (first.round, second.round, batch) == (0, 1, 32)
    assert (first.budget_left, second.budget_left) == (64, 32)
    assert belief.n_comparisons == 32
    assert (~pool.eligible).sum() == len(first.labelled_prompts) == 32
    assert (~later.eligible).sum() == len(second.labelled_prompts) == 64
    assert first.memory is second.memory
    assert set(first.prompts.ids) == set(pool.prompt)
    at = np.searchsorted(first.prompts.ids, pool.prompt[0])
    np.testing.assert_array_equal(first.prompts.vectors[at], world.prompt_vectors[pool.prompt[0]])


def test_a_function_is_told_the_entropies_that_it_asks_for(world, monkeypatch):
    told = []

    def spy(pool, belief, context, batch, *, rng, config):
        told.append((pool, context.prompts))
        return random.select(pool, belief, context, batch, rng=rng, config=config)

    assert world.prompt_entropy is None
    asked = replace(world, prompt_entropy=np.linspace(0, 1, len(world.prompt_vectors)))
    watched(monkeypatch, spy, needs_entropy=True)
    replay(asked, Arm("watched"), PLAN, 0)
    pool, known = told[0]
    assert set(known.ids) == set(pool.prompt)
    np.testing.assert_array_equal(known.entropy, asked.prompt_entropy[known.ids])
    watched(monkeypatch, spy, needs_prompts=True)
    replay(asked, Arm("watched"), PLAN, 0)
    assert told[-1][1].entropy is None


def test_a_world_knows_the_entropies_of_its_file():
    corpus, phi = planted_corpus(prompts=5)
    told = replace(corpus, prompt_entropy=np.arange(5.0))
    embedded = Embedded(phi, np.zeros((len(phi), 2), np.float32), np.zeros((5, 1), np.float32))
    np.testing.assert_array_equal(build(told, embedded).prompt_entropy, np.arange(5.0))


def test_before_the_model_has_seen_enough_another_function_chooses(world, monkeypatch):
    asked = []

    def spy(pool, belief, context, batch, *, rng, config):
        asked.append(belief.n_comparisons)
        return random.select(pool, belief, context, batch, rng=rng, config=config)

    watched(monkeypatch, spy, needs_model=True)
    plan = Plan(labels=24, batch=8, start=4)
    run = replay(world, Arm("watched"), plan, 0)
    assert [s.labels for s in run.steps] == [4, 12, 20, 24]
    assert asked == [20]
    assert run.waited == 2


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": 0}, "labels"),
        ({"batch": 0}, "batch"),
        ({"start": 97}, "start"),
        ({"folds": "prompt"}, "folds"),
        ({"head": "deep"}, "unknown head"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(change, word):
    with pytest.raises(ConfigError, match=word):
        replace(PLAN, **change)


def test_options_reach_the_function_under_a_name_of_their_own():
    arm = Arm("entropy:bare", {"screen": 0.0})
    assert arm.recipe.method.name == "entropy"
    assert arm.recipe.common.screen == 0
    with pytest.raises(ConfigError, match="no option"):
        _ = Arm("entropy", {"screan": 0.0}).recipe


# --- many runs ----------------------------------------------------------------------------


def test_runs_do_not_depend_on_the_number_of_processes(world):
    todo = tasks([world], [Arm("random"), Arm("entropy")], PLAN, 2)
    here = run_all([world], todo, workers=0, progress=lambda done, last: None)
    there = run_all([world], todo, workers=2, progress=lambda done, last: None)
    assert [figures(run) for run in here] == [figures(run) for run in there]
    assert [(run.acquisition, run.seed) for run in there] == [
        ("random", 0),
        ("entropy", 0),
        ("random", 1),
        ("entropy", 1),
    ]


POOL = """
import os, time
from learning.replay.parallel import processes, settle
with processes(1, settle, 1) as pool:
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(60)
"""


def test_processes_end_with_a_command_that_was_killed():
    with subprocess.Popen([sys.executable, "-c", POOL], stdout=subprocess.PIPE, cwd=ROOT) as pool:
        worker = psutil.Process(int(pool.stdout.readline()))
        pool.kill()
        worker.wait(timeout=20)


def test_a_process_that_is_killed_is_told_of():
    with pytest.raises(LearningError, match="fewer --workers"), processes(1, settle, 1) as pool:
        pool.submit(os._exit, 9).result()


def test_a_function_that_fails_is_named_and_stops_no_other(world, monkeypatch):
    def broken(pool, belief, context, batch, *, rng, config):
        raise ZeroDivisionError("no luck")

    watched(monkeypatch, broken)
    todo = tasks([world], [Arm("watched"), Arm("random")], PLAN, 1)
    counted = []
    failed, fine = run_all(
        [world], todo, workers=0, progress=lambda done, last: counted.append(done)
    )
    assert failed == Failure("planted", "watched", 0, "ZeroDivisionError: no luck")
    assert fine.steps[-1].labels == PLAN.labels
    assert counted == [1, 2]


def test_all_seeds_of_a_file_have_the_same_steps(world):
    uneven = replace(world, group=np.where(world.group < 20, world.group, 99))
    seeds = 16
    plan = capped(uneven, Plan(labels=10_000, batch=64, start=64), seeds)
    rooms = [len(split(uneven, "group", seed)[0]) for seed in range(seeds)]
    assert len(set(rooms)) > 1
    assert plan.labels == min(rooms)
    some = [int(np.argmin(rooms)), int(np.argmax(rooms))]
    lengths = {len(replay(uneven, Arm("random"), plan, seed).steps) for seed in some}
    assert len(lengths) == 1


# --- worlds -------------------------------------------------------------------------------


def test_planted_answers_follow_the_planted_reward(world):
    bare = replace(world, answers=replace(world.answers, outcome=-world.answers.outcome))
    sure = planted(bare, 1000.0, np.random.default_rng(0))
    theta = LinearBT().fit(bare.features, bare.comparisons).theta
    x = world.features[world.pairs[:, 0]] - world.features[world.pairs[:, 1]]
    margin = (x @ theta)[sure.answers.pair]
    clear = np.abs(margin) > 0.05 * np.abs(margin).max()
    np.testing.assert_array_equal(np.sign(margin)[clear], sure.answers.outcome[clear])


def test_planted_margins_have_the_spread_that_was_asked_for(world):
    """With a spread of s, the better side wins with the mean of sigmoid(|m|), m ~ the margins."""
    theta = LinearBT().fit(world.features, world.comparisons).theta
    x = world.features[world.pairs[:, 0]] - world.features[world.pairs[:, 1]]
    m = x @ theta
    m *= 2.0 / np.sqrt(np.mean(m**2))
    wanted = float(np.mean(1 / (1 + np.exp(-np.abs(m)))))
    hits = []
    for seed in range(40):
        drawn = planted(world, 2.0, np.random.default_rng(seed))
        hits.append(np.mean(drawn.answers.outcome == np.sign(m)[drawn.answers.pair]))
    assert np.mean(hits) == pytest.approx(wanted, abs=0.01)


def test_a_reward_that_is_the_same_everywhere_cannot_be_planted(world):
    flat = replace(world, features=np.zeros_like(world.features))
    with pytest.raises(NotEnoughData, match="all margins are 0"):
        planted(flat, 2.0, np.random.default_rng(0))


def test_principal_directions_are_those_of_differences(rng):
    """Prompts differ hugely along the first axis, responses to one prompt along the second."""
    vectors = np.zeros((40, 3), dtype=np.float32)
    vectors[:, 0] = np.repeat(np.arange(20) * 100.0, 2)
    vectors[:, 1] = rng.standard_normal(40)
    pairs = np.arange(40).reshape(20, 2)
    kept = principal(vectors, pairs, 1)
    np.testing.assert_allclose(np.abs(kept[:, 0]), np.abs(vectors[:, 1]), atol=1e-4)


def test_keeping_every_direction_keeps_every_distance(rng):
    vectors = rng.standard_normal((30, 5)).astype(np.float32)
    pairs = np.arange(30).reshape(15, 2)
    kept = principal(vectors, pairs, 5)
    np.testing.assert_allclose(kept @ kept.T, vectors @ vectors.T, atol=1e-4)
