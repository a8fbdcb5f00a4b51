"""Rules that choose a pair within a prompt: the worked examples."""

import numpy as np
import pytest
from scipy.special import expit

from learning.acquisition import (
    ae_borda,
    aepo_subset,
    delta_ucb,
    infomax,
    maxmin_lcb,
    pilaf_pool,
)
from learning.acquisition.per_prompt import Layout
from learning.data import Context, Pool, Posterior, Prompts
from tests.learning.prompts import THREE, choose, known


def pointwise():
    """Margin bounds from bounds of each response: the worked example of three responses."""
    mean, sd = np.array([2, 1.5, 0]), np.array([0.2, 1, 0.5])
    low, high = mean - sd, mean + sd
    return low[THREE[:, 0]] - high[THREE[:, 1]], high[THREE[:, 0]] - low[THREE[:, 1]]


def test_the_widest_optimistic_gap_of_three_responses():
    gap = delta_ucb.optimistic_gap(*pointwise())
    assert gap == pytest.approx([1.7, 2.7, 3.0])  # (1, 2) before (0, 2)


def test_the_widest_probability_interval_of_three_responses():
    width = infomax.probability_width(*pointwise())
    assert width == pytest.approx([0.5137225, 0.1511917, 0.4525741], abs=1e-7)


def test_the_safest_response_of_three_meets_its_most_dangerous_rival():
    lower, upper = pointwise()
    worst = maxmin_lcb.worst_case(THREE, lower, upper, 3)
    assert expit(worst).max() == pytest.approx(0.3318122, abs=1e-7)
    assert worst.argmax() == 0
    keys = maxmin_lcb.preference_keys(THREE, lower, upper, 3)
    assert THREE[np.lexsort([-key for key in reversed(keys)])[0]].tolist() == [0, 1]


@pytest.mark.parametrize(("name", "pair"), [("drts", [0, 2]), ("dts", [0, 1])])
def test_draws_of_a_certain_belief(name, pair):
    belief, features = known([2, 1.5, 0])
    found = choose(name, Pool.of(features, THREE, prompt=[0, 0, 0]), belief, 1)
    assert THREE[found.indices[0]].tolist() == pair
    assert found.info["fell_back"] == (name == "dts")  # two draws never name two favourites


def test_borda_scores_and_doubt():
    wins = np.array([0.5, 0.7, 0.8, 0.3, 0.5, 0.6, 0.2, 0.4, 0.5])
    scores = ae_borda.borda(wins, np.array([0, 3, 6, 9]))
    assert scores == pytest.approx([2 / 3, 1.4 / 3, 1.1 / 3])
    mean, sd = np.array([2, 1, 1, 1]), np.array([0.1, 0.1, 0.5, 0.2])
    doubt = ae_borda.doubt(mean + 2 * sd, mean - 2 * sd, np.array([0, 2, 4]))
    assert doubt == pytest.approx([0.4, 1.4])
    assert (mean + 2 * sd)[2:].argmax() == 0


@pytest.mark.parametrize(
    ("diversity", "values", "pair"),
    [
        (0.0, [0.575, 0.400, 0.425], 0),
        (0.5, [0.125, 0.300, 0.275], 1),
        (1.0, [-0.325, 0.200, 0.125], 1),
        (2.0, [-1.225, 0.000, -0.175], 1),
    ],
)
def test_two_typical_and_different_responses(diversity, values, pair):
    S = np.array([[1, 0.9, 0.2], [0.9, 1, 0.3], [0.2, 0.3, 1]])
    pool = Pool.of(np.linalg.cholesky(S) * [[1], [3], [0.1]], THREE, prompt=[5, 5, 5])
    likeness, total = aepo_subset.similarities(Layout.of(pool, np.arange(3)), pool.features)
    assert likeness == pytest.approx([0.9, 0.2, 0.3])
    found = aepo_subset.objective(likeness, total, np.full(3, 2.0), diversity)
    assert found == pytest.approx(values, abs=1e-12)
    belief = Posterior(np.ones(3), np.eye(3), 1.0, n_comparisons=100)
    first = choose("aepo_subset", pool, belief, 1, diversity=diversity)
    assert (first.indices[0], first.gain[0]) == (pair, pytest.approx(values[pair], abs=1e-12))


def test_apl_on_a_worked_prompt():
    log_p, log_ref = np.array([-12.0, -20, -15]), np.array([-14.0, -18, -15])
    belief, features = known(0.1 * (log_p - log_ref))
    prompts = Prompts(np.array([3]), np.zeros((1, 2)), np.array([-log_p.mean()]))
    pool = Pool.of(features, THREE, prompt=[3, 3, 3])
    found = choose("apl_two_stage", pool, belief, 1, context=Context(prompts=prompts))
    assert THREE[found.indices[0]].tolist() == [0, 1]
    assert found.gain[0] == pytest.approx(15.6666667, abs=1e-7)
    p = belief.preference(*belief.margin(pool))[0]
    assert 1 - 2 * abs(p - 0.5) == pytest.approx(0.8026247, abs=1e-7)


def test_the_sharpe_ratio_of_gradients_is_the_smallest_margin_again():
    margin = np.array([1.0, -1.0, 2.0, 0.3, -4.0])
    p = expit(margin)
    f = (1 - p) / p  # norms of the gradient under the two labels
    ratio = (1 + f) / np.abs(1 - f)
    assert ratio[[0, 2]] == pytest.approx([2.1639534, 1.3130353], abs=1e-7)
    norms = np.stack([1 - p, p])
    mean = (np.stack([p, 1 - p]) * norms).sum(axis=0)
    deviation = np.sqrt((np.stack([p, 1 - p]) * (norms - mean) ** 2).sum(axis=0))
    assert (mean / deviation)[0] == pytest.approx(1.9190348, abs=1e-7)
    order = np.argsort(np.abs(margin), kind="stable")
    for score in (ratio, mean / deviation):
        assert np.argsort(-score.round(9), kind="stable").tolist() == order.tolist()


def test_pilaf_draws_from_both_tilted_policies():
    reward = np.array([2.0, 1, 0])
    weight = np.exp(pilaf_pool.log_weight(reward[:, None] - reward, 1.0))
    weight /= weight.sum()
    tilted = [0.6652410, 0.2447285, 0.0900306]
    assert weight.sum(axis=1) == pytest.approx(tilted, abs=1e-7)
    assert weight.sum(axis=0) == pytest.approx(tilted[::-1], abs=1e-7)
