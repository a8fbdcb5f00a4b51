"""Whether choosing pays: tried where there is enough to choose from, and said in words."""

from dataclasses import replace

import numpy as np
import pytest

from learning.data import Comparisons
from learning.errors import ConfigError, NotEnoughData
from learning.replay.loop import Arm, Plan, replay
from learning.replay.payoff import payoff
from learning.replay.statistics import area
from learning.replay.worlds import answered
from learning.selection import FALLBACK
from tests.learning.replayed import planted_world

PLAN = Plan(head="linear_bt")
EARLY = {"after": 16}


def dull_world(*, prompts=300, dim=8, scale=8.0):
    """Most prompts have responses that hardly differ: drawn at random, they teach nothing."""
    rng = np.random.default_rng(0)
    responses = rng.standard_normal((prompts, 2, dim)).astype(np.float32)
    responses[rng.random(prompts) > 0.15] *= 0.1
    features = responses.reshape(-1, dim)
    left = np.arange(0, 2 * prompts, 2)
    theta = rng.standard_normal(dim) * scale / np.sqrt(2 * dim)
    margin = (features[left] - features[left + 1]) @ theta
    outcome = np.where(rng.random(prompts) < 1 / (1 + np.exp(-margin)), 1, -1)
    number = np.arange(prompts)
    said = Comparisons.of(left, left + 1, outcome)
    return answered("dull", features, said, prompt=number, group=number)


@pytest.fixture(scope="module")
def dull():
    return dull_world()


@pytest.fixture(scope="module")
def paid(dull):
    return payoff(dull, Arm("dopt", EARLY), plan=PLAN, seeds=4)


def test_with_too_few_pairs_nothing_is_tried_and_it_says_how_many_it_takes():
    found = payoff(planted_world(prompts=20), Arm("dopt"), plan=PLAN)
    assert (found.pays, found.seeds, found.pairs) == (None, 0, 120)
    assert found.wanted == 241  # twice 64 and half as many again, of a pool of four in five
    assert "takes answers about 241 pairs" in found.sentence
    assert "there are 120" in found.sentence
    assert found.to_json()["gain"] is None


def test_a_function_that_waits_for_longer_takes_more_pairs():
    world = planted_world(prompts=20)
    waiting = payoff(world, Arm("dopt", {"after": 640}), plan=PLAN)
    assert waiting.wanted == 2401


def test_where_most_questions_teach_nothing_choosing_pays(paid):
    assert paid.pays
    assert paid.gain.low > 0
    assert 0 < paid.saving.value < 1
    assert paid.sentence.startswith("Choosing by dopt pays here: random choice's end is reached")


def test_where_answers_are_coin_flips_it_is_not_shown_to_pay(dull):
    rng = np.random.default_rng(5)
    flips = rng.choice(np.array([-1, 1], np.int8), len(dull.answers.outcome))
    world = replace(dull, answers=replace(dull.answers, outcome=flips))
    found = payoff(world, Arm("entropy"), plan=PLAN, seeds=4)
    assert found.pays is False
    assert "has not been shown to pay here" in found.sentence or "worse here" in found.sentence


def test_against_itself_drawing_at_random_gains_exactly_nothing(dull):
    found = payoff(dull, Arm(f"{FALLBACK}:again"), plan=PLAN, seeds=2)
    assert (found.gain.value, found.gain.low, found.gain.high) == (0, 0, 0)
    assert found.pays is False


def test_the_gain_is_the_area_between_the_curves_of_plain_replays(dull, paid):
    plan = Plan(labels=paid.labels, batch=-(-paid.chosen // 8), start=paid.labels - paid.chosen)
    arms = (Arm(FALLBACK), Arm("dopt", EARLY))
    gains = []
    for seed in range(paid.seeds):
        curves = [replay(dull, arm, plan, seed).steps for arm in arms]
        labels = np.array([float(step.labels) for step in curves[0]])
        drawn, chosen = (area(labels, np.array([s.log_loss for s in one])) for one in curves)
        gains.append(drawn - chosen)
        assert curves[0][0].log_loss == curves[1][0].log_loss  # the start is the same
    assert paid.gain.value == pytest.approx(np.mean(gains), abs=1e-12)


def test_half_of_the_training_pairs_are_never_asked(dull, paid):
    assert paid.labels == 0.5 * 0.8 * len(dull.pairs)
    assert paid.chosen == paid.labels - 64


def test_the_same_answers_give_the_same_payoff_and_progress_is_told(dull, paid):
    told = []
    again = payoff(
        dull, Arm("dopt", EARLY), plan=PLAN, seeds=4, progress=lambda *at: told.append(at)
    )
    assert told == [(done, 8) for done in range(1, 9)]
    assert again == paid


def test_what_cannot_be_replayed_is_an_error(dull):
    with pytest.raises(ConfigError, match="unknown acquisition 'dpot'"):
        payoff(dull, Arm("dpot"), plan=PLAN)
    one_group = replace(dull, group=np.zeros_like(dull.group))
    with pytest.raises(NotEnoughData, match="only one group"):
        payoff(one_group, Arm("dopt", EARLY), plan=PLAN)


# --- the world of a campaign's answers ------------------------------------------------------


def test_a_world_of_judgements_is_the_world_of_the_file():
    world = planted_world(prompts=12, votes=2)
    rng = np.random.default_rng(3)
    said = world.comparisons
    order = rng.permutation(len(said))
    turn = rng.random(len(said)) < 0.5
    mixed = Comparisons.of(
        np.where(turn, said.right, said.left)[order],
        np.where(turn, said.left, said.right)[order],
        np.where(turn, -said.outcome, said.outcome)[order],
    )
    padded = np.concatenate([world.features, np.ones((3, world.features.shape[1]))])
    pair = world.answers.pair[order]
    made = answered("mine", padded, mixed, prompt=world.prompt[pair], group=world.group[pair])
    np.testing.assert_array_equal(made.pairs, world.pairs)
    np.testing.assert_array_equal(made.features, world.features)
    np.testing.assert_array_equal(made.prompt, world.prompt)
    np.testing.assert_array_equal(made.group, world.group)
    np.testing.assert_array_equal(made.answers.start, world.answers.start)
    for start, end in zip(made.answers.start[:-1], made.answers.start[1:], strict=True):
        assert sorted(made.answers.outcome[start:end]) == sorted(world.answers.outcome[start:end])


def test_responses_that_nobody_judged_are_not_in_the_world():
    features = np.arange(12.0).reshape(6, 2)
    said = Comparisons.of([5, 1], [1, 5], [1, 1])
    made = answered("x", features, said, prompt=np.array([0, 0]), group=np.array([4, 4]))
    assert made.pairs.tolist() == [[0, 1]]
    assert made.features.tolist() == [[2.0, 3.0], [10.0, 11.0]]
    assert made.answers.outcome.tolist() == [-1, 1]
