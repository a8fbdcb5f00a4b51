"""Imports whose worker is killed, and imports at the same moment: everything once, nothing half."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile

from annotator.models import Campaign, Import, Item, Job, Prompt
from annotator.services.campaigns import create_campaign
from annotator.services.intake import cancel_import, request_import
from config.broker import install_queue_schema
from tests.annotator.test_races import together
from tests.campaigns import item, lines
from tests.worker.processes import process, test_database_url, until
from tests.worker.test_importing import work
from tests.worker.test_killed import alive, children_of

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(180),
    pytest.mark.concurrent,
]


@pytest.fixture
def sea(ruth: User, settings: Any, tmp_path: Path) -> Campaign:
    settings.MEDIA_ROOT = tmp_path / "media"  # where the workers of this test look, too
    install_queue_schema()
    return create_campaign(slug="sea", name="Sea", owner=ruth)


def asked(campaign: Campaign, rows: int) -> Import:
    blob = lines([item(number) for number in range(rows)]).getvalue()
    source = ContentFile(blob, name="items.jsonl")
    return request_import(campaign=campaign, source=source, look_first=False)


def blocked() -> bool:
    """Whether some worker waits to write its last rows."""
    with psycopg.connect(test_database_url(), autocommit=True) as watcher:
        waiting = watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND query LIKE 'COPY \"annotator_itemresponse\"%'"
        ).fetchone()
    return bool(waiting and waiting[0])


def test_an_import_whose_worker_is_killed_half_way_is_stored_once(
    sea: Campaign, tmp_path: Path
) -> None:
    made = asked(sea, 700)
    holder = psycopg.connect(test_database_url())
    holder.execute("LOCK TABLE annotator_itemresponse IN SHARE MODE")
    with process("beat", tmp_path):
        with process("worker", tmp_path) as first:
            until(blocked, what="storing")
            spawned = children_of(first.pid)
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            until(lambda: not any(alive(pid) for pid in spawned), what="the end of the children")
        holder.rollback()
        holder.close()
        assert not Item.objects.exists()
        assert not Prompt.objects.exists()
        with process("worker", tmp_path):
            until(lambda: Import.objects.get().state == "done", what="the import")
    made.refresh_from_db()
    assert (made.counts["items"], Item.objects.count()) == (700, 700)
    job = Job.objects.get(kind="import")
    assert (job.state, job.attempt, job.done) == ("done", 2, 700)


def test_an_import_that_is_cancelled_while_its_worker_stores_ends_and_stores_nothing(
    sea: Campaign, tmp_path: Path
) -> None:
    made = asked(sea, 700)
    holder = psycopg.connect(test_database_url())
    holder.execute("LOCK TABLE annotator_itemresponse IN SHARE MODE")
    with process("beat", tmp_path), process("worker", tmp_path) as worker:
        until(blocked, what="storing")
        assert cancel_import(made=made)
        until(lambda: not children_of(worker.pid) or not blocked(), what="the end of the child")
        holder.rollback()
        holder.close()
        until(lambda: not Job.objects.live().filter(kind="import").exists(), what="the job's end")
    made.refresh_from_db()
    assert (made.state, Item.objects.count(), Prompt.objects.count()) == ("cancelled", 0, 0)


def test_the_same_file_taken_in_twice_at_once_is_stored_once(sea: Campaign) -> None:
    both = [asked(sea, 40) for _ in range(2)]
    done = together(work, both)
    assert sorted(made.counts["items"] for made in done) == [0, 40]
    assert sorted(made.counts["unchanged"] for made in done) == [0, 40]
    assert Item.objects.count() == 40


def test_the_same_file_confirmed_twice_at_once_is_asked_for_once(sea: Campaign) -> None:
    from annotator.errors import WrongState
    from annotator.services.intake import IntakeOptions, confirm_import

    blob = lines([item(1)]).getvalue()
    made = work(request_import(campaign=sea, source=ContentFile(blob, name="x")))

    def confirm(_: int) -> bool:
        try:
            confirm_import(made=Import.objects.get(pk=made.pk), options=IntakeOptions())
        except WrongState:
            return False
        return True

    assert sorted(together(confirm, list(range(4)))) == [False, False, False, True]
    assert Job.objects.live().filter(kind="import").count() == 1
