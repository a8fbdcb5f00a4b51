import numpy as np
import pytest

from learning.errors import NotEnoughData, ShapeError
from learning.features import Standardizer, assemble


@pytest.fixture
def blocks(rng):
    embeddings = rng.standard_normal((200, 8)).astype(np.float32) * 0.3 + 5
    surface = rng.standard_normal((200, 3)) * [1, 100, 0] + [0, 0, 7]
    pairs = np.arange(200).reshape(-1, 2)
    return embeddings, surface, pairs


def test_a_typical_pair_differs_by_one_in_each_block(blocks):
    embeddings, surface, pairs = blocks
    phi = assemble(embeddings, surface, Standardizer.fit(embeddings, surface, pairs))
    x = phi[pairs[:, 0]] - phi[pairs[:, 1]]
    assert np.square(x[:, :8]).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)
    assert np.square(x[:, 8:]).sum(axis=1).mean() == pytest.approx(1, rel=1e-3)


def test_a_constant_column_becomes_zero_even_where_it_varies_later(blocks):
    embeddings, surface, pairs = blocks
    standardizer = Standardizer.fit(embeddings, surface, pairs)
    surface[0, 2] = 1e6
    assert not assemble(embeddings, surface, standardizer)[:, -1].any()


def test_the_embedding_keeps_its_geometry(blocks):
    embeddings, _, pairs = blocks
    phi = assemble(embeddings, None, Standardizer.fit(embeddings, None, pairs))
    ratio = np.linalg.norm(phi[0] - phi[1]) / np.linalg.norm(embeddings[0] - embeddings[1])
    other = np.linalg.norm(phi[2] - phi[3]) / np.linalg.norm(embeddings[2] - embeddings[3])
    assert ratio == pytest.approx(other, rel=1e-4)


def test_it_survives_storage(blocks):
    embeddings, surface, pairs = blocks
    standardizer = Standardizer.fit(embeddings, surface, pairs)
    again = Standardizer.from_arrays(standardizer.to_arrays())
    np.testing.assert_array_equal(
        assemble(embeddings, surface, again), assemble(embeddings, surface, standardizer)
    )


def test_refusals_name_what_is_wrong(blocks):
    embeddings, surface, pairs = blocks
    with pytest.raises(NotEnoughData, match="without candidate pairs"):
        Standardizer.fit(embeddings, surface, np.empty((0, 2)))
    standardizer = Standardizer.fit(embeddings, surface, pairs)
    with pytest.raises(ShapeError, match="expected 11 columns, got 8"):
        assemble(embeddings, None, standardizer)
    with pytest.raises(ShapeError, match="200 embeddings for 5 rows"):
        assemble(embeddings, surface[:5], standardizer)
    with pytest.raises(ShapeError, match="lacks scale"):
        Standardizer.from_arrays({"mean": np.zeros(2)})
