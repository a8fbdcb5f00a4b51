import numpy as np
import pytest
from scipy.optimize import minimize

from learning import heads
from learning.data import Comparisons, Posterior
from learning.errors import ConfigError, ShapeError
from learning.heads import LinearBT, update
from learning.heads._likelihood import AnswerModel, terms
from learning.metrics import ece

PLAIN = LinearBT(tie=0.0)


def rows_as_differences(x):
    """Features whose pairs (i, last) differ by exactly the rows of ``x``."""
    return np.vstack([x, np.zeros(x.shape[1])])


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_one_dimension_by_hand():
    features = rows_as_differences(np.ones((3, 1)))
    data = Comparisons.of([0, 1, 2], [3, 3, 3], [1, 1, -1])
    found = PLAIN.fit(features, data, prior_precision=1.0)
    assert found.theta[0] == pytest.approx(0.2865477, abs=1e-6)
    assert 1 / found.covariance[0, 0] == pytest.approx(1.7348127, abs=1e-6)
    assert found.log_evidence == pytest.approx(-2.2833586, abs=1e-6)
    mu, s2 = found.margin(np.array([[2.0], [0.0]]), [[0, 1]])
    assert s2[0] == pytest.approx(2.3057244, abs=1e-6)
    assert found.preference(mu, s2)[0] == pytest.approx(0.6023273, abs=1e-6)


def test_leverage_by_hand():
    # Two answers each way keep p at one half; the weights make each pair count once.
    features = rows_as_differences(np.array([[1.0, 0.0], [0.0, 2.0]]))
    data = Comparisons.of([0, 0, 1, 1], [2] * 4, [1, -1, 1, -1], weight=[0.5] * 4)
    found = PLAIN.fit(features, data, prior_precision=1.0)
    _, s2 = found.margin(np.array([[1.0, 1.0], [0.0, 0.0]]), [[0, 1]])
    assert s2[0] == pytest.approx(1.3, abs=1e-9)


def test_the_online_update_by_hand():
    found = update(Posterior(np.zeros(1), np.eye(1), 1.0), np.ones(1), 1)
    assert found.theta[0] == pytest.approx(0.4)
    assert found.covariance[0, 0] == pytest.approx(0.8)


@pytest.mark.parametrize("outcome", [1, -1])
def test_the_online_update_is_the_textbook_rank_one_formula(fitted, rng, outcome):
    x = rng.standard_normal(fitted.dim)
    found = update(fitted, x, outcome)
    sigma = fitted.covariance
    p = 1 / (1 + np.exp(-x @ fitted.theta))
    precision = np.linalg.inv(sigma) + p * (1 - p) * np.outer(x, x)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(precision), atol=1e-8)
    step = np.linalg.solve(precision, x) * ((outcome + 1) / 2 - p)
    np.testing.assert_allclose(found.theta, fitted.theta + step, atol=1e-8)
    assert found.n_comparisons == fitted.n_comparisons + 1


def test_the_online_update_refuses_ties(fitted):
    with pytest.raises(ShapeError, match="outcome must be 1 or -1"):
        update(fitted, np.zeros(fitted.dim), 0)


def test_a_general_optimiser_finds_the_same_weights(graded):
    data = graded.comparisons.subset(np.arange(300))
    found = LinearBT().fit(graded.features, data)
    model = AnswerModel(found.tie, found.strength_slope, found.strength_cuts)
    x = graded.features[data.left] - graded.features[data.right]

    def loss(theta):
        return (
            0.5 * found.prior_precision * theta @ theta - terms(x @ theta, data, model).value.sum()
        )

    best = minimize(loss, np.zeros(x.shape[1]), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(found.theta, best.x, atol=1e-4)
    hessian = np.empty((x.shape[1],) * 2)
    for i in range(x.shape[1]):
        step = np.zeros(x.shape[1])
        step[i] = 1e-5
        up, down = (terms(x @ (best.x + s), data, model).slope @ x for s in (step, -step))
        hessian[i] = (down - up) / 2e-5 + found.prior_precision * np.eye(x.shape[1])[i]
    np.testing.assert_allclose(np.linalg.inv(found.covariance), hessian, rtol=1e-3, atol=1e-3)


def test_planted_weights_are_recovered(planted, fitted):
    assert cosine(fitted.theta, planted.theta) > 0.95
    assert 0.8 < np.linalg.norm(fitted.theta) / np.linalg.norm(planted.theta) < 1.25


def test_probabilities_are_calibrated_in_distribution(planted, fitted, rng):
    pairs = rng.integers(0, len(planted.features), (20_000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    truth = (planted.features[pairs[:, 0]] - planted.features[pairs[:, 1]]) @ planted.theta
    won = rng.random(len(pairs)) < 1 / (1 + np.exp(-truth))
    p = fitted.preference(*fitted.margin(planted.features, pairs))
    assert ece(np.maximum(p, 1 - p), ((p > 0.5) == won).astype(float)) < 0.05


def test_planted_ties_and_strengths_are_recovered(graded):
    found = LinearBT().fit(graded.features, graded.comparisons)
    assert found.tie == pytest.approx(0.3, abs=0.06)
    assert found.strength_slope == pytest.approx(1.2, abs=0.25)
    assert found.strength_cuts == pytest.approx((0.5, 2.0), abs=0.25)
    assert cosine(found.theta, graded.theta) > 0.95


def test_knowing_the_strength_helps(graded):
    few = graded.comparisons.subset(np.arange(120))
    blind = Comparisons.of(few.left, few.right, few.outcome)
    with_strength, without = (LinearBT().fit(graded.features, d) for d in (few, blind))
    assert cosine(with_strength.theta, graded.theta) > cosine(without.theta, graded.theta)


def test_fewer_labels_than_dimensions_give_the_same_answer_both_ways(rng):
    features = rng.standard_normal((60, 40)) / 8
    data = Comparisons.of(np.arange(30), np.arange(30, 60), rng.choice([-1, 1], 30))
    thin = PLAIN.fit(features, data, prior_precision=2.0)
    # Ten times the rows at a tenth of the weight: the same problem, solved the other way.
    rows = np.tile(np.arange(30), 10)
    many = Comparisons.of(rows, rows + 30, data.outcome[rows], weight=np.full(300, 0.1))
    wide = PLAIN.fit(features, many, prior_precision=2.0)
    np.testing.assert_allclose(thin.theta, wide.theta, atol=1e-8)
    np.testing.assert_allclose(thin.covariance, wide.covariance, atol=1e-8)
    assert thin.log_evidence == pytest.approx(wide.log_evidence, abs=1e-8)


def test_the_precision_is_near_the_top_of_the_evidence(planted):
    # Few enough labels for the precision to matter, the hyperprior too weak to move it far.
    data = planted.comparisons.subset(np.arange(400))
    chosen = PLAIN.fit(planted.features, data)
    grid = chosen.prior_precision * np.exp(np.linspace(-3, 3, 25))
    best = max(PLAIN.fit(planted.features, data, prior_precision=g).log_evidence for g in grid)
    assert chosen.log_evidence > best - 0.5


def test_swapping_sides_changes_nothing(graded):
    data = graded.comparisons.subset(np.arange(500))
    here, there = (LinearBT().fit(graded.features, d) for d in (data, data.swapped()))
    np.testing.assert_allclose(here.theta, there.theta, atol=1e-9)


def test_a_weight_of_two_is_two_judgements(planted):
    once = planted.comparisons.subset(np.arange(100))
    twice = once.subset(np.repeat(np.arange(100), 2))
    heavy = Comparisons.of(once.left, once.right, once.outcome, weight=np.full(100, 2.0))
    a, b = (LinearBT().fit(planted.features, d) for d in (twice, heavy))
    np.testing.assert_allclose(a.theta, b.theta, atol=1e-6)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-6)


def test_a_warm_start_ends_in_the_same_place(graded):
    cold = LinearBT().fit(graded.features, graded.comparisons)
    early = LinearBT().fit(graded.features, graded.comparisons.subset(np.arange(800)))
    warm = LinearBT().fit(graded.features, graded.comparisons, start=early)
    np.testing.assert_allclose(warm.theta, cold.theta, atol=0.02 * np.abs(cold.theta).max())
    assert warm.log_evidence == pytest.approx(cold.log_evidence, abs=0.5)


def test_no_comparisons_give_the_prior(planted):
    found = LinearBT().fit(planted.features, Comparisons.none())
    assert not found.theta.any()
    np.testing.assert_allclose(found.covariance, np.eye(32) / found.prior_precision)
    assert found.n_comparisons == 0
    _, s2 = found.margin(planted.features, planted.comparisons.pairs)
    assert s2.mean() == pytest.approx(4.0, rel=0.1)  # as promised for a typical pair


@pytest.mark.parametrize("outcome", [1, 0, -1])
def test_one_answer_is_enough_not_to_fail(planted, outcome):
    found = LinearBT().fit(planted.features, Comparisons.of([0], [1], [outcome]))
    mu, s2 = found.margin(planted.features, [[0, 1]])
    assert np.sign(round(mu[0], 6)) == outcome
    assert s2[0] > 0


def test_separable_answers_stay_finite():
    features = np.linspace(-1, 1, 50)[:, None]
    data = Comparisons.of(np.arange(25, 50), np.arange(25), np.ones(25))
    found = LinearBT().fit(features, data)
    assert 1 < found.theta[0] < 100


def test_identical_responses_teach_nothing_and_break_nothing():
    found = LinearBT().fit(np.ones((4, 3)), Comparisons.of([0, 2], [1, 3], [1, 0]))
    assert not found.theta.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior_precision": 0.0}, "prior_precision"),
        ({"start": Posterior(np.zeros(2), np.eye(2), 1.0)}, "start has 2"),
    ],
)
def test_bad_options_are_named(planted, options, words):
    with pytest.raises(ShapeError, match=words):
        LinearBT().fit(planted.features, planted.comparisons, **options)


def test_rows_beyond_the_features_are_refused(planted):
    with pytest.raises(ShapeError, match="left must lie in"):
        LinearBT().fit(planted.features, Comparisons.of([10**6], [0], [1]))


def test_a_tie_is_refused_where_ties_are_impossible(planted):
    with pytest.raises(ShapeError, match="ties are impossible"):
        PLAIN.fit(planted.features, Comparisons.of([0], [1], [0]))


def test_heads_are_found_by_name():
    assert heads.get().name == heads.DEFAULT_HEAD
    with pytest.raises(ConfigError, match="unknown head 'nope'"):
        heads.get("nope")
