"""What members make of later answers: Bayes' rule within their span, by other means, too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from learning.data import Comparisons
from learning.errors import ShapeError
from learning.finetune.lora_ensemble_belief import belief_of
from learning.finetune.lora_ensemble_update import update
from learning.heads._likelihood import AnswerModel, terms

ANSWERS = AnswerModel(tie=0.2)


def belief(members, scale=1.0):
    return belief_of(members, scale, ANSWERS, n_comparisons=50)


def task(seed, *, members=6, n=30, m=20):
    rng = np.random.default_rng(seed)
    rewards = rng.normal(size=(m, members)) + rng.normal(size=(m, 1))
    left = rng.integers(0, m, n)
    right = (left + rng.integers(1, m, n)) % m
    outcome = rng.integers(-1, 2, n)
    strength = np.where(outcome == 0, 0, rng.integers(0, 4, n))
    weight = rng.uniform(0.3, 2.0, n)
    return rewards, Comparisons.of(left, right, outcome, strength=strength, weight=weight)


def test_it_is_a_linear_head_on_the_members_deviations():
    """A second implementation: a quasi-Newton minimum, and its curvature by differences."""
    rewards, data = task(0)
    k, scale = 6, 1.3
    given_ = scale * rewards
    mean = given_.mean(axis=1)
    apart = (given_ - mean[:, None]) / np.sqrt(k - 1)

    def cost(u):
        reward = mean + apart @ u
        value = terms(reward[data.left] - reward[data.right], data, ANSWERS).value
        return 0.5 * u @ u - data.weight @ value

    best = minimize(cost, np.zeros(k), method="BFGS", options={"gtol": 1e-8}).x
    step, own = 1e-3, np.eye(k)
    hessian = np.array(
        [
            [
                (
                    cost(best + step * (a + b))
                    - cost(best + step * (a - b))
                    - cost(best - step * (a - b))
                    + cost(best - step * (a + b))
                )
                / (4 * step**2)
                for b in own
            ]
            for a in own
        ]
    )
    covariance = apart @ np.linalg.inv(hessian) @ apart.T
    new = scale * rewards @ update(rewards, belief(k, scale), data).mixing
    np.testing.assert_allclose(new.mean(axis=1), mean + apart @ best, atol=1e-5)
    np.testing.assert_allclose(np.cov(new), covariance, atol=1e-4)


def test_two_members_are_bayes_on_a_line():
    """One direction: the posterior on a grid, many answers, no Gaussian but the prior."""
    rng = np.random.default_rng(1)
    rewards = np.array([[1.0, -1.0], [0.0, 0.0]])  # the margin is N(0, 2)
    truth, n = 0.8, 300
    outcome = np.where(rng.random(n) < expit(truth), 1, -1)
    data = Comparisons.of(np.zeros(n), np.ones(n), outcome)
    grid = np.linspace(-6, 6, 4001)  # of the margin
    wins = int((outcome > 0).sum())
    z = np.exp(grid / 2) + np.exp(-grid / 2) + 2 * ANSWERS.tie
    logs = wins * grid / 2 - (n - wins) * grid / 2 - n * np.log(z) - grid**2 / 4
    p = np.exp(logs - logsumexp(logs))
    mean = p @ grid
    found = update(rewards, belief(2), data)
    mu, s2 = belief(2).margin(rewards @ found.mixing, [(0, 1)])
    assert mu[0] == pytest.approx(mean, abs=0.02)
    assert s2[0] == pytest.approx(p @ (grid - mean) ** 2, rel=0.05)
    assert found.left == pytest.approx(s2[0] / 2, rel=1e-6)


def test_no_answers_change_nothing():
    rewards, _ = task(2)
    found = update(rewards, belief(6), Comparisons.none())
    assert found.left == 1
    np.testing.assert_array_equal(found.mixing, np.eye(6))


def test_answers_about_what_members_agree_on_tell_nothing_of_the_rest():
    rewards = np.random.default_rng(0).normal(size=(6, 5))
    rewards[:2] = [[1.0], [0.0]]
    found = update(rewards, belief(5), Comparisons.of([0] * 9, [1] * 9, [-1] * 9))
    assert found.left == pytest.approx(1)
    np.testing.assert_allclose(rewards @ found.mixing, rewards, atol=1e-12)


@given(st.integers(0, 10_000))
def test_answers_shrink_what_is_open_and_the_order_of_members_says_nothing(seed):
    rewards, data = task(seed, members=5, n=12)
    found = update(rewards, belief(5), data)
    assert 0 < found.left < 1
    np.testing.assert_allclose(found.mixing.sum(axis=0), 1, atol=1e-9)  # mixtures
    _, before = belief(5).margin(rewards, data.pairs)
    _, after = belief(5).margin(rewards @ found.mixing, data.pairs)
    assert (after <= before + 1e-9).all()
    turn = np.random.default_rng(seed).permutation(5)
    other = update(rewards[:, turn], belief(5), data)
    np.testing.assert_allclose(
        rewards[:, turn] @ other.mixing, (rewards @ found.mixing)[:, turn], atol=1e-6
    )


def test_swapping_sides_changes_nothing():
    rewards, data = task(3)
    one, other = (update(rewards, belief(6), d).mixing for d in (data, data.swapped()))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_rewards_of_other_members_are_refused():
    rewards, data = task(4)
    with pytest.raises(ShapeError, match="must be"):
        update(rewards, belief(5), data)
    with pytest.raises(ShapeError, match="must lie in"):
        update(rewards[:3], belief(6), data)


def test_features_in_front_of_the_rewards_are_not_looked_at():
    rewards, data = task(5)
    alone = belief(6).margin(rewards, data.pairs)
    phi = np.random.default_rng(0).normal(size=(20, 7))
    behind = belief_of(6, 1.0, ANSWERS, n_comparisons=0, after=7)
    both = behind.margin(np.hstack([phi, rewards]), data.pairs)
    np.testing.assert_allclose(both, alone, atol=1e-9)
