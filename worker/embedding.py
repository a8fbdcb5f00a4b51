"""Computing features: once per text and encoder, in shards, resumable at every shard."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from django.conf import settings

from annotator.models import Campaign
from learning.encoders import encoder_dim, encoder_key, load_encoder, pair_text
from learning.features import FeatureStore
from worker import textindex
from worker.jobs import RunningJob
from worker.textindex import TextIndex

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


def ensure_features(campaign: Campaign, index: TextIndex, *, progress: Progress) -> FeatureStore:
    """Encode every text that has no features yet, shard by shard; returns the store.

    A process that dies loses at most the shard under way. When another process embeds this
    campaign already, its progress is told here and its work is waited for, not repeated.
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
    campaign: Campaign, index: TextIndex, store: FeatureStore, progress: Progress
) -> None:
    """The encoder is loaded only when there is something to encode."""
    keys = index.keys()
    missing = store.missing(keys)
    if not len(missing):
        return
    total = len(set(keys))
    done = total - len(missing)
    progress(done, total)
    encoder = load_encoder(encoder_name(campaign), threads=settings.TORCH_THREADS)
    for start in range(0, len(missing), SHARD):
        rows = missing[start : start + SHARD]
        texts = {
            pk: pair_text(prompt, response)
            for pk, prompt, response in textindex.read_texts(index.ids[rows])
        }
        vectors = encoder.encode([texts[pk] for pk in index.ids[rows].tolist()])
        store.append([keys[row] for row in rows], np.asarray(vectors, np.float32))
        done += len(rows)
        progress(done, total)
