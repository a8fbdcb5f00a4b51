"""Areas, labels to a target, paired intervals, and how they are told."""

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from learning.replay import curves, drawing, report
from learning.replay.loop import Run, Step
from learning.replay.statistics import area, interval, labels_to, redraw, summarise

LABELS = np.arange(320.0, 1601.0, 320.0)
RANDOM = np.array([0.69, 0.66, 0.64, 0.63, 0.62])
METHOD = np.array([0.69, 0.64, 0.622, 0.615, 0.61])

heights = arrays(np.float64, st.integers(2, 8), elements=st.floats(0.1, 1.0))
# Thousandths: where a curve is as good as flat, its crossing of a height is anywhere.
thousandths = st.integers(100, 1000).map(lambda n: n / 1000)


def run(acquisition, seed, log_loss, *, labels=LABELS, accuracy=None, file="x"):
    accuracy = 1.0 - np.asarray(log_loss) if accuracy is None else accuracy
    steps = tuple(
        Step(int(n), float(a), float(loss), 0.2, 0.05, seconds=1.0, select_seconds=0.5)
        for n, a, loss in zip(labels, accuracy, log_loss, strict=True)
    )
    return Run(file, acquisition, seed, pool=2000, tested=500, filled=0, waited=2, steps=steps)


def compared(pairs):
    """Runs of random and of `mine`, one of each a seed."""
    return [
        made
        for seed, (base, mine) in enumerate(pairs)
        for made in (run("random", seed, base), run("mine", seed, mine))
    ]


# --- one curve ----------------------------------------------------------------------------


def test_the_known_curves():
    assert area(LABELS, METHOD) == pytest.approx(0.63175)
    assert area(LABELS, RANDOM) == pytest.approx(0.64625)
    assert labels_to(LABELS, METHOD, RANDOM[-1]) == pytest.approx(1051.428571)
    # Read off at the steps, without interpolation, it is 1280: what was paid for by then.
    assert LABELS[RANDOM[-1] >= METHOD][0] == 1280


@given(heights)
def test_the_area_lies_between_the_extremes_and_ignores_the_unit_of_labels(curve):
    labels = np.arange(len(curve)) * 10.0 + 5
    found = area(labels, curve)
    assert curve.min() - 1e-12 <= found <= curve.max() + 1e-12
    assert area(labels * 7, curve) == pytest.approx(found)
    assert area(labels, curve + 1.0) == pytest.approx(found + 1.0)


def test_a_curve_of_one_point_is_its_value():
    assert area(np.array([64.0]), np.array([[0.5], [0.7]])).tolist() == [0.5, 0.7]


def slowly(labels, curve, target):
    """Walk along the curve in tiny steps."""
    walk = np.union1d(np.linspace(labels[0], labels[-1], 20_001), labels)
    there = np.interp(walk, labels, curve) <= target + 1e-12
    return walk[there][0] if there.any() else math.nan


@given(arrays(np.float64, st.integers(2, 8), elements=thousandths), thousandths)
def test_labels_to_a_target_is_where_a_slow_walk_gets_there(curve, target):
    labels = np.arange(len(curve)) * 64.0 + 64
    found, walked = float(labels_to(labels, curve, target)), slowly(labels, curve, target)
    if math.isnan(found):
        assert curve.min() > target
    else:
        assert found == pytest.approx(walked, abs=labels[-1] / 10_000)


def test_many_curves_at_once_are_each_as_alone():
    stacked = np.stack([METHOD, RANDOM, METHOD + 0.1])
    targets = np.array([0.62, 0.65, 0.1])
    together = labels_to(LABELS, stacked, targets)
    alone = [float(labels_to(LABELS, c, t)) for c, t in zip(stacked, targets, strict=True)]
    np.testing.assert_array_equal(together, alone)
    assert np.isnan(together[2])


# --- many seeds ---------------------------------------------------------------------------


def test_positive_is_better_than_random_in_both_measures():
    _, mine = summarise(compared([(RANDOM, METHOD), (RANDOM + 0.02, METHOD + 0.01)]))
    assert mine.delta_aulc_log_loss == pytest.approx(0.0145 + 0.005)
    assert mine.delta_aulc_accuracy == pytest.approx(0.0145 + 0.005)
    assert (mine.wins, mine.seeds) == (2, 2)
    assert mine.ci_low > 0


def test_random_against_itself_is_zero_with_nothing_to_spare():
    random, _ = summarise(compared([(RANDOM, METHOD), (RANDOM + 0.1, METHOD)]))
    assert random.acquisition == "random"
    assert random.delta_aulc_log_loss == random.ci_low == random.ci_high == 0.0
    assert random.labels_to_random_final == 1600
    assert random.saving == 0.0


def test_pairing_takes_out_what_a_seed_does_to_all():
    """Folds differ by 0.5, the functions by 0.001 to 0.003: the interval knows only the latter."""
    shifts = np.linspace(0.0, 0.5, 8)
    gains = np.linspace(0.001, 0.003, 8)
    _, mine = summarise(
        compared([(RANDOM + s, RANDOM + s - g) for s, g in zip(shifts, gains, strict=True)])
    )
    assert mine.delta_aulc_log_loss == pytest.approx(0.002)
    assert 0.001 < mine.ci_low < 0.002 < mine.ci_high < 0.003


def test_the_interval_is_that_of_a_bootstrap_by_hand():
    gains = np.array([0.01, -0.02, 0.03, 0.0, 0.005])
    _, mine = summarise(compared([(RANDOM, RANDOM - gain) for gain in gains]))
    rng = np.random.default_rng(9)
    means = [np.mean([gains[rng.integers(5)] for _ in range(5)]) for _ in range(5000)]
    assert mine.ci_low == pytest.approx(np.quantile(means, 0.025), abs=0.0012)
    assert mine.ci_high == pytest.approx(np.quantile(means, 0.975), abs=0.0012)


def test_the_saving_is_read_off_mean_curves_and_seed_by_seed():
    hard, easy = RANDOM + 0.1, RANDOM - 0.1
    _, mine = summarise(compared([(hard, METHOD + 0.1), (easy, METHOD - 0.1)]))
    assert mine.labels_to_random_final == pytest.approx(1051.428571)
    assert mine.saving == pytest.approx(1 - 1051.428571 / 1600)
    # Against the mean over seeds, the hard seed never gets there and the easy one at once.
    assert mine.seed_labels_to_random_final == (None, 320.0)
    assert mine.censored == 1


def test_what_never_gets_there_saves_nothing():
    _, mine = summarise(compared([(RANDOM, RANDOM + 0.1)] * 3))
    assert mine.labels_to_random_final is None
    assert (mine.saving, mine.saving_low, mine.saving_high) == (0.0, 0.0, 0.0)
    assert mine.censored == 3


def test_one_seed_has_no_intervals():
    _, mine = summarise(compared([(RANDOM, METHOD)]))
    ends = (mine.ci_low, mine.ci_high, mine.accuracy_ci_low, mine.saving_low, mine.saving_high)
    assert ends == (None,) * 5
    assert mine.saving > 0.3


def test_only_seeds_that_both_have_are_compared():
    runs = compared([(RANDOM, METHOD), (RANDOM, METHOD), (RANDOM, RANDOM + 9)])
    kept = [r for r in runs if (r.acquisition, r.seed) != ("mine", 2)]
    _, mine = summarise(kept)
    assert mine.seeds == 2
    assert mine.delta_aulc_log_loss == pytest.approx(0.0145)


def test_files_are_kept_apart_and_the_same_runs_give_the_same_summary():
    runs = compared([(RANDOM, METHOD), (RANDOM, RANDOM)])
    other = [replace(r, file="y") for r in compared([(RANDOM, RANDOM), (RANDOM, RANDOM + 0.1)])]
    found = summarise([*runs, *other])
    assert [(s.file, s.acquisition) for s in found] == [
        ("x", "random"),
        ("x", "mine"),
        ("y", "random"),
        ("y", "mine"),
    ]
    assert found[1].delta_aulc_log_loss > 0 > found[3].delta_aulc_log_loss
    assert found == summarise([*runs, *other])


def test_weights_of_a_replicate_are_shares_of_whole_seeds(rng):
    weights = redraw(4, rng)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert set(np.unique(weights * 4)) == {0, 1, 2, 3, 4}
    assert interval(redraw(1, rng)[:, 0]) == (None, None)


# --- told ---------------------------------------------------------------------------------


def test_results_are_plain_json_under_the_names_of_the_contract():
    runs = compared([(RANDOM, METHOD), (RANDOM, RANDOM + 0.1)])
    made = report.results(
        settings={"seeds": 2}, files=[], runs=runs, failed=[], summary=summarise(runs)
    )
    read = json.loads(json.dumps(made, allow_nan=False))
    step = {"labels", "accuracy", "log_loss", "ece", "seconds"}
    assert step <= set(read["runs"][0]["steps"][0])
    assert {"file", "acquisition", "seed"} <= set(read["runs"][0])
    entry = {"file", "acquisition", "aulc_log_loss", "aulc_accuracy", "delta_aulc_log_loss"}
    entry |= {"ci_low", "ci_high", "labels_to_random_final"}
    assert all(entry <= set(one) for one in read["summary"])


def test_the_table_puts_the_best_first_and_says_never():
    runs = compared([(RANDOM, RANDOM + 0.1), (RANDOM, RANDOM + 0.2)])
    better = [replace(r, acquisition="best") for r in compared([(RANDOM, METHOD)] * 2)[1::2]]
    lines = report.table(summarise([*runs, *better])).splitlines()
    assert lines[0] == "x, 2 seeds"
    assert [line.split()[0] for line in lines[3:]] == ["best", "random", "mine"]
    assert "never" in lines[5]
    assert "random (waits 50%)" in lines[4]  # two of four rounds
    assert "34% [34%, 34%]" in lines[3]


def parsed(rows):
    return ET.fromstring(drawing.svg(rows))  # noqa: S314 - written a line before


def test_the_picture_is_svg_with_every_function_named_at_its_curve():
    runs = compared([(RANDOM, METHOD), (RANDOM, RANDOM + 0.01)])
    names = curves.worth_drawing(summarise(runs))
    root = parsed(curves.rows(runs, names))
    space = "{http://www.w3.org/2000/svg}"
    said = [text.text for text in root.iter(f"{space}text")]
    assert said.count("mine") == said.count("random") == 3  # panels
    assert len(list(root.iter(f"{space}polyline"))) == 6
    assert len(list(root.iter(f"{space}polygon"))) == 3  # a band for mine, none for random
    assert any("2 seeds" in (text or "") for text in said)


def test_a_name_with_signs_of_markup_does_not_break_the_picture():
    runs = [replace(r, file="a<b>&c") for r in compared([(RANDOM, METHOD)] * 2)]
    assert "a<b>&c" in "".join(parsed(curves.rows(runs, ["random"])).itertext())


def test_bands_are_about_the_difference_and_hold_the_curve():
    shifts = np.linspace(0.0, 0.5, 6)
    runs = compared([(RANDOM + s, METHOD + s + s / 100) for s in shifts])
    (row,) = curves.rows(runs, ["random", "mine"])
    random, mine = row.panels[0].lines
    np.testing.assert_array_equal(random.low, random.high)
    assert ((mine.low <= mine.value) & (mine.value <= mine.high)).all()
    assert (mine.high - mine.low).max() < 0.006  # folds differ by 0.5, the functions do not
    gained = row.panels[2].lines[1]
    np.testing.assert_allclose(gained.value, random.value - mine.value, atol=1e-12)


def test_at_most_eight_functions_are_drawn_the_best_of_them():
    runs = compared([(RANDOM, METHOD)] * 2)
    for extra in range(12):
        worse = RANDOM + extra / 100
        runs += [run(f"f{extra}", seed, worse) for seed in range(2)]
    names = curves.worth_drawing(summarise(runs))
    assert names == ["random", "mine", *(f"f{i}" for i in range(6))]
    wanted = curves.worth_drawing(summarise(runs), ["f11"])
    assert wanted == ["random", "f11"]


@given(st.lists(st.floats(0, 200), min_size=1, max_size=8))
def test_names_never_overlap_and_stay_in_order_and_inside(wanted):
    wanted = sorted(wanted)
    places = drawing.spread(wanted, 0.0, 200.0)
    gaps = np.diff(places)
    assert (gaps >= 13 - 1e-9).all()
    assert places[0] >= -1e-9
    assert places[-1] <= 200 + 1e-9


def test_names_that_do_not_collide_stay_where_their_curves_end():
    assert drawing.spread([10.0, 50.0, 100.0], 0.0, 200.0) == [10.0, 50.0, 100.0]


@given(st.floats(-1.0, 1.0), st.floats(1e-4, 2000.0))
def test_ticks_are_few_inside_and_evenly_apart(low, width):
    ticks = drawing.round_ticks(low, low + width)
    assert 2 <= len(ticks) <= 6
    assert low - 1e-6 * width <= ticks[0]
    assert ticks[-1] <= low + width * (1 + 1e-6)
    assert np.ptp(np.diff(ticks)) < 1e-9 * max(1.0, width)
