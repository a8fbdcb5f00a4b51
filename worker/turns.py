"""One training at a time in a worker: it takes long, and rounds must find a place beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from annotator.models import Job

LONG = "finetune"
_training = threading.Lock()


@contextmanager
def taken(job_id: int) -> Iterator[bool]:
    """Whether this worker may run the job now; the sweep rings again for one that waits."""
    if not Job.objects.filter(pk=job_id, kind=LONG).exists():
        yield True
        return
    free = _training.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            _training.release()
