import numpy as np
import pytest

from learning.errors import NotEnoughData, ShapeError
from learning.routing.data import Signs
from learning.routing.frontier import LEAST, STEPS, frontier


def planted(seed, n=400, human=0.1):
    """A judge that is always wrong about one question in four, told by a tag, and else right."""
    rng = np.random.default_rng(seed)
    tag = (rng.random(n) < 0.25).astype(float)
    judge_wrong = tag > 0
    slips = rng.random(n) < human
    signs = Signs.of(np.where(rng.random(n) < 0.5, 0.8, 0.2), tags=tag[:, None])
    return signs, (judge_wrong ^ slips).astype(float), tag


def draw(seed=0, **named):
    signs, wrong, _ = planted(seed, **named)
    rng = np.random.default_rng(seed)
    return frontier(signs, wrong, np.full(len(wrong), 20.0), human=0.1, rng=rng)


def test_the_ends_are_the_judge_and_people():
    steps = draw()
    assert [one.share for one in steps] == [part / STEPS for part in range(STEPS + 1)]
    assert steps[0].routed.value == pytest.approx(0.75, abs=0.06)
    assert steps[0].random == pytest.approx(steps[0].routed.value)
    assert steps[-1].routed.value == pytest.approx(0.9)
    assert steps[-1].random == pytest.approx(0.9)
    assert [one.seconds for one in steps] == pytest.approx([2.0 * part for part in range(11)])


def test_routing_finds_the_weak_spot_that_a_draw_does_not():
    values = [draw(seed) for seed in range(10)]
    routed = np.mean([one[3].routed.value for one in values])
    random = np.mean([one[3].random for one in values])
    # People get all of the judge's blunders: 0.25 * 0.9 + 0.75 * 1, less a slip of theirs or two.
    assert routed == pytest.approx(0.97, abs=0.02)
    assert random == pytest.approx(0.795, abs=0.03)
    assert routed > values[0][-1].routed.value  # better than people alone


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    inside = 0
    for seed in range(60):
        judge_alone = draw(seed, n=200)[0].routed
        inside += judge_alone.low <= 0.75 <= judge_alone.high
    assert inside >= 50


def test_of_equally_doubtful_questions_the_cheap_ones_come_first():
    signs, wrong, tag = planted(1)
    dear = (tag > 0) & (np.arange(400) % 2 == 0)
    seconds = np.where(dear, 1000.0, 1.0)
    steps = frontier(signs, wrong, seconds, human=0.1, rng=np.random.default_rng(1))
    assert steps[1].seconds == pytest.approx(0.1)
    assert steps[3].seconds > 10
    assert steps[1].routed.value > steps[0].routed.value + 0.05


def test_too_little_is_named():
    signs, wrong, _ = planted(0, n=LEAST - 1)
    rng = np.random.default_rng(0)
    with pytest.raises(NotEnoughData, match="20 audited questions, there are 19"):
        frontier(signs, wrong, np.ones(LEAST - 1), human=0.1, rng=rng)
    with pytest.raises(ShapeError):
        frontier(signs, wrong[1:], np.ones(LEAST - 1), human=0.1, rng=rng)
