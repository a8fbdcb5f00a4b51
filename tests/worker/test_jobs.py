"""Jobs: claimed once, fenced by attempt, rung for again, given up in words."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from annotator import dispatch
from annotator.models import Campaign, Job, Round
from worker import child, handlers, jobs, runner, schedule

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(campaign: Campaign) -> Job:
    Job.objects.all().delete()
    dispatch.embed_wanted(campaign)
    return Job.objects.get()


def lapse(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_job_is_claimed_once(job: Job) -> None:
    assert jobs.claim(job.pk) is not None
    assert jobs.claim(job.pk) is None


def test_asking_twice_is_asking_once(job: Job, campaign: Campaign) -> None:
    dispatch.embed_wanted(campaign)
    assert Job.objects.count() == 1


def test_a_lapsed_lease_lets_the_next_worker_in_and_the_last_one_out(job: Job) -> None:
    first = jobs.claim(job.pk)
    lapse(job)
    second = jobs.claim(job.pk)
    assert first is not None
    assert second is not None
    assert second.attempt == first.attempt + 1
    assert not first.heartbeat()
    with pytest.raises(jobs.Superseded):
        first.progress(1, 2)
    with pytest.raises(jobs.Superseded), first.fence():
        raise AssertionError("an attempt of the past must not get inside")
    with second.fence():
        pass
    job.refresh_from_db()
    assert job.state == "done"


def test_what_fails_inside_the_fence_is_rolled_back(job: Job, campaign: Campaign) -> None:
    running = jobs.claim(job.pk)
    assert running is not None

    def half() -> None:
        with running.fence():
            Campaign.objects.update(name="changed")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    campaign.refresh_from_db()
    assert campaign.name == "Sky"


def test_a_failed_attempt_is_tried_again_until_there_are_none_left(job: Job) -> None:
    for attempt in range(1, 6):
        running = jobs.claim(job.pk)
        assert running is not None
        assert running.fail(f"no {attempt}", again=True) == (attempt == 5)
        assert jobs.claim(job.pk) is None  # not before a pause
        Job.objects.filter(state="queued").update(lease_until=None)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "no 5")
    assert jobs.claim(job.pk) is None


def test_the_sweep_rings_for_what_nobody_heard(job: Job, monkeypatch: Any) -> None:
    rung: list[int] = []
    monkeypatch.setattr(dispatch, "ring", lambda job: rung.append(job.pk))
    schedule.ring_again()
    assert rung == []  # fresh: its own bell may still be on the way
    Job.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    schedule.ring_again()
    jobs.claim(job.pk)
    schedule.ring_again()
    assert rung == [job.pk]  # claimed: somebody works on it
    lapse(job)
    schedule.ring_again()
    assert rung == [job.pk, job.pk]


def test_a_dead_broker_loses_nothing(
    campaign: Campaign, monkeypatch: Any, django_capture_on_commit_callbacks: Any
) -> None:
    Job.objects.all().delete()

    def down(*args: Any, **kwargs: Any) -> None:
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(dispatch.current_app, "send_task", down)
    with django_capture_on_commit_callbacks(execute=True):
        dispatch.embed_wanted(campaign)
    assert Job.objects.get().rung_at is None


def test_a_job_whose_worker_keeps_dying_is_given_up_in_words(campaign: Campaign) -> None:
    made = Round.objects.create(campaign=campaign, number=99, trigger="test")
    dispatch.enqueue(kind="round", key="round:99", arguments={"round": made.pk})
    job = Job.objects.get(key="round:99")
    for _ in range(5):
        jobs.claim(job.pk)
        lapse(job)
    assert schedule.give_up_hopeless() == 1
    made.refresh_from_db()
    assert made.words == "failed: given up after 5 attempts: the worker kept dying"


def test_a_child_that_dies_without_a_word_is_retried(job: Job) -> None:
    running = jobs.claim(job.pk)
    assert running is not None
    assert runner._settle(running, -9) == "failed"
    job.refresh_from_db()
    assert (job.state, "signal 9" in job.error) == ("queued", True)


def test_an_orderly_stop_costs_no_attempt(job: Job) -> None:
    for _ in range(8):  # more often than the job has attempts
        running = jobs.claim(job.pk)
        assert running is not None
        assert runner._settle(running, -signal.SIGTERM) == "stopped"
    job.refresh_from_db()
    assert (job.state, job.error) == ("queued", "")


def test_an_error_that_another_try_cannot_mend_ends_the_job(job: Job, monkeypatch: Any) -> None:
    def refuse(_: Any) -> None:
        raise jobs.PermanentFailure("choose another encoder")

    monkeypatch.setitem(handlers.HANDLERS, "embed", refuse)
    running = jobs.claim(job.pk)
    assert running is not None
    child.main(running.id, running.attempt)
    job.refresh_from_db()
    assert (job.state, job.error) == ("failed", "choose another encoder")
