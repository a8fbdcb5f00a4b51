"""Stored heads mean the same responses for ever, whatever is imported in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, ModelVersion
from learning.data import Posterior
from tests.campaigns import load
from tests.worker.loops import prefer_longer, rich, work
from worker import artifacts, beliefs, store, textindex
from worker.curve import Exam

IDS = np.array([3, 10, 11, 40, 41, 90])


def with_effects(width: int = 4, items: Any = (1, 2, 5), seed: int = 0) -> Posterior:
    """A belief in which some responses have effects of their own, correlated with everything."""
    rng = np.random.default_rng(seed)
    dim = width + len(items)
    return Posterior(
        rng.standard_normal(dim), rng.standard_normal((dim, dim)), 1.0, items=np.array(items)
    )


@pytest.mark.parametrize(
    "later",
    [IDS, np.array([1, 3, 7, 10, 11, 40, 41, 55, 90, 99]), np.array([10, 11, 40, 90])],
    ids=["the same", "more came in between", "only some"],
)
def test_a_moved_belief_says_the_same_of_the_same_responses(later: Any) -> None:
    belief, features = with_effects(), np.random.default_rng(1).standard_normal((100, 4))
    there = beliefs.placed(beliefs.named(belief, IDS), later)
    shared = np.intersect1d(IDS, later)
    pairs = np.array([(a, b) for a in shared for b in shared if a < b])
    here_rows, there_rows = np.searchsorted(IDS, pairs), np.searchsorted(later, pairs)
    here = belief.margin(features[IDS], here_rows)
    np.testing.assert_allclose(there.margin(features[later], there_rows), here, atol=1e-10)


def test_effects_of_responses_that_are_gone_are_integrated_out() -> None:
    belief = with_effects()
    few = beliefs.placed(belief, np.array([2]))
    assert isinstance(few, Posterior)
    keep = [0, 1, 2, 3, 5]  # the four weights, and the effect of row 2
    assert few.items.tolist() == [0]
    np.testing.assert_allclose(few.covariance, belief.covariance[np.ix_(keep, keep)])
    assert beliefs.placed(belief, np.array([77])).rank == belief.rank


def store_as(version: ModelVersion, belief: Posterior, index: textindex.TextIndex) -> None:
    """Replace the file of a version by one with item effects."""
    found = beliefs.load(version, ids=index.ids)
    assert found is not None
    arrays = beliefs.stored_arrays(belief, found[1], index.ids)
    path, sha256 = artifacts.write(name="effects", arrays=arrays)
    version.artifact, version.artifact_sha256 = path, sha256
    version.save()


@pytest.mark.django_db
def test_a_version_with_item_effects_is_graded_alike_after_an_import(
    running: Campaign, ada: User
) -> None:
    """Responses with lower ids than the known ones may commit later: rows move, ids stay."""
    work()
    prefer_longer(running, ada)
    version = ModelVersion.objects.get(kind="all")
    index = textindex.refresh(running.pk)
    held = store.labels(running, index)
    tested = np.unique(held.comparisons.pairs[held.holdout])
    belief = with_effects(width=256 + index.surface.shape[1], items=np.arange(0, len(index.ids), 2))
    assert len(np.intersect1d(tested, belief.items)) > 2
    store_as(version, belief, index)
    before = grade(running, version)

    load(running, [rich(number) for number in range(200, 230)])
    prompt, lowest = running.prompts.all()[0], int(index.ids[0]) - 1
    moved = prompt.responses.create(pk=lowest, digest="x" * 32, text="comes first")
    after = grade(running, version)
    assert textindex.refresh(running.pk).ids[0] == moved.pk
    assert before["n"] == after["n"] > 2
    assert before["log_loss"]["value"] == pytest.approx(after["log_loss"]["value"], abs=1e-9)
    assert before["accuracy"] == after["accuracy"]


def grade(campaign: Campaign, version: ModelVersion) -> dict[str, Any]:
    """Grade a stored version on today's exam."""
    index = textindex.refresh(campaign.pk)
    embedded = np.random.default_rng(0).standard_normal((10_000, 256)).astype(np.float32)
    embedded = embedded[index.ids % 10_000]  # by id, as the feature store would
    exam = Exam.of(store.labels(campaign, index), index, embedded, seed=1)
    loaded = beliefs.load(version, ids=exam.ids)
    assert loaded is not None
    return exam.grade(*loaded)


@pytest.mark.django_db
@pytest.mark.parametrize("missing", ["items", "theta", "standardizer.mean"])
def test_a_file_of_an_older_release_is_left_out_and_not_fatal(
    running: Campaign, missing: str
) -> None:
    work()
    version = ModelVersion.objects.get(kind="all")
    arrays = {name: a for name, a in artifacts.read(version).items() if name != missing}
    version.artifact, version.artifact_sha256 = artifacts.write(name="old", arrays=arrays)
    assert beliefs.load(version, ids=np.arange(3)) is None
