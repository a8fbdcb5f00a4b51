"""Computing features: once per text and encoder, in shards, resumable at every shard."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from annotator.models import Campaign, EncoderVersion
from annotator.services.finetuning import in_use
from learning.encoders import Encoder, encoder_dim, encoder_key, load_encoder
from learning.features import FeatureStore
from learning.finetune import base_of, lora_ensemble_encoder
from learning.text import PAIR_RECIPE, RECIPE
from worker import encoderfiles, textindex
from worker.jobs import PermanentFailure, RunningJob
from worker.textindex import Digests

SHARD = 512
POLL_SECONDS = 1.0
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Source:
    """Where a campaign's features come from: its encoder as it is, or a fine-tuned version.

    Or, as features like any other, what the adapters of a version's ensemble say of a text.

    Attributes:
        name: As `learning.encoders` loads it.
        key: Of the features.
        dim: Width of a vector.
        recipe: What is put into it of prompt and response.
        version: The fine-tuned version, if it is one.
        members: Whether these are the rewards of its ensemble.
    """

    name: str
    key: str
    dim: int
    recipe: str = RECIPE
    version: EncoderVersion | None = None
    members: bool = False

    @classmethod
    def base(cls, campaign: Campaign) -> Source:
        """The campaign's encoder as it is."""
        name = encoder_name(campaign)
        return cls(name, encoder_key(name), encoder_dim(name))

    @classmethod
    def tuned(cls, version: EncoderVersion) -> Source:
        """A fine-tuned version; its files are looked at only when there is something to encode."""
        name = f"reward:{encoderfiles.folder(version)}"
        return cls(name, version.key, version.dim, PAIR_RECIPE, version)

    @classmethod
    def ensemble(cls, version: EncoderVersion) -> Source:
        """The rewards of its adapters; one that has an ensemble."""
        about = version.record["ensemble"]
        name = f"members:{encoderfiles.members(version)}"
        return cls(name, about["key"], about["members"], PAIR_RECIPE, version, members=True)

    @classmethod
    def of(cls, campaign: Campaign) -> Source:
        """What is in use."""
        version = in_use(campaign)
        return cls.base(campaign) if version is None else cls.tuned(version)

    @property
    def precision(self) -> float | None:
        """Of the head's prior on these features, where training found one out of fold."""
        found = self.version.record.get("prior_precision") if self.version is not None else None
        return float(found) if found else None

    def store(self) -> FeatureStore:
        """Its features; rewards are kept in single precision, for their differences are small."""
        where = Path(settings.VAR_DIR) / "features"
        return FeatureStore(where, self.key, self.dim, "float32" if self.members else "float16")

    def open(self) -> Encoder:
        """Load what computes them, its files looked at first.

        Raises:
            LearningError: they are not what was trained, or cannot be loaded.
        """
        if self.version is None:
            return load_encoder(self.name, threads=settings.TORCH_THREADS)
        if not self.members:
            encoderfiles.verify(self.version)
            return load_encoder(self.name, threads=settings.TORCH_THREADS)
        encoderfiles.verify_members(self.version)
        return lora_ensemble_encoder.load(
            encoderfiles.members(self.version),
            base_of(own_encoder(self.version)),
            threads=settings.TORCH_THREADS,
        )


def run(job: RunningJob) -> None:
    """Embed what a campaign's responses still lack."""
    campaign = Campaign.objects.get(pk=job.arguments["campaign"])

    def progress(done: int, total: int) -> None:
        job.progress(done, total, f"embedding {done:,} of {total:,}".replace(",", " "))

    source = Source.of(campaign)
    index = textindex.refresh(campaign.pk, recipe=source.recipe)
    ensure_features(campaign, index, progress=progress, source=source)
    with job.fence():
        pass


def encoder_name(campaign: Campaign) -> str:
    """The campaign's own encoder; `default` is what the operator set."""
    return settings.ENCODER if campaign.encoder == "default" else campaign.encoder


def own_encoder(version: EncoderVersion) -> str:
    """The encoder, as it is, that a chain of versions began with."""
    return settings.ENCODER if version.base == "default" else version.base


def ensure_features(
    campaign: Campaign, index: Digests, *, progress: Progress, source: Source | None = None
) -> FeatureStore:
    """Encode every text that has no features yet, shard by shard; returns the store.

    A process that dies loses at most the shard under way. When another process embeds this
    campaign with this encoder already, its progress is told here and its work is waited for, not
    repeated.

    Args:
        campaign: Whose texts.
        index: The texts.
        progress: Told how many are done, of how many.
        source: The encoder; the campaign's own, as it is, where nothing is given.

    Raises:
        PermanentFailure: the encoder gives no numbers for some texts; says for how many.
    """
    source = source or Source.base(campaign)
    store, keys = source.store(), index.keys()
    while len(store.missing(keys)):
        with _turn(campaign, source) as mine:
            if mine:
                _encode_missing(index, store, source, progress)
                continue
        total = len(set(keys))
        progress(total - len(store.missing(keys)), total)
        time.sleep(POLL_SECONDS)
    return store


@contextmanager
def _turn(campaign: Campaign, source: Source) -> Iterator[bool]:
    """Whether this process may embed the campaign now; the lock falls with the process.

    A file beside the store rather than a lock of the database, which a pooler would mislay. Where
    a shared volume has no locks, two hosts may do the same work twice, and that is all.
    """
    name = hashlib.sha256(source.key.encode()).hexdigest()[:8]
    place = Path(settings.VAR_DIR) / "features" / f".campaign-{campaign.pk}-{name}.lock"
    with encoderfiles.locked(place) as mine:
        yield mine


def _encode_missing(
    index: Digests, store: FeatureStore, source: Source, progress: Progress
) -> None:
    """The encoder is loaded only when there is something to encode."""
    keys = index.keys()
    missing = store.missing(keys)
    if not len(missing):
        return
    total, wanted = len(set(keys)), len(missing)
    done = total - wanted
    progress(done, total)
    encoder = source.open()
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
            f"{said(source)} gives no usable numbers (NaN, infinite or too large) for "
            f"{len(unusable)} of {total} texts, the first of {index.noun} {unusable[0]}: choose "
            "another encoder"
        )


def said(source: Source) -> str:
    """The encoder in words."""
    version = source.version
    if version is None:
        return f"the encoder {source.name!r}"
    whose = "the ensemble of " if source.members else ""
    return f"{whose}the encoder version {version.number}"


def _usable(vectors: NDArray[np.float32], store: FeatureStore) -> NDArray[np.bool_]:
    """Which rows are finite in the precision in which they are kept."""
    with np.errstate(over="ignore"):
        kept = vectors.astype(store.dtype)
    return np.asarray(np.isfinite(kept).all(axis=1))
