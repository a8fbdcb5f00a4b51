"""One round in a worker: what it fits on, what it publishes, what it says when it cannot."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotator.models import (
    Annotation,
    Campaign,
    Job,
    ModelVersion,
    Prompt,
    Query,
    Round,
    Slot,
)
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.jobs import cancel
from learning import heads
from learning.data import Comparisons, Posterior
from learning.features import Standardizer
from tests.annotator.acts import answer, lease
from tests.campaigns import item, join, load
from worker import artifacts, child, curve, jobs, store, textindex
from worker.schedule import sweep

pytestmark = pytest.mark.django_db

FIELDS: dict[str, Any] = {
    "encoder": "hashed",
    "batch_size": 12,
    "labels_per_round": 6,
    "queue_low": 4,
    "holdout_prompts": 0.25,
    "random_share": 0.25,
    "holdout_share": 0.25,
}


def work() -> None:
    """Do what waits, as the celery task would, in this process."""
    for job in Job.objects.filter(state="queued").order_by("pk"):
        claimed = jobs.claim(job.pk)
        assert claimed is not None
        child.main(claimed.id, claimed.attempt)


def rich(number: int) -> dict[str, Any]:
    """An item of which the longer response is the better one."""
    long = "a longer and more careful answer " * (2 + number % 5)
    return item(
        number,
        responses=[{"text": f"short {number}"}, {"text": f"{long} {number}"}],
        annotations=[{"annotator": "w", "kind": "human", "choice": 1, "strength": 2}],
    )


@pytest.fixture
def running(ada: User) -> Campaign:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(campaign, [rich(number) for number in range(60)])
    join(campaign, ada)
    return start_campaign(campaign=campaign)


def prefer_longer(campaign: Campaign, person: User, most: int = 1000) -> int:
    """Answer like somebody who likes long answers."""
    done = 0
    while done < most and (assignment := lease(campaign, person)) is not None:
        texts = dict(assignment.query.responses.values_list("pk", "text"))
        first, second = (len(texts[pk]) for pk in assignment.display_order)
        answer(assignment, person, "a2" if first > second else "b2")
        done += 1
    return done


def test_the_first_round_publishes_a_full_batch_with_arms_and_propensities(
    running: Campaign,
) -> None:
    work()
    made = Round.objects.get()
    assert made.words == "published 12 questions"
    arms = Query.objects.values_list("arm", flat=True)
    assert sorted(arms) == ["holdout"] * 3 + ["random"] * 9  # too few labels for a policy yet
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


def test_a_version_that_cannot_be_read_is_left_out(running: Campaign, ada: User) -> None:
    work()
    ModelVersion.objects.update(artifact_sha256="0" * 64)
    prefer_longer(running, ada)
    rounds.request_round_if_due(campaign=running)
    work()
    assert {point["round"] for point in Round.objects.first().report["curve"]} == {2}


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


def answer_all(campaign: Campaign, person: User, choice: str) -> int:
    done = 0
    while (assignment := lease(campaign, person)) is not None:
        answer(assignment, person, choice)
        done += 1
    return done


@pytest.mark.parametrize("choice", ["tie", "neither", "skip"])
def test_answers_that_decide_nothing_do_not_stop_the_loop(
    running: Campaign, ada: User, choice: str
) -> None:
    """All ties: nothing to measure. All skipped: the queue is full of what nobody will take."""
    for number in (1, 2):
        work()
        newest = Round.objects.first()
        assert newest is not None
        assert (newest.number, newest.state) == (number, "published")
        assert answer_all(running, ada, choice) == 12
        rounds.request_round_if_due(campaign=running)


def test_one_person_of_two_wanted_keeps_getting_questions(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", overlap=2, **FIELDS)
    load(campaign, [rich(number) for number in range(60)])
    join(campaign, ada)
    campaign = start_campaign(campaign=campaign)
    for _ in range(3):
        work()
        assert prefer_longer(campaign, ada) == 12
        rounds.request_round_if_due(campaign=campaign)


def test_a_repeated_response_does_not_stop_the_loop(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **FIELDS)
    twins = rich(0) | {"responses": [{"text": "same"}, {"text": "same"}]}
    load(campaign, [twins, *(rich(n) for n in range(1, 20))], history=True)
    start_campaign(campaign=campaign)
    work()
    assert Round.objects.get().state == "published"


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


def test_no_round_runs_into_the_void(running: Campaign, ada: User) -> None:
    """Nothing chosen, nothing answered: no further round, whatever the settings."""
    Campaign.objects.update(queue_low=100, holdout_share=0)
    running.refresh_from_db()
    for _ in range(12):
        work()
        prefer_longer(running, ada)
        rounds.request_round_if_due(campaign=running)
    work()
    last = Round.objects.first().number
    for _ in range(3):
        sweep()
        work()
    assert Round.objects.first().number == last
    chosen = [
        sum(report["chosen"].values()) for report in Round.objects.values_list("report", flat=True)
    ]
    assert chosen.count(0) <= 1  # the last round learns from the last answers


def test_after_a_failed_round_nothing_starts_by_itself_for_a_while(running: Campaign) -> None:
    Campaign.objects.update(encoder="hf:/no/such/model")
    work()
    for _ in range(3):
        sweep()
        work()
    assert Round.objects.count() == 1
    Campaign.objects.update(encoder="hashed")
    Round.objects.update(finished_at=timezone.now() - timedelta(hours=1))
    sweep()
    work()
    assert Round.objects.get().state == "published"


def test_a_round_whose_job_got_lost_is_given_a_new_one(running: Campaign) -> None:
    Job.objects.filter(kind="round").update(state="failed")
    sweep()
    work()
    assert Round.objects.get().state == "published"


def test_a_cancelled_round_says_so_and_writes_nothing(running: Campaign) -> None:
    job = Job.objects.get(kind="round")
    claimed = jobs.claim(job.pk)
    assert claimed is not None
    assert cancel(job=job)
    child.main(claimed.id, claimed.attempt)
    assert Round.objects.get().words == "failed: cancelled by a person"
    assert not Query.objects.exists()
    assert not cancel(job=job)
    Round.objects.update(finished_at=timezone.now() - timedelta(hours=1))
    sweep()
    assert Round.objects.get().state == "failed"  # a person wanted it so


def test_a_model_of_another_width_is_left_out_of_the_curve(running: Campaign, ada: User) -> None:
    work()
    version = ModelVersion.objects.get(kind="all")
    narrow = Standardizer.fit(np.eye(4, 3), None, np.array([[0, 1], [2, 3]]))
    prior = heads.get("linear_bt").fit(np.eye(4, 3), Comparisons.none())
    path, sha256 = artifacts.write(name="narrow", arrays=curve.stored_arrays(prior, narrow))
    ModelVersion.objects.filter(pk=version.pk).update(artifact=path, artifact_sha256=sha256)
    prefer_longer(running, ada)
    rounds.request_round_if_due(campaign=running)
    work()
    assert [p["round"] for p in Round.objects.first().report["curve"] if p["kind"] == "all"] == [2]


def test_an_unknown_encoder_fails_the_round_in_words_and_retry_repairs_it(
    running: Campaign,
) -> None:
    Campaign.objects.update(encoder="hf:/no/such/model")
    work()
    made = Round.objects.get()
    assert made.state == "failed"
    assert "/no/such/model" in made.words
    Campaign.objects.update(encoder="hashed")
    rounds.retry_round(made=made)
    work()
    made.refresh_from_db()
    assert made.state == "published"
    assert Query.objects.count() == 12


def test_an_empty_start_is_refused_before_anything_runs() -> None:
    from annotator.errors import InvalidInput

    campaign = create_campaign(slug="empty", name="Empty")
    with pytest.raises(InvalidInput, match="the pool is empty"):
        start_campaign(campaign=campaign)
    campaign.refresh_from_db()
    assert campaign.state == "draft"


def test_equal_texts_are_never_compared(ada: User) -> None:
    campaign = create_campaign(slug="loop", name="Loop", **(FIELDS | {"holdout_prompts": 0}))
    twins = item(0, responses=[{"text": "same", "model": "a"}, {"text": "same", "model": "b"}])
    load(campaign, [twins, rich(1), rich(2)])
    start_campaign(campaign=campaign)
    work()
    assert Query.objects.count() == 2


def test_the_pool_may_cross_items_of_one_prompt() -> None:
    campaign = create_campaign(
        slug="loop", name="Loop", candidates="prompt", **(FIELDS | {"holdout_prompts": 0})
    )
    load(campaign, [rich(1) | {"prompt": "shared"}, rich(2) | {"prompt": "shared"}])
    start_campaign(campaign=campaign)
    work()
    assert Query.objects.count() == 6
    assert set(Query.objects.values_list("item", flat=True)) == {None}


def test_derive_weighs_a_ranking_like_the_people_it_stands_for() -> None:
    assert store.derive([[5, 7]]) == [(5, 7, 0, 1.0)]
    assert store.derive([[5], [7]]) == [(5, 7, 1, 1.0)]
    assert store.derive([[1], [2, 3]]) == [(1, 2, 1, 0.5), (1, 3, 1, 0.5)]


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
