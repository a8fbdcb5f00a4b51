import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.data import Comparisons, Pool, Selection
from learning.errors import ShapeError


def test_comparisons_default_to_unknown_strength_and_one_vote():
    c = Comparisons.of([0, 1], [1, 2], [1, 0])
    assert c.strength.tolist() == [0, 0]
    assert c.weight.tolist() == [1, 1]
    assert c.decisive.tolist() == [True, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"outcome": [1, 2]}, "outcome must be"),
        ({"strength": [4, 0]}, "strength must be"),
        ({"strength": [1, 1]}, "a tie cannot have a strength"),
        ({"weight": [1, 0]}, "weight must be finite and positive"),
        ({"weight": [1, np.nan]}, "weight must be finite and positive"),
        ({"left": [1, 1]}, "compared with itself"),
        ({"left": [-1, 1]}, "1 are negative"),
        ({"right": [1, 2, 3]}, "right must have shape (2,)"),
        ({"left": [0.5, 1]}, "does not fit int64"),
    ],
)
def test_comparisons_refuse_what_makes_no_sense(change, words):
    good = {"left": [0, 1], "right": [1, 2], "outcome": [1, 0]}
    with pytest.raises(ShapeError) as refusal:
        Comparisons.of(**{**good, **change})
    assert words in str(refusal.value)


def test_no_comparisons_are_fine():
    assert len(Comparisons.none()) == 0


def test_arrays_cannot_be_changed_afterwards_and_the_callers_stay_his():
    mine = np.array([0, 1])
    c = Comparisons.of(mine, [1, 2], [1, -1])
    with pytest.raises(ValueError, match="read-only"):
        c.left[0] = 5
    mine[0] = 0


@given(st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_subset_by_mask_and_by_index_is_the_same(mask):
    c = Comparisons.of([0, 1, 2, 3], [1, 2, 3, 0], [1, 0, -1, 1], weight=[1, 2, 3, 4])
    by_mask, by_index = c.subset(np.array(mask)), c.subset(np.flatnonzero(mask))
    assert by_mask.weight.tolist() == by_index.weight.tolist()
    assert by_mask.pairs.tolist() == by_index.pairs.tolist()


def test_swapping_twice_changes_nothing():
    c = Comparisons.of([0, 1], [1, 2], [1, 0], strength=[2, 0])
    again = c.swapped().swapped()
    assert again.pairs.tolist() == c.pairs.tolist()
    assert again.outcome.tolist() == c.outcome.tolist()


def test_a_pool_names_the_row_with_a_nan():
    features = np.zeros((5, 2), dtype=np.float32)
    features[3, 1] = np.nan
    with pytest.raises(ShapeError, match="first in row 3"):
        Pool.of(features, [[0, 1]])


@pytest.mark.parametrize("pairs", [[[0, 9]], [[-1, 0]], [[1, 1]], [0, 1], [[0, 1, 2]]])
def test_a_pool_refuses_pairs_that_are_none(pairs):
    with pytest.raises(ShapeError):
        Pool.of(np.zeros((5, 2)), pairs)


def test_an_empty_pool_is_a_pool():
    pool = Pool.of(np.zeros((0, 3)), np.zeros((0, 2)))
    assert len(pool) == 0
    assert pool.candidates.tolist() == []


def test_a_selection_holds_no_pair_twice():
    with pytest.raises(ShapeError, match="at most once"):
        Selection(indices=np.array([1, 1]), gain=np.zeros(2))
