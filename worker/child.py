"""`python -m worker.child JOB ATTEMPT`: the process in which one attempt at one job runs."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback

import django


def watch_parent() -> None:
    """End at once when the parent's end of our standard input closes: it was killed."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held by a waiting thread, breaks a clean exit.
        while os.read(0, 1):
            pass
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()


def main(job_id: int, attempt: int) -> int:
    """Run the attempt; 0 also when it failed in a way that was recorded."""
    from annotator.models import Job
    from worker import handlers
    from worker.jobs import Interrupted, PermanentFailure, RunningJob, Superseded

    row = Job.objects.get(pk=job_id)
    job = RunningJob(row.pk, row.kind, row.arguments, attempt)
    try:
        handlers.HANDLERS[job.kind](job)
    except Superseded:
        logging.getLogger(__name__).warning("attempt %s of job %s is history", attempt, job_id)
    except Exception as error:
        traceback.print_exc()
        permanent = isinstance(error, (PermanentFailure, *handlers.PERMANENT))
        in_words = permanent or isinstance(error, Interrupted)
        said = str(error) if in_words else f"{type(error).__name__}: {error}"
        handlers.fail(job, said, again=not permanent)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    watch_parent()
    django.setup()
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
