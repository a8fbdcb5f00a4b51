import numpy as np
import pytest

from learning.data import Comparisons
from learning.errors import ShapeError
from learning.heads import LinearBT
from learning.routing import Labels, learn, source
from learning.routing.deviation import Deviation
from tests.learning.routing.routed import Judged


def labels(world, *, asked, audited, epsilon):
    """People's answers to the first questions, the judge's to all."""
    people, judge = np.arange(asked), np.arange(world.n)
    both = [world.said(world.people[0], people), world.said(world.signs.outcome, judge)]
    joined = Comparisons.of(
        *(np.concatenate([getattr(one, n) for one in both]) for n in ("left", "right", "outcome"))
    )
    question = np.concatenate([people, judge])
    return Labels(
        comparisons=joined,
        epsilon=np.concatenate([np.full(asked, 0.1), epsilon]),
        question=question,
        human=np.arange(len(question)) < asked,
        audit=question < audited,
    )


def learnt(world, said, **more):
    return learn(world.features, said, human=0.1, rng=np.random.default_rng(0), **more)


def test_fusion_is_kept_where_it_is_best():
    world = Judged(n=900, seed=3)
    error = world.knowledge(200).error.predict(world.signs)
    found = learnt(world, labels(world, asked=200, audited=200, epsilon=error))
    assert found.source == "both"
    assert found.belief is found.fused.belief
    assert found.tested == 200
    assert found.log_loss["both"] < min(found.log_loss["people"], found.log_loss["judge"])


def test_a_judge_of_another_taste_is_left_at_once():
    world = Judged(n=900, seed=3, bad=0.85, usual=0.85)
    said = labels(world, asked=250, audited=0, epsilon=np.full(900, 0.02))
    found = learnt(world, said)
    assert (found.source, found.tested) == ("people", 0)
    assert found.deviation.other_taste
    plain = LinearBT().fit(world.features, said.comparisons.subset(said.human))
    np.testing.assert_allclose(found.belief.theta, plain.theta)


@pytest.fixture
def one_taste(monkeypatch):
    """The evidence about tastes is silent; only the audit is left."""
    monkeypatch.setattr(source, "find", lambda *given, **more: (Deviation(), None))


@pytest.mark.usefixtures("one_taste")
def test_people_alone_where_the_judge_misleads():
    """The judge is nearly always wrong, and its error rate is thought to be small."""
    world = Judged(n=900, seed=3, bad=0.85, usual=0.85)
    said = labels(world, asked=250, audited=250, epsilon=np.full(900, 0.02))
    found = learnt(world, said)
    assert found.source == "people"
    assert world.accuracy(found.belief) > 0.85 > world.accuracy(found.fused.belief) + 0.2


@pytest.mark.usefixtures("one_taste")
def test_the_judge_alone_where_fusion_turns_it_round():
    """A good judge that is thought to be wrong more often than right."""
    world = Judged(n=900, seed=4, bad=0.05, usual=0.05)
    found = learnt(world, labels(world, asked=60, audited=60, epsilon=np.full(900, 0.6)))
    assert found.source == "judge"
    assert world.accuracy(found.belief) > 0.9


@pytest.mark.usefixtures("one_taste")
def test_too_few_audited_answers_are_no_evidence():
    world = Judged(n=300, seed=3, bad=0.85, usual=0.85)
    found = learnt(world, labels(world, asked=100, audited=20, epsilon=np.full(300, 0.02)))
    assert (found.source, found.tested, found.log_loss) == ("both", 0, {})


def test_how_sure_a_source_is_does_not_decide():
    """Ten times the features make people's margins ten times as sure and no better."""
    world = Judged(n=900, seed=3)
    error = world.knowledge(200).error.predict(world.signs)
    said = labels(world, asked=200, audited=200, epsilon=error)
    scaled = learn(10 * world.features, said, human=0.1, rng=np.random.default_rng(0))
    assert scaled.log_loss["people"] == pytest.approx(
        learnt(world, said).log_loss["people"], abs=0.01
    )


def test_bad_labels_are_refused():
    one = Comparisons.of([0], [1], [1])
    with pytest.raises(ShapeError, match="epsilon must lie"):
        Labels(one, [1.5], [0], [True], [True])
    with pytest.raises(ShapeError, match="question must have shape"):
        Labels(one, [0.5], [0, 1], [True], [True])
