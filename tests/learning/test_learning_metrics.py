import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning import metrics
from learning.data import Comparisons, Posterior
from learning.errors import NotEnoughData, ShapeError

P = np.array([0.9, 0.2, 0.6, 0.5])
OUTCOME = np.array([1, -1, -1, 0])


def test_known_answers_leave_ties_out():
    assert metrics.accuracy(P, OUTCOME) == pytest.approx(2 / 3)
    assert metrics.log_loss(P, OUTCOME) == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean())
    assert metrics.brier(P, OUTCOME) == pytest.approx((0.01 + 0.04 + 0.36) / 3)


def test_a_coin_flip_is_half_right():
    assert metrics.accuracy(np.array([0.5]), np.array([1])) == 0.5


def test_a_certain_mistake_costs_much_and_not_infinitely():
    assert 20 < metrics.log_loss(np.array([0.0]), np.array([1])) < 21


def test_the_three_way_loss_looks_at_the_outcome():
    win, tie, loss = np.array([0.5, 0.2]), np.array([0.3, 0.3]), np.array([0.2, 0.5])
    found = metrics.log_loss_ties(win, tie, loss, np.array([0, -1]))
    assert found == pytest.approx(-(np.log(0.3) + np.log(0.5)) / 2)


def test_calibration_known_answer():
    found = metrics.ece(np.array([0.9, 0.8, 0.6, 0.55]), np.array([1.0, 0, 1, 0]), bins=10)
    assert found == pytest.approx(0.4625)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([-1, 1])), min_size=1, max_size=30))
def test_swapping_sides_changes_no_metric(rows):
    p, outcome = (np.array(column) for column in zip(*rows, strict=True))
    for metric in (metrics.accuracy, metrics.log_loss, metrics.brier):
        assert metric(p, outcome) == pytest.approx(metric(1 - p, -outcome), abs=1e-6)


def test_the_interval_equals_a_plain_loop(rng):
    values, clusters = rng.random(60), rng.integers(0, 12, 60)
    found = metrics.bootstrap_interval(values, clusters, rng=rng, draws=4000)
    groups = [values[clusters == c] for c in np.unique(clusters)]
    means = [
        np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))]).mean()
        for _ in range(4000)
    ]
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), abs=0.01)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(200):
        shift = rng.normal(size=40)  # what a prompt's judgements have in common
        values = np.repeat(shift, 5) + rng.normal(size=200)
        low, high = metrics.bootstrap_interval(
            values, np.repeat(np.arange(40), 5), rng=rng, draws=300
        )
        inside += low <= 0 <= high
    assert 0.88 < inside / 200 < 0.99


def test_one_prompt_says_nothing_about_spread(rng):
    assert np.isnan(metrics.bootstrap_interval(np.ones(5), np.zeros(5), rng=rng)).all()


def test_an_evaluation_agrees_with_its_parts(graded, rng):
    data = graded.comparisons
    truth = Posterior(graded.theta, np.zeros((16, 1)), 1.0, tie=0.3)
    found = metrics.evaluate(truth, graded.features, data, data.left, rng)
    p = truth.preference(*truth.margin(graded.features, data.pairs))
    assert found.accuracy.value == pytest.approx(metrics.accuracy(p, data.outcome))
    assert found.log_loss.value == pytest.approx(metrics.log_loss(p, data.outcome))
    assert found.brier.value == pytest.approx(metrics.brier(p, data.outcome))
    for estimate in (found.accuracy, found.log_loss, found.brier, found.log_loss_ties):
        assert estimate.low < estimate.value < estimate.high
    assert found.ece.value < 0.05
    assert (found.n, found.n_decisive) == (3000, int(data.decisive.sum()))


def test_an_evaluation_refuses_what_it_cannot_measure(graded, rng):
    posterior = Posterior(graded.theta, np.zeros((16, 1)), 1.0)
    ties = Comparisons.of([0], [1], [0])
    with pytest.raises(NotEnoughData, match="no decisive comparison"):
        metrics.evaluate(posterior, graded.features, ties, [0], rng)
    with pytest.raises(NotEnoughData, match="no decisive comparison"):
        metrics.accuracy(P[:1], np.zeros(1))
    with pytest.raises(ShapeError, match="clusters must be"):
        metrics.evaluate(posterior, graded.features, ties, [0, 1], rng)
