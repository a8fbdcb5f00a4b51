import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from learning import heads
from learning.data import Comparisons, Posterior
from learning.errors import ShapeError
from learning.heads import ItemBT, LinearBT, recurring, update
from learning.heads._blocks import Blocks
from learning.heads._likelihood import AnswerModel, terms
from learning.metrics import log_loss

PLAIN = ItemBT(tie=0.0)


class Recurring:
    """Thirty responses of ten prompts, compared within their prompt, with planted effects."""

    def __init__(self, *, effect=1.0, dim=6, per_prompt=6, prompts=10, answers=900, seed=5):
        rng = np.random.default_rng(seed)
        m = per_prompt * prompts
        self.features = rng.standard_normal((m, dim)) / np.sqrt(2 * dim)
        self.theta = rng.standard_normal(dim)
        self.effects = effect * rng.standard_normal(m)
        prompt = rng.integers(0, prompts, answers)
        one = rng.integers(0, per_prompt, answers)
        other = (one + rng.integers(1, per_prompt, answers)) % per_prompt
        left, right = prompt * per_prompt + one, prompt * per_prompt + other
        self.rewards = self.features @ self.theta + self.effects
        margin = self.rewards[left] - self.rewards[right]
        outcome = np.where(rng.random(answers) < 1 / (1 + np.exp(-margin)), 1, -1)
        outcome[rng.random(answers) < 0.15] = 0
        self.comparisons = Comparisons.of(left, right, outcome, weight=rng.uniform(0.5, 2, answers))

    def some(self, n):
        return self.comparisons.subset(np.arange(n))


@pytest.fixture(scope="module")
def world():
    return Recurring()


@pytest.fixture(scope="module")
def fit(world):
    return ItemBT().fit(world.features, world.comparisons)


def augmented(world, posterior, pairs):
    return np.stack([posterior.difference(world.features, pair) for pair in pairs])


def test_a_general_optimiser_finds_the_same_weights_and_covariance(world):
    data = world.some(200)
    found = ItemBT(item_precision=3.0).fit(world.features, data, prior_precision=0.7)
    x = augmented(world, found, data.pairs)
    precision = np.repeat([0.7, 3.0], [6, len(found.items)])
    model = AnswerModel(found.tie, found.strength_slope, found.strength_cuts)

    def loss(theta):
        value = terms(x @ theta, data, model).value
        return 0.5 * precision @ theta**2 - data.weight @ value

    best = minimize(loss, np.zeros(x.shape[1]), method="BFGS", options={"gtol": 1e-7})
    np.testing.assert_allclose(found.theta, best.x, atol=1e-4)
    curvature = data.weight * terms(x @ found.theta, data, model).curvature
    hessian = (x.T * curvature) @ x + np.diag(precision)
    np.testing.assert_allclose(found.covariance, np.linalg.inv(hessian), atol=1e-8)
    log_det = np.linalg.slogdet(hessian)[1]
    evidence = -loss(found.theta) + 0.5 * (np.log(precision).sum() - log_det)
    assert found.log_evidence == pytest.approx(evidence, abs=1e-8)


def test_equal_precisions_are_the_linear_head_with_one_hot_columns(world):
    data = world.some(150)
    found = ItemBT(item_precision=2.0).fit(world.features, data, prior_precision=2.0)
    wide = np.hstack([world.features, np.eye(len(world.features))[:, found.items]])
    linear = LinearBT().fit(wide, data, prior_precision=2.0)
    np.testing.assert_allclose(found.theta, linear.theta, atol=1e-7)
    np.testing.assert_allclose(found.covariance, linear.covariance, atol=1e-7)
    assert found.log_evidence == pytest.approx(linear.log_evidence, abs=1e-6)


def test_fewer_comparisons_than_features_give_the_same_answer_both_ways(rng):
    features = rng.standard_normal((24, 40)) / 8
    left, right = np.arange(20), np.r_[1:20, 0]
    outcome = rng.choice([-1, 1], 20)
    thin = Comparisons.of(left, right, outcome)
    rows = np.tile(np.arange(20), 10)  # ten times the rows at a tenth of the weight
    wide = Comparisons.of(left[rows], right[rows], outcome[rows], weight=np.full(200, 0.1))
    head = ItemBT(tie=0.0, item_precision=1.5)
    a, b = (head.fit(features, data, prior_precision=2.0) for data in (thin, wide))
    np.testing.assert_allclose(a.theta, b.theta, atol=1e-8)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-8)
    assert a.log_evidence == pytest.approx(b.log_evidence, abs=1e-8)


@pytest.mark.parametrize("effect", [0.3, 1.5])
def test_the_precisions_are_near_the_top_of_the_evidence(effect):
    world = Recurring(effect=effect)
    chosen = PLAIN.fit(world.features, world.comparisons.subset(world.comparisons.decisive))
    data = world.comparisons.subset(world.comparisons.decisive)
    best = max(
        ItemBT(0.0, item_precision=chosen.item_precision * by)
        .fit(world.features, data, prior_precision=chosen.prior_precision * other)
        .log_evidence
        for by in (0.25, 0.5, 1.0, 2.0, 4.0)
        for other in (0.5, 1.0, 2.0)
    )
    assert chosen.log_evidence > best - 0.5


def test_the_search_finds_how_large_planted_effects_are():
    weak, strong = (
        ItemBT().fit(w.features, w.comparisons)
        for w in (Recurring(effect=0.3), Recurring(effect=2))
    )
    assert weak.item_precision > 3 > 1 > strong.item_precision


def test_effects_predict_what_features_cannot(world):
    train, test = world.some(600), world.comparisons.subset(np.arange(600, 900))
    losses = {}
    for head in (LinearBT(), ItemBT(item_precision=1e3), ItemBT()):
        found = head.fit(world.features, train)
        p = found.preference(*found.margin(world.features, test.pairs))
        losses[head] = log_loss(p, test.outcome)
    linear, stiff, free = losses.values()
    assert free < stiff - 0.02
    assert free < linear - 0.02


def test_swapping_sides_changes_nothing(world, fit):
    swapped = ItemBT().fit(world.features, world.comparisons.swapped())
    np.testing.assert_allclose(swapped.theta, fit.theta, atol=1e-8)


def test_responses_that_were_not_compared_keep_the_prior_variance(world):
    features = np.vstack([world.features, np.zeros((3, 6))])
    wanted = np.arange(len(features))
    found = ItemBT().fit(features, world.comparisons, recurring=wanted)
    _, s2 = found.margin(features, [[60, 61], [61, 62]])
    assert s2 == pytest.approx([2 / found.item_precision] * 2)
    # The two pairs share a response, and a design has to know that.
    _, z = found.whiten(features, np.array([[60, 61], [61, 62]]))
    assert z[0] @ z[1] == pytest.approx(-1 / found.item_precision)


def test_whitened_rows_have_the_covariance_of_the_margins(world, fit):
    pairs = world.comparisons.pairs[:40]
    x = augmented(world, fit, pairs)
    for dtype in (np.float64, np.float32):
        mu, z = fit.whiten(world.features, pairs, dtype=dtype)
        np.testing.assert_allclose(z @ z.T, x @ fit.covariance @ x.T, atol=1e-5)
        np.testing.assert_allclose(mu, x @ fit.theta, atol=1e-5)


def test_no_comparisons_give_the_prior(world):
    wanted = np.array([4, 9, 2])
    found = ItemBT().fit(world.features, Comparisons.none(), recurring=wanted)
    np.testing.assert_array_equal(found.items, [2, 4, 9])
    assert not found.theta.any()
    _, s2 = found.margin(world.features, [[2, 4], [0, 1], [4, 1]])
    x = world.features[[2, 0, 4]] - world.features[[4, 1, 1]]
    from_features = np.square(x).sum(axis=1) / found.prior_precision
    np.testing.assert_allclose(s2 - from_features, [1.0, 0.0, 0.5], atol=1e-12)


def test_without_recurring_responses_it_is_the_linear_head(planted):
    data = planted.comparisons.subset(np.arange(200))
    none = np.empty(0, dtype=np.int64)
    found = ItemBT().fit(planted.features, data, recurring=none)
    linear = LinearBT().fit(planted.features, data)
    np.testing.assert_array_equal(found.theta, linear.theta)
    assert not len(found.items)


def test_a_posterior_with_items_survives_storage(fit):
    again = Posterior.from_arrays(fit.to_arrays())
    np.testing.assert_array_equal(again.items, fit.items)
    np.testing.assert_array_equal(again.factor, fit.factor)
    assert again.item_precision == fit.item_precision


def test_the_online_update_is_nearly_a_refit(world):
    fixed = ItemBT(tie=0.0, item_precision=1.0)
    data = world.comparisons.subset(world.comparisons.decisive)
    data = Comparisons.of(data.left, data.right, data.outcome)  # an update weighs one
    before, after = (
        fixed.fit(world.features, data.subset(np.arange(n)), prior_precision=1.0, recurring=rows)
        for n, rows in ((500, np.arange(60)), (501, np.arange(60)))
    )
    last = data.subset(np.array([500]))
    x = before.difference(world.features, last.pairs[0])
    found = update(before, x, int(last.outcome[0]))
    moved = np.linalg.norm(after.theta - before.theta)
    assert np.linalg.norm(found.theta - after.theta) < 0.2 * max(moved, 0.05)
    exact, near = (p.margin(world.features, data.pairs[:50])[1] for p in (after, found))
    np.testing.assert_allclose(near, exact, rtol=0.05)


def test_a_difference_has_the_margin_of_its_pair(world, fit):
    pair = world.comparisons.pairs[7]
    x = fit.difference(world.features, pair)
    mu, s2 = fit.margin(world.features, [pair])
    assert x @ fit.theta == pytest.approx(mu[0])
    assert x @ fit.covariance @ x == pytest.approx(s2[0])


def test_effects_are_taken_over_by_row(world, fit):
    wanted = np.array([3, 5, 40, 59])
    head = ItemBT(tie=0.3)
    early = head.fit(world.features, world.some(300), recurring=np.array([1, 3, 5]))
    cold, warm = (
        head.fit(world.features, world.comparisons, recurring=wanted, start=start)
        for start in (None, early)
    )
    np.testing.assert_allclose(warm.theta, cold.theta, atol=0.05)
    assert warm.log_evidence == pytest.approx(cold.log_evidence, abs=0.5)
    linear = LinearBT().fit(world.features, world.comparisons, start=fit)
    assert linear.dim == world.features.shape[1]


def test_too_many_items_leave_effects_to_those_compared_most(world, caplog):
    found = ItemBT(max_items=5).fit(world.features, world.comparisons)
    compared = np.bincount(world.comparisons.pairs.ravel())
    assert len(found.items) == 5
    assert compared[found.items].min() >= np.sort(compared)[-5]
    assert "60 responses recur; the 5 compared most have an effect" in caplog.text


@pytest.mark.parametrize(
    ("options", "arguments", "words"),
    [
        ({"item_precision": 0.0}, {}, "item_precision"),
        ({}, {"prior_precision": -1.0}, "prior_precision"),
        ({}, {"recurring": np.array([99])}, "recurring must lie in"),
        ({}, {"start": Posterior(np.zeros(2), np.eye(2), 1.0)}, "start has 2"),
    ],
)
def test_bad_options_are_named(world, options, arguments, words):
    with pytest.raises(ShapeError, match=words):
        ItemBT(**options).fit(world.features, world.comparisons, **arguments)


def test_rows_recur_in_different_pairs():
    pairs = np.array([[0, 1], [1, 0], [1, 2], [3, 2], [2, 1]])
    np.testing.assert_array_equal(recurring(pairs), [1, 2])
    np.testing.assert_array_equal(recurring(pairs, least=1), [0, 1, 2, 3])
    assert not len(recurring(pairs, least=3))
    assert not len(recurring(np.empty((0, 2), dtype=np.int64)))


def test_how_often_a_response_recurs_is_the_median_over_those_that_occur():
    pairs = np.array([[0, 1], [1, 0], [1, 2], [3, 9], [2, 3], [1, 3]])
    assert heads.recurrence(pairs) == 2  # of 1, 3, 2, 3 and 1
    assert heads.recurrence(np.empty((0, 2), dtype=np.int64)) == 0


@settings(max_examples=40)
@given(
    pairs=st.lists(st.tuples(st.integers(-1, 50), st.integers(-1, 50)), max_size=60),
    ridge=st.floats(0.1, 10),
)
def test_blocks_do_what_dense_matrices_do(pairs, ridge):
    pairs = np.array([p for p in pairs if p[0] != p[1]], dtype=np.int64).reshape(-1, 2)
    left, right = pairs.T
    k, rng = 51, np.random.default_rng(0)
    incidence = np.zeros((len(pairs), k + 1))
    incidence[np.arange(len(pairs)), left] += 1
    incidence[np.arange(len(pairs)), right] -= 1
    incidence = incidence[:, :k]  # the last column stands for "no item"
    weight = rng.uniform(0.1, 2, len(pairs))
    dense = incidence.T @ (weight[:, None] * incidence)
    blocks = Blocks(left, right, k)
    flat = blocks.laplacian(weight)
    np.testing.assert_allclose(blocks.dense(flat), dense, atol=1e-12)
    np.testing.assert_allclose(blocks.diagonal(flat), np.diag(dense), atol=1e-12)
    whitener = blocks.whitener(flat, ridge)
    inverse = np.linalg.inv(dense + ridge * np.eye(k))
    np.testing.assert_allclose(blocks.dense(blocks.gram(whitener)), inverse, atol=1e-10)
    values = rng.standard_normal((k, 3))
    for turned in (False, True):
        matrix = blocks.dense(whitener).T if turned else blocks.dense(whitener)
        found = blocks.times(whitener, values, transposed=turned)
        np.testing.assert_allclose(found, matrix @ values, atol=1e-10)
    expected = np.einsum("nk,kj,nj->n", incidence, inverse, incidence)
    found = blocks.differences(blocks.gram(whitener))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_the_head_is_chosen_by_how_often_responses_recur(world):
    assert heads.choose(world.comparisons.pairs) == "item_bt"
    assert heads.choose(np.arange(40).reshape(-1, 2)) == "linear_bt"
    assert heads.choose(np.empty((0, 2), dtype=np.int64)) == "linear_bt"
