import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from learning.data import Comparisons, Ensemble, Networks, belief_from_arrays
from learning.errors import ConfigError, ShapeError
from learning.heads import DeepEnsemble, LinearBT
from learning.heads._anchors import Problem, batches, draw_anchors, folds_of
from learning.heads._bags import OutOfBag, choose_scale
from learning.heads._likelihood import AnswerModel, terms
from learning.heads._training import log_likelihood, pick_device, rewards, says_of, train
from learning.metrics import log_loss

SMALL = DeepEnsemble(members=6, width=8, folds=3, least_steps=40, batch=32)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    ),
]


class Bent:
    """Answers about a reward that no linear function of the features follows."""

    def __init__(self, *, n=600, seed=0, ties=0.1):
        rng = np.random.default_rng(seed)
        self.features = rng.standard_normal((120, 4)) / 2
        self.reward = 3 * np.abs(self.features[:, 0]) - 3 * np.abs(self.features[:, 1])
        left = rng.integers(0, 120, n)
        right = (left + rng.integers(1, 120, n)) % 120
        margin = self.reward[left] - self.reward[right]
        outcome = np.where(rng.random(n) < 1 / (1 + np.exp(-margin)), 1, -1)
        outcome[rng.random(n) < ties] = 0
        self.comparisons = Comparisons.of(left, right, outcome)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks as small as these gain nothing from threads, and wait for them on a busy CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def world():
    return Bent()


@pytest.fixture(scope="module")
def fit(world):
    return SMALL.fit(world.features, world.comparisons)


def problem(world, *, members=6, strength=None, weight=None):
    data = world.comparisons
    data = Comparisons.of(data.left, data.right, data.outcome, strength=strength, weight=weight)
    anchors = draw_anchors(world.features, data.pairs, members=members, width=8, seed=0)
    kept = folds_of(data, 3) != np.arange(members)[:, None] % 3
    return Problem(world.features, data, kept, AnswerModel(0.2), anchors, 1.0)


def member(networks, k):
    rows = {name: values[:, k : k + 1] for name, values in networks.arrays().items()}
    for name in ("first_bias", "second", "second_bias", "last"):
        rows[name] = getattr(networks, name)[k : k + 1]
    return Networks(**rows)


@pytest.mark.parametrize("device", DEVICES)
def test_one_pass_over_all_members_equals_training_them_one_by_one(world, device):
    task = problem(world)
    order = batches(len(task.data), 32, 30, seed=1)
    together = train(task.anchors.networks, task, order, learning_rate=3e-3, device=device)
    for k in (0, 4):
        alone = replace(
            task,
            kept=task.kept[k : k + 1],
            anchors=replace(task.anchors, networks=member(task.anchors.networks, k)),
        )
        found = train(alone.anchors.networks, alone, order, learning_rate=3e-3, device=device)
        for name, values in found.arrays().items():
            expected = getattr(member(together, k), name)
            np.testing.assert_allclose(values, expected, atol=2e-4, err_msg=name)


def test_the_first_step_follows_the_gradient_of_likelihood_and_anchor(world):
    weight = np.random.default_rng(3).uniform(0.5, 2, len(world.comparisons))
    task, order = problem(world, weight=weight), np.arange(600)[None]
    start = replace(task.anchors.networks, last=task.anchors.networks.last + np.float32(0.01))
    moved = train(start, task, order, learning_rate=1e-4, device="cpu")

    def loss(networks):
        reward = networks.rewards(task.features.astype(np.float64)).T
        margin = reward[:, task.data.left] - reward[:, task.data.right]
        value = sum(
            (task.kept[k] * weight) @ terms(margin[k], task.data, task.model).value
            for k in range(6)
        )
        pairs = zip(networks.arrays().items(), task.anchors.networks.arrays().values(), strict=True)
        pull = sum(
            np.square(now - then.astype(np.float64)).sum() / (2 * task.anchors.sd[name] ** 2)
            for (name, now), then in pairs
        )
        return pull - value

    rng = np.random.default_rng(0)
    for name in ("first", "second_bias", "last"):
        values = getattr(start, name)
        for _ in range(6):
            at = tuple(rng.integers(0, size) for size in values.shape)
            step = np.zeros_like(values)
            step[at] = 1e-2
            up, down = (loss(replace(start, **{name: values + sign * step})) for sign in (1, -1))
            if abs(up - down) > 0.02:  # Adam's first step is the sign of the gradient
                change = getattr(moved, name)[at] - values[at]
                assert np.sign(change) == -np.sign(up - down), name


@given(
    margin=st.floats(-40, 40),
    outcome=st.sampled_from([-1, 0, 1]),
    strength=st.integers(0, 3),
    tie=st.floats(0.01, 5),
)
def test_the_likelihood_is_that_of_the_other_heads(margin, outcome, strength, tie):
    strength = strength if outcome else 0
    model = AnswerModel(tie, 1.3, (0.4, 1.7))
    data = Comparisons.of([0], [1], [outcome], strength=[strength])

    def expected(at):
        return terms(np.array([at]), data, model).value[0]

    def found(at):
        said = torch.from_numpy(says_of(data.strength))
        at, towards = (torch.tensor(v, dtype=torch.float64) for v in ([at], data.outcome))
        return log_likelihood(at, towards, said if strength else None, model).item()

    # Constants may differ, so what is compared is the difference to a margin of nought.
    assert found(margin) - found(0.0) == pytest.approx(expected(margin) - expected(0.0), abs=1e-9)


def test_numpy_and_torch_agree_on_rewards(world):
    task = problem(world)
    weights = [torch.from_numpy(v.copy()) for v in task.anchors.networks.arrays().values()]
    phi = world.features.astype(np.float32)
    with torch.no_grad():
        found = rewards(weights, torch.from_numpy(phi)).numpy()
    np.testing.assert_allclose(found.T, task.anchors.networks.rewards(phi), atol=1e-5)


def test_rewards_of_a_network_by_hand():
    networks = Networks(
        first=np.array([[[1.0, -1.0]], [[0.0, 2.0]]]),
        first_bias=np.array([[0.5, 0.0]]),
        second=np.array([[[1.0, 0.0], [1.0, -1.0]]]),
        second_bias=np.array([[0.0, 1.0]]),
        last=np.array([[2.0, 3.0]]),
    )
    # hidden (1.5, 1), deeper (2.5, 0): 5. hidden (0.5, 0), deeper (0.5, 1): 4.
    found = networks.rewards(np.array([[1.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found[:, 0], [5.0, 4.0])


def test_it_learns_what_a_linear_head_cannot(world):
    test = Bent(seed=0, n=900).comparisons.subset(np.arange(600, 900))
    losses = []
    for head in (LinearBT(), DeepEnsemble(members=10, width=32)):
        found = head.fit(world.features, world.comparisons)
        p = found.preference(*found.margin(world.features, test.pairs))
        losses.append(log_loss(p, test.outcome))
    assert losses[1] < losses[0] - 0.05


def test_where_linear_is_right_it_is_hardly_worse(planted):
    train_on = planted.comparisons.subset(np.arange(600))
    test = planted.comparisons.subset(np.arange(600, 2000))
    losses = []
    for head in (LinearBT(), DeepEnsemble(members=10, width=32)):
        found = head.fit(planted.features, train_on)
        p = found.preference(*found.margin(planted.features, test.pairs))
        losses.append(log_loss(p, test.outcome))
    assert losses[1] < losses[0] + 0.03


def test_ties_are_estimated(world):
    rare, often = (SMALL.fit(world.features, Bent(ties=share).comparisons) for share in (0.02, 0.4))
    assert rare.tie < 0.1 < 0.4 < often.tie
    none = world.comparisons.subset(world.comparisons.decisive)
    assert replace(SMALL, tie=0.0).fit(world.features, none).tie == 0.0


def test_strengths_are_learnt_from(world):
    data = world.comparisons
    margin = world.reward[data.left] - world.reward[data.right]
    strong = np.where(np.abs(margin) > 1.5, 3, 1)
    graded = Comparisons.of(
        data.left, data.right, data.outcome, strength=np.where(data.decisive, strong, 0)
    )
    plain, found = (SMALL.fit(world.features, d) for d in (data, graded))
    assert found.strength_cuts != plain.strength_cuts
    errors = [
        np.corrcoef(belief.margin(world.features, data.pairs)[0], margin)[0, 1]
        for belief in (plain, found)
    ]
    assert errors[1] > errors[0]


def test_weights_count(world):
    data = world.comparisons
    lies = np.arange(600) % 2 == 0
    outcome = np.where(lies, -data.outcome, data.outcome)
    truth = world.reward[data.left] - world.reward[data.right]
    agreement = []
    for weight in (np.where(lies, 0.01, 1.0), np.where(lies, 1.0, 0.01)):
        told = Comparisons.of(data.left, data.right, outcome, weight=weight)
        mu, _ = SMALL.fit(world.features, told).margin(world.features, data.pairs)
        agreement.append(np.corrcoef(mu, truth)[0, 1])
    assert agreement[1] < 0 < 0.3 < agreement[0]


def test_the_same_seed_gives_the_same_ensemble_and_another_one_another(world, fit):
    again = SMALL.fit(world.features, world.comparisons)
    other = replace(SMALL, seed=1).fit(world.features, world.comparisons)
    for item in fields(Networks):
        np.testing.assert_array_equal(
            getattr(again.networks, item.name), getattr(fit.networks, item.name)
        )
    assert again.scale == fit.scale
    assert (other.networks.last != fit.networks.last).any()


def test_swapping_sides_changes_next_to_nothing(world, fit):
    swapped = SMALL.fit(world.features, world.comparisons.swapped())
    here, there = (
        b.margin(world.features, world.comparisons.pairs[:50])[0] for b in (fit, swapped)
    )
    np.testing.assert_allclose(here, there, atol=1e-3)


def test_nothing_global_in_torch_is_touched(world):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with torch.no_grad():
        SMALL.fit(world.features, world.comparisons.subset(np.arange(40)))
        assert not torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())
    assert (threads, torch.float32) == (torch.get_num_threads(), torch.get_default_dtype())


def test_a_round_with_another_head_does_not_load_torch():
    code = (
        "import sys, numpy as np; from learning import heads; from learning.data import *\n"
        "heads.get('item_bt').fit(np.eye(4), Comparisons.of([0, 1], [1, 2], [1, 1]))\n"
        "heads.get('ensemble'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_members_differ_more_where_nothing_was_asked(world, fit):
    far = np.vstack([world.features, [[4.0, 4.0, 4.0, 4.0], [-4.0, 4.0, -4.0, 4.0]]])
    _, asked = fit.margin(world.features, world.comparisons.pairs)
    _, unasked = fit.margin(far, [[120, 121]])
    assert unasked[0] > 4 * np.median(asked)


def test_coordinates_are_the_members_deviations(world, fit):
    rows, pairs = np.arange(20), world.comparisons.pairs[:30]
    each = fit.scale * fit.networks.rewards(world.features[rows])
    mean, spread = fit.respond(world.features, rows)
    np.testing.assert_allclose(mean, each.mean(axis=1))
    np.testing.assert_allclose(spread @ spread.T, np.cov(each), atol=1e-10)
    margins = fit.scale * fit.networks.rewards(world.features)
    margins = margins[pairs[:, 0]] - margins[pairs[:, 1]]
    mu, z = fit.whiten(world.features, pairs)
    np.testing.assert_allclose(mu, margins.mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(z @ z.T, np.cov(margins), atol=1e-10)
    assert z.shape == (30, fit.rank)


def test_conditioning_takes_in_answers_one_after_the_other(world, fit):
    pairs, weight = world.comparisons.pairs[:5], np.linspace(0.1, 0.25, 5)
    _, z = fit.whiten(world.features, pairs, dtype=np.float64)
    together = fit.condition(z, weight)
    before = z @ z.T
    expected = np.linalg.inv(np.linalg.inv(before + 1e-9 * np.eye(5)) + np.diag(weight))
    _, after = together.whiten(world.features, pairs)
    np.testing.assert_allclose(after @ after.T, expected, atol=1e-5)
    step = fit
    for i in range(5):
        _, now = step.whiten(world.features, pairs[i : i + 1], dtype=np.float64)
        step = step.condition(now, weight[i : i + 1])
    np.testing.assert_allclose(
        step.margin(world.features, pairs)[1], together.margin(world.features, pairs)[1], atol=1e-8
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_of_any_precision_will_do(world, fit, dtype):
    mu, s2 = fit.margin(world.features.astype(dtype), world.comparisons.pairs[:20])
    exact, spread = fit.margin(world.features, world.comparisons.pairs[:20])
    np.testing.assert_allclose(mu, exact, atol=0.02)
    np.testing.assert_allclose(s2, spread, atol=0.02)


def test_an_ensemble_survives_storage(world, fit):
    _, z = fit.whiten(world.features, world.comparisons.pairs[:3], dtype=np.float64)
    for belief in (fit, fit.condition(z, np.full(3, 0.2))):
        again = belief_from_arrays(belief.to_arrays())
        assert isinstance(again, Ensemble)
        assert (again.tie, again.scale, again.n_comparisons) == (fit.tie, fit.scale, 600)
        here, there = (b.margin(world.features, world.comparisons.pairs) for b in (belief, again))
        np.testing.assert_array_equal(here, there)


def test_any_belief_is_found_again_by_its_arrays(planted, fitted):
    again = belief_from_arrays(fitted.to_arrays())
    np.testing.assert_array_equal(again.theta, fitted.theta)
    with pytest.raises(ShapeError, match="no known kind of belief"):
        belief_from_arrays({"weights": np.zeros(2)})


def test_a_stored_ensemble_names_what_it_lacks(fit):
    arrays = fit.to_arrays()
    del arrays["last"]
    with pytest.raises(ShapeError, match="lacks last"):
        belief_from_arrays(arrays)


def test_a_warm_start_begins_half_way_between_the_draw_and_where_it_was(world, fit):
    still = replace(SMALL, learning_rate=1e-9)
    warm = still.fit(world.features, world.comparisons, start=fit)
    drawn = still.fit(world.features, world.comparisons)
    for name, values in warm.networks.arrays().items():
        middle = (getattr(drawn.networks, name) + getattr(fit.networks, name)) / 2
        np.testing.assert_allclose(values, middle, atol=1e-5, err_msg=name)


def test_many_warm_rounds_are_as_good_as_a_fresh_fit(world):
    head, belief = DeepEnsemble(members=10, width=16), None
    everything = Bent(n=900).comparisons
    test = everything.subset(np.arange(600, 900))
    for n in range(100, 601, 100):
        belief = head.fit(world.features, everything.subset(np.arange(n)), start=belief)
    fresh = head.fit(world.features, everything.subset(np.arange(600)))
    losses = [
        log_loss(b.preference(*b.margin(world.features, test.pairs)), test.outcome)
        for b in (belief, fresh)
    ]
    assert losses[0] < losses[1] + 0.02


def test_a_start_of_another_kind_or_shape_is_not_used(world, fit):
    wide = replace(SMALL, width=4)
    other = wide.fit(world.features, world.comparisons, start=fit)
    alone = wide.fit(world.features, world.comparisons)
    np.testing.assert_array_equal(other.networks.last, alone.networks.last)
    linear = LinearBT().fit(world.features, world.comparisons)
    again = SMALL.fit(world.features, world.comparisons, start=linear)
    np.testing.assert_array_equal(again.networks.last, fit.networks.last)
    with pytest.raises(ShapeError, match="start has 4 weights"):
        SMALL.fit(np.zeros((120, 3)), world.comparisons, start=fit)


def test_a_pair_keeps_its_fold(world):
    data = world.comparisons
    fold = folds_of(data, 5)
    np.testing.assert_array_equal(folds_of(data.swapped(), 5), fold)
    np.testing.assert_array_equal(folds_of(data.subset(np.arange(99, -1, -1)), 5)[::-1], fold[:100])
    assert np.bincount(fold).min() > 80
    assert not len(folds_of(Comparisons.none(), 5))


def test_every_comparison_is_seen_before_any_is_seen_twice():
    order = batches(10, 4, 5, seed=0)
    assert order.shape == (5, 4)
    np.testing.assert_array_equal(np.sort(order.ravel()[:10]), np.arange(10))
    assert batches(3, 8, 2, seed=0).shape == (2, 3)


def test_the_scale_is_found_that_answers_were_drawn_with(rng):
    mean = rng.standard_normal(4000)
    noise = np.full(4000, 0.05)
    p = 1 / (1 + np.exp(-2.0 * mean))
    data = Comparisons.of(np.zeros(4000), np.ones(4000), np.where(rng.random(4000) < p, 1, -1))
    bag = OutOfBag(mean, noise, np.zeros(4000))
    assert choose_scale(bag, data, AnswerModel(0.0)) == pytest.approx(2.0, rel=0.15)


def test_few_members_out_of_bag_are_made_up_for(rng):
    # Members scatter by 1 around the truth; four of twenty have not seen a comparison.
    truth, n = rng.standard_normal(3000), 3000
    margins = truth + rng.standard_normal((20, n))
    kept = np.ones((20, n), dtype=bool)
    kept[:4] = False
    outcome = np.where(rng.random(n) < norm.cdf(truth), 1, -1)
    data = Comparisons.of(np.zeros(n), np.ones(n), outcome)
    few, none = OutOfBag.of(margins, kept), np.zeros_like(kept)
    model = AnswerModel(0.0)
    wanted = OutOfBag.of(margins, none).log_likelihood(1.0, data, model).mean()
    found = few.log_likelihood(1.0, data, model).mean()
    plain = replace(few, excess=np.zeros(n)).log_likelihood(1.0, data, model).mean()
    assert abs(found - wanted) < 0.5 * abs(plain - wanted)
    np.testing.assert_allclose(few.excess, 1 / 4 - 1 / 20)


def test_the_prior_has_the_variance_it_promises(world):
    found = DeepEnsemble().fit(world.features, Comparisons.none())
    assert found.n_comparisons == 0
    _, s2 = found.margin(world.features, world.comparisons.pairs)
    assert s2.mean() == pytest.approx(1.0, rel=0.25)


@pytest.mark.parametrize("outcome", [1, 0, -1])
def test_one_answer_is_enough_not_to_fail(world, outcome):
    found = SMALL.fit(world.features, Comparisons.of([0], [1], [outcome]))
    mu, s2 = found.margin(world.features, [[0, 1]])
    assert np.isfinite(mu).all()
    assert s2[0] > 0


def test_identical_responses_break_nothing():
    found = SMALL.fit(np.ones((4, 3)), Comparisons.of([0, 2], [1, 3], [1, 0]))
    mu, s2 = found.margin(np.ones((4, 3)), [[0, 1]])
    np.testing.assert_allclose([mu[0], s2[0]], 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"members": 5, "folds": 3}, "two members a fold"),
        ({"folds": 1}, "two folds"),
        ({"width": 0}, "width must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        DeepEnsemble(**options)


def test_a_device_that_is_not_here_is_named(world):
    with pytest.raises(ConfigError, match="device 'abacus' is not here"):
        replace(SMALL, device="abacus").fit(world.features, world.comparisons)
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", [item.name for item in fields(Networks)])
def test_networks_of_the_wrong_shape_or_not_finite_are_refused(fit, name):
    values = getattr(fit.networks, name)
    with pytest.raises(ShapeError):
        replace(fit.networks, **{name: values[..., :-1]})
    with pytest.raises(ShapeError, match="NaN"):
        replace(fit.networks, **{name: np.full_like(values, np.nan)})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": 0.0}, "scale must be positive"),
        ({"tie": -1.0}, "tie at least 0"),
        ({"mix": np.eye(3)}, "mix"),
    ],
)
def test_ensembles_check_what_they_are_made_of(fit, change, words):
    with pytest.raises(ShapeError, match=words):
        replace(fit, **change)
