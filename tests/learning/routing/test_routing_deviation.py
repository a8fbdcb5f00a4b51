import numpy as np
import pytest

from learning.data import Comparisons
from learning.heads import ItemBT, LinearBT
from learning.routing.deviation import KAPPAS, Apart, Deviation, _doubt, find
from tests.learning.routing.routed import Judged

PLAIN = LinearBT(tie=0.0)


class Tastes:
    """People follow one reward; the judge the same or one that shares half of the weights."""

    def __init__(self, *, other, n=500, people=200, dim=6, seed=0):
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((n, dim))
        self.features = np.vstack([self.x, np.zeros(dim)])
        self.theta = 1.5 * rng.standard_normal(dim)
        judged = self.theta.copy()
        if other:
            judged[: dim // 2] *= -1
        ours = rng.random(people) < 1 / (1 + np.exp(-self.x[:people] @ self.theta))
        theirs = rng.random(n) < 1 / (1 + np.exp(-self.x @ judged))
        rows = np.concatenate([np.arange(people), np.arange(n)])
        won = np.concatenate([ours, theirs])
        self.labels = Comparisons.of(rows, np.full(len(rows), n), np.where(won, 1, -1))
        self.human = np.arange(len(rows)) < people
        self.epsilon = np.zeros(len(rows))

    def found(self, head=PLAIN, **more):
        return find(self.features, self.labels, self.epsilon, self.human, head=head, **more)

    def cosine(self, belief):
        theta = belief.theta[:6]
        return theta @ self.theta / np.linalg.norm(theta) / np.linalg.norm(self.theta)


def test_one_taste_stays_one():
    for seed in range(5):
        world = Tastes(other=False, seed=seed)
        deviation, belief = world.found()
        assert deviation.kappa <= 0.3
        assert not deviation.other_taste
        assert deviation.doubt < 0.01
        assert world.cosine(belief) > 0.97


def test_another_taste_is_found_and_people_are_believed():
    for seed in range(5):
        world = Tastes(other=True, seed=seed)
        deviation, belief = world.found()
        assert deviation.kappa >= 1.0
        assert deviation.gain > 5
        assert world.cosine(belief) > 0.9
        together = PLAIN.fit(world.features, world.labels)
        assert world.cosine(belief) > world.cosine(together) + 0.1


def test_accidents_are_no_taste():
    world = Judged(n=800, bad=0.8, seed=1)
    people, judge = np.arange(150), np.arange(800)
    both = [world.said(world.people[0], people), world.said(world.signs.outcome, judge)]
    labels = Comparisons.of(
        *(np.concatenate([getattr(b, name) for b in both]) for name in ("left", "right", "outcome"))
    )
    error = np.where(world.tag == 0, 0.6, 0.15)
    epsilon = np.concatenate([np.full(150, 0.1), error])
    deviation, _ = find(world.features, labels, epsilon, np.arange(950) < 150, head=PLAIN)
    assert not deviation.other_taste


def test_two_views_are_the_reward_and_its_deviation():
    features = np.array([[1.0, 2.0], [3.0, 5.0], [7.0, 7.0]])
    labels = Comparisons.of([0, 0], [1, 2], [1, -1])
    people = np.array([True, False])
    view = Apart.of(features, labels, people, kappa=3.0, recurring=np.array([1, 2]))
    np.testing.assert_array_equal(view.features[:2], [[1, 2, 0, 0], [3, 5, 0, 0]])
    np.testing.assert_array_equal(view.features[3:], [[1, 2, 3, 6], [7, 7, 21, 21]])
    assert view.labels.left.tolist() == [0, 3]
    assert view.labels.right.tolist() == [1, 4]
    assert view.recurring.tolist() == [1, 2, 4]
    same = Apart.of(features, labels, people, kappa=0.0)
    assert same.features is features
    assert same.labels is labels


@pytest.mark.parametrize("head", [PLAIN, ItemBT(tie=0.0)])
def test_peoples_part_predicts_as_the_whole_does(head):
    rng = np.random.default_rng(0)
    features = rng.standard_normal((20, 3))
    left = rng.integers(0, 20, 150)
    right = (left + rng.integers(1, 20, 150)) % 20
    labels = Comparisons.of(left, right, np.where(features[left, 0] > features[right, 0], 1, -1))
    view = Apart.of(features, labels, rng.random(150) < 0.5, kappa=1.0)
    whole = head.fit(view.features, view.labels)
    ours = view.people(whole)
    assert ours.width == 3
    pairs = np.stack([left, right], axis=1)
    for one, other in zip(
        ours.margin(features, pairs), whole.margin(view.features, pairs), strict=True
    ):
        np.testing.assert_allclose(one, other)


def test_few_answers_no_judge_and_other_heads_leave_it_at_one_taste():
    few = Tastes(other=True, people=20)
    assert few.found()[0].kappa == 0.0
    alone = Tastes(other=True)
    rows = alone.human
    deviation, belief = find(
        alone.features, alone.labels.subset(rows), np.zeros(rows.sum()), rows[rows], head=PLAIN
    )
    assert deviation.kappa == 0.0
    assert alone.cosine(belief) > 0.9

    class Sampler:  # a head whose belief is no Gaussian over weights
        name = "sampler"
        fits = 0

        def fit(self, features, comparisons, **more):
            self.fits += 1
            return "samples"

    head = Sampler()
    deviation, belief = alone.found(head=head)
    assert (deviation.kappa, belief, head.fits) == (0.0, "samples", 1)


@pytest.mark.parametrize("head", [PLAIN, ItemBT(tie=0.0)])
def test_a_response_that_nobody_names_costs_nothing_and_moves_nothing(head):
    rng = np.random.default_rng(3)
    features = rng.standard_normal((20, 3))
    left = rng.integers(0, 20, 120)
    right = (left + rng.integers(1, 20, 120)) % 20
    labels = Comparisons.of(left, right, np.where(rng.random(120) < 0.6, 1, -1))
    human, recurring = np.arange(120) < 60, np.arange(0, 20, 2)
    idle = rng.standard_normal((1000, 3))
    later = Comparisons.of(left + 1000, right + 1000, labels.outcome)
    views = [
        Apart.of(features, labels, human, kappa=1.0, recurring=recurring),
        Apart.of(np.vstack([idle, features]), later, human, kappa=1.0, recurring=recurring + 1000),
    ]
    np.testing.assert_array_equal(views[0].features, views[1].features)
    fits = [
        view.people(head.fit(view.features, view.labels, recurring=view.recurring))
        for view in views
    ]
    np.testing.assert_allclose(fits[0].theta, fits[1].theta)
    np.testing.assert_array_equal(fits[0].items + 1000, fits[1].items)


def test_doubt_is_the_share_of_other_tastes_in_the_evidence():
    equal = dict.fromkeys(KAPPAS, 0.0)
    assert _doubt(equal) == pytest.approx(0.4)
    assert not Deviation(doubt=_doubt(equal)).doubtful  # nothing was said either way
    assert _doubt(equal | {3.0: np.log(2), 10.0: np.log(2)}) == pytest.approx(4 / 7)
    assert _doubt({0.0: 0.0, 0.3: -800.0}) == 0.0
    assert Deviation(3.0, 0.1, _doubt(equal | {3.0: 0.1})).doubtful


def test_with_too_few_answers_nobody_is_doubted():
    deviation, _ = Tastes(other=True, n=100, people=25).found()
    assert deviation == Deviation()
