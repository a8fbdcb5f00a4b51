import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ShapeError
from learning.routing import drift
from learning.routing.drift import BASE, watch


def judged(rng, *parts):
    """Errors at one rate after the other: (answers, rate) each."""
    return np.concatenate([(rng.random(n) < rate).astype(float) for n, rate in parts])


def obvious(errors, run_length, odds):
    """The same, by the book: the largest sum of log likelihood ratios over any recent stretch."""
    base = drift._base(np.asarray(errors[:BASE]))
    worse = odds * base / (1 - base + odds * base)
    ratios = [
        e * np.log(worse / base) + (1 - e) * np.log((1 - worse) / (1 - base)) for e in errors[BASE:]
    ]
    best = [
        max(0.0, *(sum(ratios[start : end + 1]) for start in range(end + 1)))
        for end in range(len(ratios))
    ]
    return np.array(best), any(one > np.log(run_length) for one in best)


@given(
    errors=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=BASE + 1, max_size=BASE + 60),
    run_length=st.floats(2, 1e6),
    odds=st.floats(1.1, 10),
)
def test_the_sum_is_the_largest_over_all_recent_stretches(errors, run_length, odds):
    found = watch(errors, run_length=run_length, odds=odds)
    path, alarm = obvious(errors, run_length, odds)
    np.testing.assert_allclose(found.path, path, atol=1e-9)
    if abs(found.path.max() - found.threshold) > 1e-9:
        assert found.alarm == alarm


def test_a_known_path():
    # Ten of forty: base (10 + 1) / 42 and one standard error more; then three errors.
    errors = [1.0] * 10 + [0.0] * 30 + [1.0, 1.0, 1.0]
    mean = 11 / 42
    base = mean + np.sqrt(mean * (1 - mean) / 40)
    found = watch(errors)
    assert found.base == pytest.approx(base)
    worse = 2 * base / (1 + base)
    np.testing.assert_allclose(found.path, np.log(worse / base) * np.array([1, 2, 3]))
    assert found.threshold == pytest.approx(6.907755)
    assert not found.alarm
    assert found.sentence == ""


def test_a_judge_that_got_worse_is_found_and_the_moment_too():
    late = []
    for seed in range(40):
        errors = judged(np.random.default_rng(seed), (150, 0.15), (150, 0.55))
        found = watch(errors)
        assert found.alarm
        late.append(found.since)
        assert found.rate > found.base
    assert 130 < np.median(late) < 160


def test_it_says_what_it_found():
    errors = [0.0] * BASE + [1.0] * 12
    found = watch(errors)
    assert found.alarm
    assert found.sentence == (
        "it got worse: wrong in 100% of the last 12 audited questions, in 5% before"
    )


def test_false_alarms_come_as_seldom_as_promised():
    """In 1000 answers without change at most one in e runs of exponential length ends."""
    runs = [judged(np.random.default_rng(seed), (BASE + 1000, 0.25)) for seed in range(200)]
    assert np.mean([watch(one).alarm for one in runs]) < 1 - np.exp(-1)


@pytest.mark.parametrize("n", [0, 1, BASE])
def test_few_answers_are_not_watched(n):
    found = watch(np.ones(n))
    assert not found.alarm
    assert np.isnan(found.base)
    assert len(found.path) == 0


@pytest.mark.parametrize(
    ("errors", "options"),
    [([2.0], {}), ([float("nan")], {}), ([0.0], {"run_length": 1.0}), ([0.0], {"odds": 0.5})],
)
def test_what_cannot_be_watched_is_named(errors, options):
    with pytest.raises(ShapeError):
        watch(errors, **options)
