"""Figures of reward models against known answers and second implementations."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import roc_auc_score

from learning.errors import NotEnoughData, ShapeError
from learning.finetune.evaluate_figures import Judged, figures, plain, reliability, sliced
from learning.finetune.evaluate_length import length_of, logistic
from learning.metrics import accuracy, ece, log_loss, log_loss_ties


def world(n=4000, *, length_taste=0.0, overrated=0.0, ties=0.0, seed=0):
    """Pairs whose people see quality and perhaps length, and a model that adds more length."""
    rng = np.random.default_rng(seed)
    quality, length = rng.normal(size=n), rng.normal(size=n)
    truth = quality + length_taste * length
    outcome = np.where(rng.random(n) < expit(truth), 1, -1).astype(np.int8)
    outcome[rng.random(n) < ties] = 0
    margin = truth + overrated * length
    group = np.repeat(np.arange(n // 4), 4)
    return Judged(margin, outcome, 0.7 * length, group, {})


def test_figures_agree_with_the_library_of_the_heads():
    judged = world(ties=0.2)
    found = figures(judged, tie=0.4)
    p = expit(judged.margin)
    small = np.exp(-np.abs(judged.margin) / 2)
    total = 1 + small**2 + 0.8 * small
    better, worse = 1 / total, small**2 / total
    win = np.where(judged.margin >= 0, better, worse)
    loss = np.where(judged.margin >= 0, worse, better)
    assert found.accuracy.value == pytest.approx(accuracy(p, judged.outcome))
    assert found.log_loss.value == pytest.approx(log_loss(p, judged.outcome))
    assert found.log_loss_ties.value == pytest.approx(
        log_loss_ties(win, 0.8 * small / total, loss, judged.outcome)
    )
    assert found.ties == pytest.approx(float((judged.outcome == 0).mean()))
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert found.groups == 1000


def test_reliability_bins_are_those_of_the_calibration_error():
    judged = world()
    p = expit(judged.margin * judged.outcome)
    sure, hits = np.maximum(p, 1 - p), (p > 0.5).astype(float)
    bins = reliability(sure, hits)
    made = sum(b.n * abs(b.accuracy - b.confidence) for b in bins) / len(p)
    assert made == pytest.approx(ece(sure, hits))
    assert figures(judged).ece.value == pytest.approx(ece(sure, hits))
    assert sum(b.n for b in bins) == len(p)


def test_the_interval_of_the_calibration_error_sees_miscalibration():
    judged = world(n=8000)
    wrong = Judged(3 * judged.margin, judged.outcome, judged.length, judged.group, {})
    assert figures(wrong).ece.low > figures(judged).ece.high


def test_margins_that_know_ties_and_margins_that_do_not():
    rng = np.random.default_rng(1)
    outcome = np.repeat([0, 1, -1], 500).astype(np.int8)
    margin = np.where(outcome == 0, 0.3, 2.0) * rng.normal(size=1500)
    judged = Judged(margin, outcome, rng.normal(size=1500), np.arange(1500), {})
    found = figures(judged).tie_auc
    assert found.value == pytest.approx(roc_auc_score(outcome != 0, np.abs(margin)))
    assert 0.5 < found.low < found.value < found.high
    none = Judged(rng.normal(size=1500), outcome, judged.length, judged.group, {})
    blind = figures(none).tie_auc
    assert blind.low < 0.5 < blind.high
    assert np.isnan(figures(world()).tie_auc.value)


def test_a_logistic_slope_is_that_of_a_second_implementation():
    judged = world(length_taste=0.5)
    X = np.stack([judged.margin, judged.length], axis=1)
    ours = logistic(X, judged.outcome > 0, judged.group)
    theirs = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8)
    theirs.fit(X, judged.outcome > 0)
    np.testing.assert_allclose([e.value for e in ours], theirs.coef_[0], atol=2e-4)


def test_intervals_of_slopes_cover_the_truth_about_as_often_as_they_say():
    inside = 0
    for seed in range(100):
        judged = world(n=400, length_taste=0.5, seed=seed)
        X = np.stack([judged.margin, judged.length], axis=1)
        first = logistic(X, judged.outcome > 0, judged.group)[0]
        inside += first.low < 1.0 < first.high
    assert 88 <= inside <= 100


def test_answers_of_one_group_that_are_the_same_widen_the_interval():
    judged = world(n=400)
    X, won = judged.margin[:, None], judged.outcome > 0
    copies = np.repeat(np.arange(400), 9)
    alone = logistic(X, won, np.arange(400))[0]
    copied = logistic(X[copies], won[copies], copies)[0]
    assert copied.value == pytest.approx(alone.value, abs=1e-5)
    assert copied.high - copied.low == pytest.approx(alone.high - alone.low, rel=1e-3)


@pytest.mark.parametrize("overrated", [0.6, -0.6])
def test_a_model_that_overrates_length_is_found_out(overrated):
    judged = world(length_taste=0.3, overrated=overrated)
    found = figures(judged).length
    assert found.people.low < 0.3 * 0.9 < found.people.high + 0.1
    assert found.bias.low * np.sign(overrated) > 0 or found.bias.high * np.sign(overrated) > 0
    assert found.bias.value == pytest.approx(overrated, abs=0.12)
    assert found.slope.value == pytest.approx(0.3 + overrated, abs=0.06)
    fair = figures(world(length_taste=0.3)).length.bias
    assert fair.low < 0 < fair.high


def test_accuracy_at_equal_length_agrees_with_a_second_implementation():
    judged = world(length_taste=0.2, overrated=0.8)
    d = judged.length / np.sqrt(np.square(judged.length).mean())
    line = LinearRegression(fit_intercept=False).fit(d[:, None], judged.margin)
    rest = judged.margin - line.predict(d[:, None])
    wanted = float((np.sign(rest) == judged.outcome).mean())
    assert figures(judged).length.accuracy.value == pytest.approx(wanted)


def test_a_model_of_length_alone_is_worth_nothing_at_equal_length():
    judged = world(length_taste=1.0)
    alone = Judged(2.0 * judged.length, judged.outcome, judged.length, judged.group, {})
    found = figures(alone)
    assert found.accuracy.low > 0.55
    assert found.length.longer_won.value == 1.0
    assert found.length.shorter_won.value == 0.0
    assert abs(found.length.accuracy.value - 0.5) < 0.05


def test_turning_pairs_around_changes_nothing():
    judged = world(n=400, length_taste=0.4, ties=0.2)
    turned = Judged(-judged.margin, -judged.outcome, -judged.length, judged.group, {})
    assert plain(figures(turned, tie=0.3)) == plain(figures(judged, tie=0.3))


def test_slices_are_those_with_enough_answers_and_a_row_counts_under_each_of_its_tags():
    judged = world(n=100)
    tags = [("maths", "code") if n < 30 else ("code",) if n < 60 else () for n in range(100)]
    subsets = [("a",) if n < 95 else ("rare",) for n in range(100)]
    named = Judged(
        judged.margin, judged.outcome, judged.length, judged.group,
        {"tag": tags, "subset": subsets},
    )  # fmt: skip
    found = sliced(named)
    assert list(found["tag"]) == ["code", "maths"]
    assert found["tag"]["code"].n == 60
    assert found["tag"]["maths"].accuracy.value == figures(named.part(np.arange(30))).accuracy.value
    assert list(found["subset"]) == ["a"]
    json.dumps(plain(found), allow_nan=False)


def test_ties_alone_cannot_be_evaluated_on_and_shapes_must_agree():
    nothing = Judged(np.zeros(3), np.zeros(3, np.int8), np.zeros(3), np.arange(3), {})
    with pytest.raises(NotEnoughData, match="no decisive"):
        figures(nothing)
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="one shape"):
        length_of(np.zeros(3), np.zeros(2), np.ones(3), np.arange(3), rng=rng)
    with pytest.raises(ShapeError, match="finite"):
        length_of(np.array([np.nan]), np.zeros(1), np.ones(1), np.arange(1), rng=rng)


def test_one_group_has_no_interval_and_equal_lengths_no_slope():
    found = figures(Judged(np.ones(4), np.ones(4, np.int8), np.zeros(4), np.zeros(4, int), {}))
    assert found.accuracy.value == 1.0
    assert np.isnan(found.accuracy.low)
    assert np.isnan(found.length.bias.value)
    assert found.length.accuracy.value == 1.0
