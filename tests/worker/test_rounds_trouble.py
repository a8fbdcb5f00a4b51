"""What may go wrong around a round, and what must not stop the loop."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotator.models import (
    Campaign,
    Job,
    ModelVersion,
    Query,
    Round,
)
from annotator.services import rounds
from annotator.services.campaigns import create_campaign, start_campaign
from annotator.services.jobs import cancel
from learning import heads
from learning.data import Comparisons
from learning.features import Standardizer
from tests.annotator.acts import answer, lease
from tests.campaigns import item, join, load
from tests.worker.loops import FIELDS, prefer_longer, rich, work
from worker import artifacts, beliefs, child, jobs
from worker.schedule import sweep

pytestmark = pytest.mark.django_db


def test_a_version_that_cannot_be_read_is_left_out(running: Campaign, ada: User) -> None:
    work()
    ModelVersion.objects.update(artifact_sha256="0" * 64)
    prefer_longer(running, ada)
    rounds.request_round_if_due(campaign=running)
    work()
    assert {point["round"] for point in Round.objects.first().report["curve"]} == {2}


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
    path, sha256 = artifacts.write(
        name="narrow", arrays=beliefs.stored_arrays(prior, narrow, np.arange(4))
    )
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
