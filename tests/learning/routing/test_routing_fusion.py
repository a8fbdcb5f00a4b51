import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from learning.data import Comparisons
from learning.errors import ShapeError
from learning.heads import ItemBT, LinearBT
from learning.routing import fuse, weighted
from learning.routing.fusion import correctness, mirrored
from tests.learning.routing.routed import Judged

PLAIN = LinearBT(tie=0.0)


@pytest.mark.parametrize(
    ("p", "right", "expected"),
    [(0.8, 0.9, 0.972973), (0.5, 0.9, 0.9), (0.1, 0.9, 0.5), (0.05, 0.8, 0.173913)],
)
def test_the_known_weights(p, right, expected):
    assert correctness(np.array([p]), np.array([1 - right]))[0] == pytest.approx(expected, abs=1e-6)


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_weights_are_probabilities_and_mirror(p, epsilon):
    w = correctness(np.array([p]), np.array([epsilon]))[0]
    assert 0 <= w <= 1
    if 0.001 < p < 0.999 and epsilon > 0.001:
        flipped = correctness(np.array([1 - p]), np.array([1 - epsilon]))[0]
        assert w + flipped == pytest.approx(1.0)


def test_the_loss_of_a_label_and_its_mirror_image():
    both = mirrored(Comparisons.of([0], [1], [1]), np.array([0.8]))
    m = np.array([1.0, 1.0])
    loss = -(both.weight * log_expit(both.outcome * m)).sum()
    assert loss == pytest.approx(0.513262, abs=1e-6)


def test_mirror_images_lose_strength_and_keep_weight():
    labels = Comparisons.of([0, 1], [1, 2], [1, 0], strength=[3, 0], weight=[2.0, 1.0])
    both = mirrored(labels, np.array([0.75, 1.0]))
    assert both.outcome.tolist() == [1, 0, -1]
    assert both.strength.tolist() == [3, 0, 0]
    np.testing.assert_allclose(both.weight, [1.5, 1.0, 0.5])


def test_without_doubt_it_is_the_plain_fit_exactly():
    world = Judged(n=120)
    labels = world.said(world.people[0], np.arange(120))
    fused = fuse(world.features, labels, np.zeros(120), head=PLAIN)
    plain = PLAIN.fit(world.features, labels)
    np.testing.assert_array_equal(fused.belief.theta, plain.theta)
    np.testing.assert_array_equal(fused.belief.factor, plain.factor)
    assert fused.rounds == 1
    np.testing.assert_array_equal(fused.correct, 1.0)


def test_little_doubt_is_nearly_the_plain_fit():
    world = Judged(n=120)
    labels = world.said(world.people[0], np.arange(120))
    plain = PLAIN.fit(world.features, labels)
    gaps = [
        np.abs(fuse(world.features, labels, np.full(120, e)).belief.theta - plain.theta).max()
        for e in (0.2, 1e-6)
    ]
    # The prior is chosen to a hundredth, so that two fits from different starts differ a little.
    assert gaps[1] < 0.03 < 0.3 < gaps[0]


def test_a_weak_tag_does_not_spoil_what_people_and_the_audit_know():
    world = Judged(n=1500, seed=2)
    rows, everything = np.arange(150), np.arange(1500)
    people = world.said(world.people[0], rows)
    judge = world.said(world.signs.outcome, everything)
    both = Comparisons.of(
        np.concatenate([people.left, judge.left]),
        np.concatenate([people.right, judge.right]),
        np.concatenate([people.outcome, judge.outcome]),
    )
    error = world.knowledge(150).error.predict(world.signs)
    fused = fuse(world.features, both, np.concatenate([np.full(150, 0.1), error]))
    reached = world.accuracy(fused.belief)
    assert reached > world.accuracy(PLAIN.fit(world.features, people)) + 0.01
    assert reached > world.accuracy(PLAIN.fit(world.features, judge)) + 0.01
    of_judge = fused.correct[150:]
    assert of_judge[world.wrong].mean() < 0.4 < 0.9 < of_judge[~world.wrong].mean()
    assert fused.rounds > 3
    np.testing.assert_array_equal(fused.epsilon, np.concatenate([np.full(150, 0.1), error]))


def test_em_climbs_to_a_top_of_the_mixture_likelihood():
    """The second implementation: the likelihood itself, by a general optimiser."""
    world = Judged(n=300, seed=4)
    labels = world.said(world.signs.outcome, np.arange(300))
    error = np.where(world.tag == 0, 0.6, 0.15)

    class Fixed:
        name = "fixed"

        def fit(self, features, comparisons, **more):
            more.pop("prior_precision", None)
            found = PLAIN.fit(features, comparisons, prior_precision=2.0, **more)
            return type(found)(found.theta, np.zeros((found.dim, 1)), 2.0)  # no spread

    fused = fuse(world.features, labels, error, head=Fixed(), rounds=200)
    x = world.features[:300]

    def loss(theta):
        m = x @ theta * labels.outcome
        mixed = (1 - error) * expit(m) + error * expit(-m)
        return theta @ theta - np.log(mixed).sum()

    best = minimize(loss, fused.belief.theta, method="BFGS")
    assert loss(fused.belief.theta) < best.fun + 0.05
    assert loss(fused.belief.theta) < loss(PLAIN.fit(world.features, labels).theta) - 5


def test_the_rates_of_five_annotators_are_found():
    rng = np.random.default_rng(0)
    right, n, dim = np.array([0.95, 0.9, 0.8, 0.65, 0.5]), 4000, 8
    x = rng.standard_normal((n, dim))
    theta = rng.standard_normal(dim)
    theta *= 3 / np.linalg.norm(theta)
    annotator = rng.integers(0, 5, n)
    won = np.where(rng.random(n) < expit(x @ theta), 1, -1)
    said = np.where(rng.random(n) < right[annotator], won, -won)
    features = np.vstack([x, np.zeros(dim)])
    labels = Comparisons.of(np.arange(n), np.full(n, n), said)
    fused = fuse(features, labels, np.full(n, 0.1), annotator=annotator, head=PLAIN, rounds=40)
    found = 1 - np.array([fused.epsilon[annotator == k][0] for k in range(5)])
    np.testing.assert_allclose(found, right, atol=0.08)
    plain = PLAIN.fit(features, labels).theta

    def cosine(w):
        return w @ theta / np.linalg.norm(w) / np.linalg.norm(theta)

    assert cosine(fused.belief.theta) > cosine(plain)
    assert abs(np.linalg.norm(fused.belief.theta) - 3) < abs(np.linalg.norm(plain) - 3)


def test_annotators_who_are_not_counted_keep_their_rate():
    world = Judged(n=100)
    labels = world.said(world.people[0], np.arange(100))
    who = np.where(np.arange(100) < 50, 0, -1)
    fused = fuse(world.features, labels, np.full(100, 0.2), annotator=who)
    np.testing.assert_array_equal(fused.epsilon[50:], 0.2)
    assert len(np.unique(fused.epsilon[:50])) == 1
    assert fused.epsilon[0] != 0.2


def test_ties_are_taken_as_said():
    world = Judged(n=80)
    outcome = world.people[0].copy()
    outcome[:20] = 0
    labels = world.said(outcome, np.arange(80))
    fused = fuse(world.features, labels, np.full(80, 0.2))
    np.testing.assert_array_equal(fused.correct[:20], 1.0)
    assert (fused.correct[20:] < 1).all()
    assert fused.belief.tie > 0.05


def test_any_head_will_do():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((30, 4))
    left = rng.integers(0, 30, 200)
    right = (left + rng.integers(1, 30, 200)) % 30
    reward = features[:, 0] + 2 * rng.standard_normal(30)
    said = np.sign(reward[left] - reward[right])
    said[:40] *= -1
    labels = Comparisons.of(left, right, said)
    epsilon = np.where(np.arange(200) < 80, 0.5, 0.05)
    fused = fuse(features, labels, epsilon, head=ItemBT())
    assert fused.correct[:40].mean() < 0.35
    assert fused.correct[80:].mean() > 0.9
    assert len(fused.belief.items) > 0


def test_swapping_sides_changes_nothing():
    world = Judged(n=100)
    labels = world.said(world.signs.outcome, np.arange(100))
    here, there = (
        fuse(world.features, one, np.full(100, 0.2)) for one in (labels, labels.swapped())
    )
    np.testing.assert_allclose(here.belief.theta, there.belief.theta, atol=1e-8)


def test_one_weighted_fit_turns_what_is_likelier_wrong():
    labels = Comparisons.of([0, 1, 2, 3], [4] * 4, [1, 1, 1, 0], strength=[2, 2, 2, 0])
    found = weighted(labels, np.array([0.1, 0.5, 0.6, 0.3]))
    assert found.left.tolist() == [0, 2, 3]  # a coin says nothing
    assert found.outcome.tolist() == [1, -1, 0]
    assert found.strength.tolist() == [2, 0, 0]
    np.testing.assert_allclose(found.weight, [0.64, 0.04, 1.0])


def test_no_labels_give_the_prior():
    fused = fuse(np.eye(3), Comparisons.none(), [])
    assert not fused.belief.theta.any()


@pytest.mark.parametrize(
    ("epsilon", "more", "words"),
    [
        ([1.0], {}, "epsilon must lie"),
        ([np.nan], {}, "epsilon has NaN"),
        ([0.1, 0.1], {}, "epsilon must have shape"),
        ([0.1], {"annotator": [-2]}, "annotator must be at least -1"),
        ([0.1], {"rounds": 0}, "rounds must be at least 1"),
    ],
)
def test_bad_input_is_named(epsilon, more, words):
    with pytest.raises(ShapeError, match=words):
        fuse(np.eye(2), Comparisons.of([0], [1], [1]), epsilon, **more)
