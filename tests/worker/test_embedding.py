"""Features: computed once a text, resumed where a killed worker stopped, told in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotator.models import Campaign, Job
from tests.campaigns import make_campaign
from worker import embedding, jobs, textindex

pytestmark = pytest.mark.django_db


class Breaking:
    """An encoder that counts its texts, and dies after some."""

    def __init__(self, lives: int) -> None:
        self.lives, self.seen = lives, 0

    def encode(self, texts: Sequence[str]) -> Any:
        if self.lives == 0:
            raise MemoryError
        self.lives -= 1
        self.seen += len(texts)
        return np.ones((len(texts), 256), np.float32)


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Campaign:
    settings.VAR_DIR = tmp_path  # a feature store of its own
    monkeypatch.setattr(embedding, "SHARD", 4)
    return make_campaign(prompts=8, encoder="hashed")  # 16 texts, four shards


def embed(campaign: Campaign, encoder: Breaking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "load_encoder", lambda name, threads: encoder)
    Job.objects.update(lease_until=None, state="queued")
    claimed = jobs.claim(Job.objects.get(campaign=campaign).pk)
    assert claimed is not None
    embedding.run(claimed)


def test_a_worker_that_died_loses_one_shard_at_most(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = Breaking(2), Breaking(99), Breaking(0)
    with pytest.raises(MemoryError):
        embed(campaign, first, monkeypatch)
    assert Job.objects.get().message == "embedding 8 of 16"
    embed(campaign, second, monkeypatch)
    assert (first.seen, second.seen) == (8, 8)
    assert Job.objects.get().message == "embedding 16 of 16"
    embed(campaign, third, monkeypatch)  # nothing is left: the encoder is not even asked
    assert third.seen == 0


def test_two_processes_do_not_embed_the_same_texts(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process has its turn, its progress is told here and waited for."""
    index, told = textindex.refresh(campaign.pk), []
    source = embedding.Source.of(campaign)
    with embedding._turn(campaign, source) as mine, embedding._turn(campaign, source) as too:
        assert (mine, too) == (True, False)

    def other_finishes(_: float) -> None:
        store = source.store()
        rows = store.missing(index.keys())
        store.append([index.keys()[row] for row in rows], np.ones((len(rows), 256)))

    monkeypatch.setattr(embedding.time, "sleep", other_finishes)
    with embedding._turn(campaign, source):
        embedding.ensure_features(campaign, index, progress=lambda *at: told.append(at))
    assert told == [(0, 16)]
