"""Runs a claimed job in a process of its own, which can be killed.

Forking a process that has used torch hangs, and a thread cannot be stopped; so the child is a
fresh interpreter. Its standard input is a pipe from here: when this process dies, however, the
pipe closes and the child ends itself.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import sys

from django.conf import settings

from worker.handlers import fail
from worker.jobs import RunningJob

logger = logging.getLogger(__name__)
TIDYING_SECONDS = 60.0  # for an attempt whose job is done
ORDERLY = (-signal.SIGTERM, -signal.SIGINT)  # somebody stops the service: not the job's fault


def run(job: RunningJob) -> str:
    """Run one attempt to its end, renewing the lease meanwhile; says what happened."""
    command = [sys.executable, "-m", "worker.child", str(job.id), str(job.attempt)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=settings.BASE_DIR)  # noqa: S603
    try:
        while child.poll() is None:
            try:
                child.wait(timeout=settings.JOB_HEARTBEAT_SECONDS)
            except subprocess.TimeoutExpired:
                if not job.heartbeat() and not _tidies(job, child):
                    logger.warning("job %s was taken away from attempt %s", job.id, job.attempt)
                    child.kill()
    finally:
        if child.poll() is None:
            child.kill()
        child.wait()
        if child.stdin:
            child.stdin.close()
    return _settle(job, child.returncode)


def _tidies(job: RunningJob, child: subprocess.Popen[bytes]) -> bool:
    """Whether the attempt has done its work and ended by itself within a while.

    What it wrote on the way is removed after the job is done, not before.
    """
    if not job.done():
        return False
    try:
        child.wait(timeout=TIDYING_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _settle(job: RunningJob, code: int) -> str:
    """A child that ended without a word (killed, out of memory) leaves the job to be retried."""
    if code == 0:
        return "done"
    if code in ORDERLY:
        job.release()
        return "stopped"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    error = f"the worker process ended with {how} before it could report"
    return "given up" if fail(job, error, again=True) else "failed"
