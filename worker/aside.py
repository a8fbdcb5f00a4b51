"""Progress over a connection of its own, while the work is one long transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connections

from worker.jobs import RunningJob


@contextmanager
def progress_aside(job: RunningJob) -> Iterator[Callable[[int, int, str], None]]:
    """`job.progress` in a thread, so that it is seen before the work is committed.

    Raises:
        Superseded: at a call, when the work is to stop.
    """
    with ThreadPoolExecutor(max_workers=1) as aside:

        def progress(done: int, total: int, message: str) -> None:
            aside.submit(job.progress, done, total, message).result()

        try:
            yield progress
        finally:
            aside.submit(connections.close_all).result()
