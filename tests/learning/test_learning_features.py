import multiprocessing

import numpy as np
import pytest

from learning.errors import MissingFeatures, ShapeError, StoreError
from learning.features import FeatureStore, text_digest

TEXTS = [f"text {i}" for i in range(20)]
DIGESTS = [text_digest(text) for text in TEXTS]


@pytest.fixture
def store(tmp_path):
    return FeatureStore(tmp_path, "encoder-1", 4)


@pytest.fixture
def vectors(rng):
    return rng.standard_normal((20, 4)).astype(np.float16).astype(np.float32)


def test_what_was_stored_is_found_in_any_order(store, vectors):
    store.append(DIGESTS[:15], vectors[:15])
    store.append(DIGESTS[15:], vectors[15:])
    order = [19, 0, 7, 7, 16]
    np.testing.assert_array_equal(store.lookup([DIGESTS[i] for i in order]), vectors[order])
    assert len(store) == 20


def test_each_missing_text_is_named_once(store, vectors):
    store.append(DIGESTS[:2], vectors[:2])
    asked = [DIGESTS[5], DIGESTS[0], DIGESTS[5], DIGESTS[6]]
    assert store.missing(asked).tolist() == [0, 3]
    assert store.missing([]).tolist() == []


def test_a_lookup_says_how_many_are_missing(store, vectors):
    store.append(DIGESTS[:2], vectors[:2])
    with pytest.raises(MissingFeatures, match="2 of 3 texts") as refusal:
        store.lookup([DIGESTS[0], *DIGESTS[3:5]])
    assert (refusal.value.missing, refusal.value.asked) == (2, 3)


def test_another_process_sees_what_is_appended(store, vectors, tmp_path):
    other = FeatureStore(tmp_path, "encoder-1", 4)
    store.append(DIGESTS, vectors)
    np.testing.assert_array_equal(other.lookup(DIGESTS), vectors)


def test_duplicates_are_harmless(store, vectors):
    store.append([*DIGESTS[:3], DIGESTS[0]], vectors[[0, 1, 2, 0]])
    store.append(DIGESTS[:3], vectors[:3])
    np.testing.assert_array_equal(store.lookup(DIGESTS[:3]), vectors[:3])
    assert len(store) == 3


def test_a_digest_that_ends_in_zeros_is_its_own(store, vectors):
    one, other = b"\x01" + bytes(15), b"\x01\x00\x01" + bytes(13)
    store.append([one, other, bytes(16)], vectors[:3])
    np.testing.assert_array_equal(store.lookup([bytes(16), other, one]), vectors[[2, 1, 0]])


def test_a_half_written_shard_is_ignored(store, vectors, tmp_path):
    store.append(DIGESTS[:2], vectors[:2])
    (store.folder / "dead.vectors.npy").write_bytes(b"\x93NUMPY half")
    (store.folder / ".dead.digests.npy.1.tmp").write_bytes(b"half")
    again = FeatureStore(tmp_path, "encoder-1", 4)
    assert len(again) == 2


def test_a_damaged_shard_is_an_error_that_names_it(store, vectors, tmp_path):
    store.append(DIGESTS[:2], vectors[:2])
    next(store.folder.glob("*.vectors.npy")).write_bytes(b"not an array")
    with pytest.raises(StoreError, match="cannot be read"):
        FeatureStore(tmp_path, "encoder-1", 4)


def test_encoders_do_not_mix(store, vectors, tmp_path):
    store.append(DIGESTS, vectors)
    assert len(FeatureStore(tmp_path, "encoder-2", 4)) == 0
    with pytest.raises(StoreError, match="was made for"):
        FeatureStore(tmp_path, "encoder-1", 5)
    with pytest.raises(StoreError, match="was made for"):
        FeatureStore(tmp_path, "encoder-1", 4, dtype="float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e6])  # the last overflows half precision
def test_vectors_that_are_not_finite_are_refused(store, bad):
    with pytest.raises(ShapeError, match="NaN or infinite"):
        store.append(DIGESTS[:1], np.full((1, 4), bad))
    assert store.missing(DIGESTS[:1]).tolist() == [0]


def test_vectors_and_digests_must_fit(store, vectors):
    with pytest.raises(ShapeError, match="3 digests for 2 vectors"):
        store.append(DIGESTS[:3], vectors[:2])
    with pytest.raises(ShapeError, match="vectors must have shape"):
        store.append(DIGESTS[:2], vectors[:2, :3])
    with pytest.raises(ShapeError, match="16 bytes"):
        store.missing([b"short"])


def _append(root, part):
    mine = slice(part * 5, part * 5 + 10)  # half of it is also the neighbour's
    vectors = np.arange(80, dtype=np.float32).reshape(20, 4)
    FeatureStore(root, "encoder-1", 4).append(DIGESTS[mine], vectors[mine])


def test_several_processes_may_append_at_once(store, tmp_path):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append, args=(tmp_path, part)) for part in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = store.lookup(DIGESTS)
    np.testing.assert_array_equal(found, np.arange(80).reshape(20, 4))
