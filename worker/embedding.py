"""Computing features: once per text and encoder, in shards, resumable at every shard."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from annotator.models import Campaign
from learning.encoders import encoder_dim, encoder_key, load_encoder
from learning.features import FeatureStore
from worker import textindex
from worker.jobs import PermanentFailure, RunningJob
from worker.textindex import Digests

SHARD = 512
POLL_SECONDS = 1.0
Progress = Callable[[int, int], None]


def run(job: RunningJob) -> None:
    """Embed what a campaign's responses still lack."""
    campaign = Campaign.objects.get(pk=job.arguments["campaign"])

    def progress(done: int, total: int) -> None:
        job.progress(done, total, f"embedding {done:,} of {total:,}".replace(",", " "))

    ensure_features(campaign, textindex.refresh(campaign.pk), progress=progress)
    with job.fence():
        pass


def open_store(campaign: Campaign) -> FeatureStore:
    """The feature store of the campaign's encoder."""
    name = encoder_name(campaign)
    root = Path(settings.VAR_DIR) / "features"
    return FeatureStore(root, encoder_key(name), encoder_dim(name))


def encoder_name(campaign: Campaign) -> str:
    """The campaign's encoder; `default` is what the operator set."""
    return settings.ENCODER if campaign.encoder == "default" else campaign.encoder


def ensure_features(campaign: Campaign, index: Digests, *, progress: Progress) -> FeatureStore:
    """Encode every text that has no features yet, shard by shard; returns the store.

    A process that dies loses at most the shard under way. When another process embeds this
    campaign already, its progress is told here and its work is waited for, not repeated.

    Raises:
        PermanentFailure: the encoder gives no numbers for some texts; says for how many.
    """
    store, keys = open_store(campaign), index.keys()
    while len(store.missing(keys)):
        with _turn(campaign) as mine:
            if mine:
                _encode_missing(campaign, index, store, progress)
                continue
        total = len(set(keys))
        progress(total - len(store.missing(keys)), total)
        time.sleep(POLL_SECONDS)
    return store


@contextmanager
def _turn(campaign: Campaign) -> Iterator[bool]:
    """Whether this process may embed the campaign now; the lock falls with the process.

    A file beside the store rather than a lock of the database, which a pooler would mislay. Where
    a shared volume has no locks, two hosts may do the same work twice, and that is all.
    """
    place = Path(settings.VAR_DIR) / "features" / f".campaign-{campaign.pk}.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _encode_missing(
    campaign: Campaign, index: Digests, store: FeatureStore, progress: Progress
) -> None:
    """The encoder is loaded only when there is something to encode."""
    keys = index.keys()
    missing = store.missing(keys)
    if not len(missing):
        return
    total, wanted = len(set(keys)), len(missing)
    done = total - wanted
    progress(done, total)
    name = encoder_name(campaign)
    encoder = load_encoder(name, threads=settings.TORCH_THREADS)
    unusable: list[int] = []
    for start in range(0, wanted, SHARD):
        rows = missing[start : start + SHARD]
        vectors = np.asarray(encoder.encode(index.texts(rows)), np.float32)
        good = _usable(vectors, store)
        store.append([keys[row] for row in rows[good]], vectors[good])
        unusable += index.ids[rows[~good]].tolist()
        done += len(rows)
        progress(done, total)
    if unusable:
        raise PermanentFailure(
            f"the encoder {name!r} gives no usable numbers (NaN, infinite or too large) for "
            f"{len(unusable)} of {total} texts, the first of {index.noun} {unusable[0]}: choose "
            "another encoder"
        )


def _usable(vectors: NDArray[np.float32], store: FeatureStore) -> NDArray[np.bool_]:
    """Which rows are finite in the precision in which they are kept."""
    with np.errstate(over="ignore"):
        kept = vectors.astype(store.dtype)
    return np.asarray(np.isfinite(kept).all(axis=1))
