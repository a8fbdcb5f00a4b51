"""The real child process: it does the job, ends cleanly, and never outlives its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as deployed

from annotator.models import Job
from tests.campaigns import make_campaign
from tests.worker.processes import environment, until
from worker import jobs, runner

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> jobs.RunningJob:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    make_campaign(prompts=3, encoder="hashed")
    claimed = jobs.claim(Job.objects.get().pk)
    assert claimed is not None
    return claimed


def test_a_child_does_the_job_and_ends_cleanly(job: jobs.RunningJob) -> None:
    assert runner.run(job) == "done"
    row = Job.objects.get()
    assert (row.state, row.done, row.total, row.error) == ("done", 6, 6, "")


def test_a_child_whose_job_is_done_may_tidy_up(
    job: jobs.RunningJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.JOB_HEARTBEAT_SECONDS = 0.1
    with job.fence():
        pass
    tidied = tmp_path / "tidied"
    script = f"import pathlib, time; time.sleep(1); pathlib.Path({str(tidied)!r}).touch()"
    start, other = subprocess.Popen, [sys.executable, "-c", script]
    monkeypatch.setattr(runner.subprocess, "Popen", lambda _, **named: start(other, **named))
    assert runner.run(job) == "done"
    assert tidied.exists()


def test_a_child_ends_when_its_worker_is_gone(job: jobs.RunningJob) -> None:
    """Its worker is stood in for by a process that is killed while it holds the pipe."""
    script = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'from worker.child import watch_parent;"
        " import time; watch_parent(); print(1, flush=True); time.sleep(60)'],"
        " stdin=subprocess.PIPE); print(child.pid, flush=True); time.sleep(60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=deployed.BASE_DIR, text=True
    )
    assert worker.stdout is not None
    child = int(worker.stdout.readline())
    assert worker.stdout.readline().strip() == "1"  # it runs, and it watches
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    until(lambda: not _runs(child), seconds=10, what="the end of the child")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
