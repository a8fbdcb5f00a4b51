"""The neighbour graph against measuring every distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.errors import ShapeError
from learning.neighbours import neighbours
from tests.learning import references

grids = st.integers(1, 3).flatmap(
    lambda width: st.lists(
        st.lists(st.integers(-2, 2), min_size=width, max_size=width), min_size=1, max_size=25
    )
)


def texts(n, *, width=64, topics=60, seed=0):
    """Points in clumps of unequal size, of unit length, like embedded texts."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, topics + 1)
    topic = rng.choice(topics, n, p=share / share.sum())
    inner = rng.standard_normal((n, 8)) @ rng.standard_normal((8, width)) / np.sqrt(8)
    found = rng.standard_normal((topics, width))[topic] + inner
    found += 0.3 * rng.standard_normal((n, width))
    return (found / np.linalg.norm(found, axis=1)[:, None]).astype(np.float32)


@given(grids, st.integers(1, 6))
def test_ties_and_copies_are_settled_as_by_measuring_everything(rows, k):
    points = np.array(rows, dtype=float)
    graph = neighbours(points, k)
    first = np.unique(graph.node, return_index=True)[1]
    assert (np.diff(first) > 0).all()  # nodes are numbered by their first point
    np.testing.assert_array_equal(points[first][graph.node], points)
    nearest, radius = references.nearest(points[first], k)
    np.testing.assert_array_equal(graph.nearest, nearest)
    np.testing.assert_allclose(graph.radius, radius)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_a_thousand_points_in_every_precision(dtype, offset):
    points = (texts(1000) + offset).astype(dtype)
    graph = neighbours(points, 13)
    nearest, radius = references.nearest(points.astype(np.float64), 13)
    np.testing.assert_array_equal(graph.nearest, nearest)
    np.testing.assert_allclose(graph.radius, radius)
    assert graph.exact


def test_reverse_lists_turn_the_graph_around():
    graph = neighbours(texts(500), 7)
    for node in range(500):
        having = np.flatnonzero((graph.nearest == node).any(axis=1))
        np.testing.assert_array_equal(graph.near(node), having)


def test_counters_equal_brute_force_over_400_picks():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((2000, 8))
    graph = neighbours(points, 13)
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=2))
    reach = np.sort(distance, axis=1)[:, 13]  # column 0 is the point itself
    picks = rng.choice(2000, 400)
    count = graph.count(np.empty(0, dtype=np.int64))
    brute = np.zeros(2000)
    for pick in picks:
        count[graph.near(pick)] += 1
        count[pick] += 1
        brute += distance[:, pick] <= reach
        np.testing.assert_array_equal(count, brute)
    np.testing.assert_array_equal(graph.count(picks), brute)


def test_cells_find_nearly_all_neighbours_and_never_too_near_a_last_one():
    points = texts(3000, topics=200)
    exact = neighbours(points, 13)
    cells = neighbours(points, 13, exact_up_to=100, searched=500)
    assert exact.exact
    assert not cells.exact
    common = [len(np.intersect1d(*both)) for both in zip(exact.nearest, cells.nearest, strict=True)]
    assert np.mean(common) / 13 > 0.8
    assert (cells.radius >= exact.radius * (1 - 1e-9)).all()
    assert (cells.nearest != np.arange(3000)[:, None]).all()
    again = neighbours(points, 13, exact_up_to=100, searched=500)
    np.testing.assert_array_equal(cells.nearest, again.nearest)


def test_cells_hold_out_when_most_points_are_in_one_place():
    points = np.concatenate([1e-4 * texts(1500), 100 + texts(20)])
    graph = neighbours(points, 13, exact_up_to=100, searched=50)
    assert (np.sort(graph.nearest)[:, 1:] != np.sort(graph.nearest)[:, :-1]).all()
    assert np.isfinite(graph.radius).all()


def test_equally_distant_points_do_not_take_the_memory():
    graph = neighbours(np.eye(600, dtype=np.float32), 5)
    np.testing.assert_allclose(graph.radius, np.sqrt(2))
    np.testing.assert_array_equal(graph.nearest, references.nearest(np.eye(600), 5)[0])


@pytest.mark.parametrize(
    ("points", "nodes"),
    [(np.zeros((0, 3)), 0), (np.ones((1, 3)), 1), (np.ones((9, 3)), 1), (np.zeros((4, 0)), 1)],
)
def test_one_place_or_none_has_no_neighbours(points, nodes):
    graph = neighbours(points, 5)
    assert graph.nearest.shape == (nodes, 0)
    assert graph.radius.tolist() == [0.0] * nodes
    assert graph.count(np.arange(len(points))).tolist() == [len(points)] * nodes


def test_negative_zero_is_zero():
    assert neighbours(np.array([[0.0], [-0.0]]), 1).node.tolist() == [0, 0]


def test_points_that_are_no_numbers_are_refused():
    with pytest.raises(ShapeError, match="NaN"):
        neighbours(np.array([[np.nan]]), 1)
