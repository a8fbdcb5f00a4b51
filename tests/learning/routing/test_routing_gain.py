import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons
from learning.errors import NotEnoughData, ShapeError
from learning.heads import LinearBT
from learning.routing.gain import (
    GainModel,
    bin_tags,
    choose,
    draw_mixes,
    fit_gain,
    marginal,
    tag_gains,
)
from tests.learning.routing.routed import Judged


def f(counts):
    a, b = counts
    return 60 + 0.2 * a - 0.1 * b + 0.01 * a * b


def test_gains_are_marginal_and_not_from_nothing():
    """The known answers; the last one is why gains from nothing mislead."""
    none = np.zeros(2)
    assert marginal(f, none, [1, 0]) == pytest.approx(0.20)
    assert marginal(f, none, [0, 1]) == pytest.approx(-0.10)
    assert marginal(f, none, [1, 1]) == pytest.approx(0.11)
    assert marginal(f, [50, 50], [1, 1]) == pytest.approx(1.11)


def test_gains_of_tags_by_hand():
    tags = [[1, 0], [1, 0], [1, 1], [0, 1]]
    one, other = tag_gains(tags, [True, True, False, False], human=0.1)
    assert (one.tag, one.questions, one.judge_error) == (0, 3, pytest.approx(2 / 3))
    assert one.gain == pytest.approx(2 / 3 - 0.1)
    assert (one.low, one.high) == pytest.approx((0.0943, 0.9916), abs=1e-4)
    assert (other.judge_error, other.low, other.gain) == (0.0, 0.0, pytest.approx(-0.1))
    assert other.high == pytest.approx(1 - 0.025**0.5)
    assert tag_gains(np.zeros((3, 2)), [True] * 3, human=0.1) == []


def test_intervals_of_gains_hold_the_truth():
    kept = 0
    for seed in range(200):
        world = Judged(n=300, seed=seed)
        first = tag_gains(world.tags, world.wrong, human=0.1)[0]
        kept += first.gain_low <= 0.8 - 0.1 <= first.gain_high
    assert kept >= 184  # 95 % of 200, less two standard errors; exact intervals keep more


def test_bins_have_fixed_edges():
    found = bin_tags([0.0, 1 / 3, 0.5, 1.0, 9.0], [1 / 3, 2 / 3])
    assert found.argmax(axis=1).tolist() == [0, 1, 1, 2, 2]
    assert found.sum(axis=1).tolist() == [1] * 5
    with pytest.raises(ShapeError, match="edges must ascend"):
        bin_tags([0.5], [0.5, 0.5])


@given(st.integers(1, 30), st.integers(0, 4), st.integers(0, 99))
def test_mixes_have_all_sizes_and_fill_tag_by_tag(n, t, seed):
    rng = np.random.default_rng(seed)
    tag = rng.integers(0, t + 1, n)  # the last is no tag
    tags = np.eye(t + 1)[tag][:, :t]
    for mix in draw_mixes(tags, 20, rng=rng):
        assert 1 <= mix.sum() <= n
        shares = [mix[tag == k].mean() for k in range(t) if (tag == k).any()]
        assert sum(0 < share < 1 for share in shares) <= 1  # one tag at most is begun


def test_mixes_are_lopsided():
    tags = np.eye(2)[np.arange(100) % 2]
    mixes = draw_mixes(tags, 200, rng=np.random.default_rng(0))
    left = np.array([mix[::2].sum() for mix in mixes])
    right = np.array([mix[1::2].sum() for mix in mixes])
    assert np.corrcoef(left, right)[0, 1] < 0.6


def planted(k=120, noise=0.2, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 60, (k, 3)).astype(float)
    b = counts.sum(axis=1)
    score = 50 + 4 * counts[:, 0] / np.maximum(b, 1) + 1.5 * np.log1p(b)
    return counts, score + noise * rng.standard_normal(k)


def test_a_planted_model_is_found():
    model = fit_gain(*planted(), rng=np.random.default_rng(0))
    assert model.usable
    assert model.rank > 0.9
    assert model.predict([30, 0, 0]) == pytest.approx(50 + 4 + 1.5 * np.log(31), abs=0.4)
    assert model.gains([10, 10, 10]).argmax() == 0


def test_the_frontier_spends_where_it_adds_most():
    model = fit_gain(*planted(), rng=np.random.default_rng(0))
    few, more, everything = model.frontier([20, 20, 20], [10, 30, 100])
    assert few.by_tag == (10, 0, 0)
    assert more.by_tag[0] == 20
    assert everything.by_tag == (20, 20, 20)
    assert everything.answers == 60
    assert few.low < few.score < few.high
    assert few.score < more.score


def test_noise_is_refused():
    counts, _ = planted()
    scores = np.random.default_rng(1).standard_normal(len(counts))
    model = fit_gain(counts, scores, rng=np.random.default_rng(0))
    assert not model.usable
    with pytest.raises(NotEnoughData, match="rank correlation"):
        model.frontier([5, 5, 5], [3])
    assert fit_gain(counts, np.ones(120), rng=np.random.default_rng(0)).rank == 0.0
    with pytest.raises(NotEnoughData, match="needs 20 mixes"):
        fit_gain(counts[:5], scores[:5], rng=np.random.default_rng(0))


def test_small_reward_models_tell_which_tag_people_should_answer():
    """The whole way: mixes of double-labelled questions, a head on each, held-out answers."""
    world = Judged(n=700, seed=6, bad=0.9, usual=0.02, slip=0.02)
    rng = np.random.default_rng(0)
    tags, test = world.tags[:400], np.arange(400, 700)
    mixes = draw_mixes(tags, 60, rng=rng)
    scores = []
    for mix in mixes:
        said = np.where(mix, world.people[0][:400], world.signs.outcome[:400])
        labels = Comparisons.of(np.arange(400), np.full(400, world.n), said)
        mu, _ = (
            LinearBT(tie=0.0).fit(world.features, labels).margin(world.features, world.pairs[test])
        )
        scores.append((np.sign(mu) == world.truth[test]).mean())
    model = fit_gain(mixes @ tags, scores, rng=rng)
    assert model.usable
    assert model.gains([20, 20, 20]).argmax() == 0


def test_people_get_what_adds_most_and_equal_questions_by_lot():
    model = GainModel(np.array([0.0, 1.0, 0.5, 0.0]), 0.0, rank=0.9, residual=0.1, mixes=60)
    tags = np.eye(3)[np.repeat([0, 1, 2], 20)]
    for answers in (0, 1, 15, 60):
        people = choose(model, tags, answers, rng=np.random.default_rng(0))
        assert people.sum() == answers
    some = choose(model, tags, 20, rng=np.random.default_rng(0))
    assert not some[:20].any()
    assert some[20:40].sum() > 10
    other = choose(model, tags, 5, rng=np.random.default_rng(1))
    assert (choose(model, tags, 5, rng=np.random.default_rng(2)) != other).any()
    with pytest.raises(ShapeError, match="between 0 and 60, got 61"):
        choose(model, tags, 61, rng=np.random.default_rng(0))
