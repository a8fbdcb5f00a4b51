"""Calibration and its figures: known answers, laws, and worlds with a planted judge."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from learning.errors import ConfigError, NotEnoughData, ShapeError
from learning.judges.calibration import Calibration, calibrate, out_of_fold
from learning.judges.quality import agreements, quality, share

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def world(n=2000, slope=0.5, seed=0):
    """A judge whose logits are 1 / slope times too large."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, n)
    return expit(truth / slope), (rng.random(n) < expit(truth)).astype(float)


# --- figures ---------------------------------------------------------------------------------


def test_the_known_answer_of_the_calibration_error():
    # Confidences .9, .8, .6, .55, of which the first and third are right; tenths, left-closed.
    p, y = np.array([0.9, 0.8, 0.4, 0.45]), np.array([1.0, 0.0, 0.0, 1.0])
    found = quality(p, y)
    assert found.ece == pytest.approx(0.4625)
    assert found.agreement.value == 0.5
    assert [(one.low, one.n, one.agreement.value) for one in found.diagram] == [
        (0.5, 1, 0.0),
        (0.6, 1, 1.0),
        (0.8, 1, 0.0),
        (0.9, 1, 1.0),
    ]


def test_brier_and_log_loss_by_hand():
    found = quality([0.8, 0.5], [1.0, 0.5])
    assert found.brier == pytest.approx(0.02)
    assert found.log_loss == pytest.approx((-np.log(0.8) - np.log(0.5)) / 2)
    assert (found.n, found.n_decided, found.decided.value) == (2, 1, 1.0)


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(0, 10, 0.0, 0.27753), (5, 10, 0.23659, 0.76341), (45, 50, 0.78640, 0.95652)],
)
def test_known_wilson_intervals(k, n, low, high):
    found = share(k, n)
    assert (found.low, found.high) == (pytest.approx(low, abs=1e-5), pytest.approx(high, abs=1e-5))


def test_a_share_of_nothing_is_unknown():
    assert np.isnan(share(0, 0).value)


@given(shares, st.data())
def test_figures_do_not_depend_on_the_numbering(p, data):
    y = np.array(data.draw(st.lists(st.floats(0, 1), min_size=len(p), max_size=len(p))))
    one, other = quality(p, y), quality(1 - np.array(p), 1 - y)
    assert one.brier == pytest.approx(other.brier)
    assert one.log_loss == pytest.approx(other.log_loss)
    np.testing.assert_array_equal(agreements(np.array(p), y) + agreements(1 - np.array(p), y), 1)


def test_figures_leave_as_json():
    made = json.loads(json.dumps(quality([0.7], [1.0]).to_json()))
    assert made["diagram"][0]["agreement"]["value"] == 1.0


@pytest.mark.parametrize(
    ("p", "y", "kind"),
    [
        ([], [], NotEnoughData),
        ([0.5], [0.5, 0.5], ShapeError),
        ([1.1], [1.0], ShapeError),
        ([np.nan], [1.0], ShapeError),
        ([[0.5]], [1.0], ShapeError),
    ],
)
def test_what_is_no_table_of_probabilities_is_refused(p, y, kind):
    with pytest.raises(kind):
        quality(p, y)


# --- fits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.3, 0.7, 1.5])
def test_a_temperature_is_found_again(slope):
    p, y = world(slope=slope, n=6000)
    found = calibrate(p, y, method="temperature")
    assert found.slope == pytest.approx(slope, abs=0.08)
    assert quality(found.apply(p), y).ece < 0.03


def test_a_judge_who_knows_nothing_gets_a_coin_and_one_who_is_wrong_is_turned_round():
    rng = np.random.default_rng(3)
    p = np.where(rng.random(3000) < 0.5, 0.95, 0.05)
    coin = calibrate(p, (rng.random(3000) < 0.5).astype(float), method="temperature")
    assert coin.apply([0.95])[0] == pytest.approx(0.5, abs=0.03)
    wrong = calibrate(p, (rng.random(3000) < np.where(p > 0.5, 0.3, 0.7)).astype(float))
    assert wrong.apply([0.95, 0.05]) == pytest.approx([0.3, 0.7], abs=0.03)


def test_bare_verdicts_get_the_rate_at_which_people_agree():
    rng = np.random.default_rng(4)
    right = rng.random(4000) < 0.74
    p = np.where(rng.random(4000) < 0.5, 0.95, 0.05)
    y = np.where(right, p > 0.5, p < 0.5).astype(float)
    for method in ("temperature", "isotonic"):
        made = calibrate(p, y, method=method).apply([0.95])
        assert made[0] == pytest.approx(right.mean(), abs=0.01), method


def test_a_curve_that_is_no_temperature_is_followed_by_the_free_one():
    rng = np.random.default_rng(5)
    p = rng.uniform(0, 1, 6000)
    truth = np.where(p > 0.8, 0.9, np.where(p < 0.2, 0.1, 0.5))  # only the ends mean anything
    y = (rng.random(6000) < truth).astype(float)
    found = calibrate(p, y)
    assert found.method == "isotonic"
    assert found.apply([0.7, 0.95, 0.05]) == pytest.approx([0.5, 0.9, 0.1], abs=0.06)
    assert calibrate(*world(n=1000)).method == "temperature"


def test_groups_are_told_apart_where_there_is_evidence_and_shrunk_where_there_is_little():
    rng = np.random.default_rng(6)
    sizes = {"good": 1500, "bad": 1500, "rare": 6}
    groups = [name for name, n in sizes.items() for _ in range(n)]
    p = np.where(rng.random(len(groups)) < 0.5, 0.9, 0.1)
    rate = np.array([{"good": 0.9, "bad": 0.5, "rare": 0.5}[name] for name in groups])
    agrees = rng.random(len(groups)) < rate
    y = np.where(agrees, p > 0.5, p < 0.5).astype(float)
    found = calibrate(p, y, groups, method="temperature")
    good, bad, rare, unknown = found.apply([0.9] * 4, ["good", "bad", "rare", "elsewhere"])
    assert (good, bad) == (pytest.approx(0.9, abs=0.03), pytest.approx(0.5, abs=0.04))
    assert unknown == pytest.approx(found.apply([0.9])[0])
    alone = agrees[-6:].mean()
    assert min(alone, unknown) < rare < max(alone, unknown)
    assert found.groups["rare"][1] == 6


def test_groups_that_do_not_differ_stay_with_the_campaign():
    p, y = world(n=1200)
    found = calibrate(p, y, [str(n % 12) for n in range(1200)], method="temperature")
    assert found.spread in (0.0, 0.1)
    assert all(abs(more) < 0.1 for more, _ in found.groups.values())


def test_many_rows_of_few_prompts_do_not_make_a_group():
    rng = np.random.default_rng(9)
    p, prompts = rng.uniform(0, 1, 1200), np.repeat(np.arange(6), 200)
    agree = np.array([True, False] * 3)[prompts]  # by prompt; two prompts make a group
    y = np.where(agree, p > 0.5, p < 0.5).astype(float)
    groups = [f"g{one % 2}{one // 4}" for one in prompts]
    assert calibrate(p, y, groups).spread == 1.0
    mixed = [f"g{one // 2}" for one in prompts]
    swayed = np.where(prompts == 0, 0.9, 0.6)
    y = (rng.random(1200) < np.where(p > 0.5, swayed, 1 - swayed)).astype(float)
    assert calibrate(p, y, mixed).spread > 0
    assert calibrate(p, y, mixed, clusters=prompts).spread == 0


def test_one_prompt_alone_is_no_evidence_for_a_curve_or_a_group():
    p, y = world(n=300)
    found = calibrate(p, y, ["x", "y"] * 150, clusters=np.zeros(300))
    assert (found.method, found.spread) == ("temperature", 0.0)


@pytest.mark.parametrize("n", [0, 9])
def test_too_few_rows_leave_everything_as_it_was_and_say_so(n):
    p, y = np.full(n, 0.9), np.zeros(n)
    found = calibrate(p, y)
    assert found.method == "identity"
    assert found.apply([0.9, 1.0]) == pytest.approx([0.9, 1.0])
    assert f"{n} rows: fewer than 10" in found.notes[0]
    assert calibrate(p, y, method="identity").notes == ()


def test_few_rows_stay_near_what_the_judge_said():
    p, y = np.full(12, 0.9), np.zeros(12)  # all wrong, but only twelve
    slope = calibrate(p, y, method="temperature").slope
    assert -2 < slope < 0.5
    assert "follows noise" in calibrate(p, y, method="isotonic").notes[0]


@given(
    st.sampled_from(["temperature", "isotonic"]),
    st.lists(
        st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=10, max_size=60
    ),
    shares,
    st.booleans(),
)
def test_a_calibration_ignores_the_numbering_and_survives_json(method, rows, asked, grouped):
    p, y = (np.array(column) for column in zip(*rows, strict=True))
    groups = [("x", "y")[n % 2] for n in range(len(p))] if grouped else None
    found = calibrate(p, y, groups, method=method)
    asked = np.array(asked)
    of = ["x"] * len(asked) if grouped else None
    made = found.apply(asked, of)
    assert ((made > 0) & (made < 1)).all()
    np.testing.assert_allclose(found.apply(1 - asked, of), 1 - made, atol=1e-6)
    again = Calibration.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    if method == "isotonic" and not grouped:
        assert (np.diff(found.apply(np.sort(asked))) >= -1e-9).all()


def test_the_fit_minimises_its_objective():
    p, y = world(n=300, slope=0.6)
    x, found = logit(np.clip(p, 1e-4, 1 - 1e-4)), calibrate(p, y, method="temperature").slope

    def objective(slope):
        return -np.log(expit(np.where(y > 0, slope, -slope) * x)).sum() + (slope - 1) ** 2 / 2

    assert objective(found) < min(objective(found - 1e-3), objective(found + 1e-3))


def test_out_of_fold_figures_do_not_flatter():
    rng = np.random.default_rng(8)
    p, clusters = rng.uniform(0, 1, 300), np.repeat(np.arange(30), 10)
    agree = np.repeat(rng.permutation(30) % 2 == 0, 10)  # on a prompt always, or never
    y = np.where(agree, p > 0.5, p < 0.5).astype(float)
    groups = [str(one) for one in clusters]
    made = out_of_fold(p, y, groups, clusters=clusters, rng=rng)
    inside = calibrate(p, y, groups).apply(p, groups)
    assert quality(inside, y).log_loss < 0.5
    assert quality(made, y).log_loss > 0.68
    with pytest.raises(ShapeError):
        out_of_fold(p, y, clusters=clusters[:-1], rng=rng)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"method": "magic"}, ConfigError),
        ({"y": [1.0]}, ShapeError),
        ({"groups": ["x"]}, ShapeError),
        ({"clusters": [1]}, ShapeError),
        ({"p": [2.0] * 12}, ShapeError),
    ],
)
def test_what_cannot_be_calibrated_is_refused(given, kind):
    whole = {"p": [0.9] * 12, "y": [1.0] * 12, "groups": None, **given}
    with pytest.raises(kind):
        calibrate(whole.pop("p"), whole.pop("y"), whole.pop("groups"), **whole)


def test_groups_must_be_as_many_as_probabilities():
    with pytest.raises(ShapeError, match="1 groups for 2"):
        calibrate(*world(n=50)).apply([0.5, 0.5], ["x"])
