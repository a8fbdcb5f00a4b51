"""Workers that are killed: the round still completes, once."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psycopg
import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign, Job, ModelVersion, Query, Round, Slot
from annotator.services.campaigns import create_campaign, start_campaign
from config.broker import install_queue_schema
from tests.campaigns import join, load
from tests.worker.loops import FIELDS, rich
from tests.worker.processes import process, test_database_url, until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
    pytest.mark.concurrent,
]


def blocked() -> bool:
    """Whether some worker waits to write its queries."""
    with psycopg.connect(test_database_url(), autocommit=True) as watcher:
        waiting = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND query LIKE 'INSERT INTO \"annotator_query\"%'"
        ).fetchone()
    return bool(waiting and waiting[0])


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in {listed, *threads} for child in file.read_text().split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def campaign(ada: User) -> Campaign:
    install_queue_schema()
    made = create_campaign(slug="loop", name="Loop", **FIELDS)
    load(made, [rich(number) for number in range(60)])
    join(made, ada)
    return start_campaign(campaign=made)


def test_a_round_whose_worker_is_killed_while_publishing_completes_once(
    campaign: Campaign, tmp_path: Path
) -> None:
    holder = psycopg.connect(test_database_url())
    holder.execute("LOCK TABLE annotator_query IN SHARE MODE")  # publishing has to wait
    with process("beat", tmp_path):
        with process("worker", tmp_path) as first:
            until(blocked, what="publishing")
            spawned = children_of(first.pid)
            assert spawned
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            until(lambda: not any(alive(pid) for pid in spawned), what="the end of the children")
        holder.rollback()
        holder.close()
        assert not Query.objects.exists()
        with process("worker", tmp_path):
            until(lambda: Round.objects.get().state == "published", what="the round")
            until(lambda: not Job.objects.live().exists(), what="the end of all jobs")
    assert Query.objects.count() == Slot.objects.count() == 12
    assert ModelVersion.objects.count() == 2
    job = Job.objects.get(kind="round")
    assert (job.state, job.attempt) == ("done", 2)


def test_lost_doorbells_are_rung_again_by_the_sweep(campaign: Campaign, tmp_path: Path) -> None:
    """Nothing rang here at all: this process has no broker that the worker hears."""
    with process("beat", tmp_path), process("worker", tmp_path):
        until(lambda: Round.objects.get().state == "published", what="the round")
    assert Query.objects.count() == 12
