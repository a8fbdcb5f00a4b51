"""One round in a worker: what it fits on, what it publishes, what it says when it cannot."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotator.models import (
    Annotation,
    Campaign,
    ModelVersion,
    Prompt,
    Query,
    Round,
    Slot,
)
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from learning.data import Posterior
from tests.campaigns import load
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import artifacts, pool, textindex
from worker.schedule import sweep

pytestmark = pytest.mark.django_db


def test_the_first_round_publishes_a_full_batch_with_arms_and_propensities(
    running: Campaign,
) -> None:
    work()
    made = Round.objects.get()
    assert made.words == "published 12 questions"
    arms = Query.objects.values_list("arm", flat=True)
    assert sorted(arms) == ["holdout"] * 3 + ["policy"] * 6 + ["random"] * 3
    # Too few labels for a policy that looks at a model: one question a prompt is drawn instead.
    by_policy = Query.objects.filter(arm="policy").values_list("acquisition", flat=True)
    assert set(by_policy) == {"random_unique"}
    for query in Query.objects.select_related("prompt"):
        assert (query.arm == "holdout") == query.prompt.is_holdout
        assert 0 < query.propensity <= 1
        assert query.model_version is not None
    assert Slot.objects.filter(state="open").count() == 12


def test_the_model_learns_and_is_measured_on_the_holdout_only(running: Campaign, ada: User) -> None:
    for _ in range(4):
        work()
        prefer_longer(running, ada)
        rounds.request_round_if_due(campaign=running)
    work()
    newest = ModelVersion.objects.filter(kind="all").order_by("-round__number").first()
    assert newest is not None
    labels = Annotation.objects.standing()
    on_holdout = labels.filter(query__prompt__is_holdout=True).count()
    assert newest.metrics["n"] == on_holdout > 5
    assert newest.comparisons == labels.count() - on_holdout
    assert newest.metrics["accuracy"]["value"] > 0.9
    assert Query.objects.filter(arm="policy", score__isnull=False).exists()
    control = ModelVersion.objects.get(round=newest.round, kind="random")
    assert 0 < control.comparisons < newest.comparisons


def test_the_curve_measures_every_version_on_the_same_answers(running: Campaign, ada: User) -> None:
    for _ in range(3):
        work()
        prefer_longer(running, ada)
        rounds.request_round_if_due(campaign=running)
    work()
    points = Round.objects.first().report["curve"]
    on_holdout = Annotation.objects.standing().filter(query__prompt__is_holdout=True)
    assert {point["n"] for point in points} == {on_holdout.count()}
    assert [p["round"] for p in points if p["kind"] == "all"] == [1, 2, 3, 4]
    first, *_, last = [p for p in points if p["kind"] == "all"]
    assert first["labels"] == 0
    assert first["log_loss"]["value"] == pytest.approx(np.log(2))
    assert last["log_loss"]["value"] < 0.5


def test_nothing_is_asked_twice_and_the_pool_runs_dry(running: Campaign, ada: User) -> None:
    for _ in range(12):
        work()
        if not prefer_longer(running, ada):
            break
        rounds.request_round_if_due(campaign=running)
    pairs = [tuple(sorted(q.responses.values_list("pk", flat=True))) for q in Query.objects.all()]
    assert len(pairs) == len(set(pairs)) == 60
    assert Round.objects.first().report["pool_left"] == 0
    assert rounds.request_round_if_due(campaign=running) is None


def test_a_round_fills_the_queue_up_and_not_over(running: Campaign, ada: User) -> None:
    work()
    prefer_longer(running, ada, most=6)
    rounds.request_round_if_due(campaign=running)
    work()
    assert Slot.objects.filter(state__in=["open", "leased"]).count() == 12


def test_what_was_handed_out_is_pending_until_it_is_answered(running: Campaign, ada: User) -> None:
    work()
    prefer_longer(running, ada, most=5)
    found = pool.candidates(running, textindex.refresh(running.pk))
    assert (found.taken.sum(), found.pending.sum()) == (12, 7)


def test_recorded_history_teaches_the_first_model(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(campaign, [rich(n) for n in range(40)], history=True, strength_max=3)
    load(campaign, [rich(n) for n in range(100, 140)])
    start_campaign(campaign=campaign)
    work()
    version = ModelVersion.objects.get(kind="all")
    held = Prompt.objects.filter(
        is_holdout=True, items__external_id__in=[f"toy:{n}" for n in range(40)]
    )
    assert version.comparisons == 40 - held.count()
    assert not Query.objects.exclude(round=None).filter(item__external_id="toy:1").exists()


def test_a_stored_model_can_be_read_back(running: Campaign, ada: User) -> None:
    work()
    version = ModelVersion.objects.get(kind="all")
    arrays = artifacts.read(version)
    posterior = Posterior.from_arrays(
        {k: v for k, v in arrays.items() if not k.startswith("standardizer.")}
    )
    assert posterior.n_comparisons == 0
    ModelVersion.objects.update(artifact_sha256="0" * 64)
    version.refresh_from_db()
    with pytest.raises(artifacts.BrokenArtifact, match="checksum"):
        artifacts.read(version)


def test_an_annotation_that_commits_late_is_still_learned_from(
    running: Campaign, ada: User
) -> None:
    """The version is a count: a lower id that commits later still makes a newer version."""
    work()
    prefer_longer(running, ada)
    rounds.request_round(campaign=running, trigger="test")
    work()
    before = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    late = Annotation.objects.filter(query__prompt__is_holdout=False).order_by("pk")[0]
    late.pk, late.assignment, late.submission_key = -7, None, uuid.uuid4()
    late.save(force_insert=True)
    rounds.request_round(campaign=running, trigger="test")
    work()
    after = ModelVersion.objects.filter(kind="all").order_by("-round__number")[0]
    assert after.annotations_seen == before.annotations_seen + 1
    assert after.comparisons == before.comparisons + 1


def test_what_judges_said_is_neither_learnt_nor_measured_yet(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    by_judge = [{"annotator": "gpt", "kind": "llm", "choice": 1}]
    load(campaign, [rich(n) | {"annotations": by_judge} for n in range(40)], history=True)
    start_campaign(campaign=campaign)
    work()
    version = ModelVersion.objects.get(kind="all")
    assert (version.comparisons, version.metrics["n"]) == (0, 0)


def test_few_holdout_prompts_give_figures_without_interval(
    running: Campaign, ada: User, as_ruth: Any, ruth: User
) -> None:
    work()
    prefer_longer(running, ada)
    rounds.request_round_if_due(campaign=running)
    work()
    figure = ModelVersion.objects.filter(kind="all").first().metrics["accuracy"]
    assert (figure["value"] is not None, figure["low"]) == (True, None)
    assert as_ruth.get(f"/c/{running.slug}/progress/").status_code == 200
    assert as_ruth.get("/admin/annotator/modelversion/").status_code == 200


def test_the_pool_may_cross_items_of_one_prompt() -> None:
    campaign = create_campaign(
        slug="loop", name="Loop", candidates="prompt", **(FIELDS | {"holdout_prompts": 0})
    )
    load(campaign, [rich(1) | {"prompt": "shared"}, rich(2) | {"prompt": "shared"}])
    start_campaign(campaign=campaign)
    work()
    assert Query.objects.count() == 6
    assert set(Query.objects.values_list("item", flat=True)) == {None}


def test_the_text_index_reads_only_what_is_new(
    running: Campaign, django_assert_max_num_queries: Any
) -> None:
    first = textindex.refresh(running.pk)
    with django_assert_max_num_queries(1):
        again = textindex.refresh(running.pk)
    np.testing.assert_array_equal(first.digests, again.digests)
    load(running, [rich(500)])
    assert len(textindex.refresh(running.pk).ids) == len(first.ids) + 2


def test_the_sweep_asks_for_a_round_that_nobody_asked_for(running: Campaign, ada: User) -> None:
    work()
    prefer_longer(running, ada)
    assert "asked for 1 rounds" in sweep()
    assert "asked for 0 rounds" in sweep()
