"""Building exports."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

from annotator.models import Snapshot
from annotator.services.snapshots import build_snapshot, publish_snapshot
from worker.jobs import RunningJob


def run(job: RunningJob) -> None:
    """Write the files, then publish them inside the job's fence."""
    snapshot = Snapshot.objects.select_related("campaign").get(pk=job.arguments["snapshot"])
    Snapshot.objects.filter(pk=snapshot.pk, state=Snapshot.State.QUEUED).update(
        state=Snapshot.State.BUILDING
    )
    # The files are written inside one long transaction; progress goes over a connection of its own.
    with ThreadPoolExecutor(max_workers=1) as aside:

        def progress(rows: int) -> None:
            aside.submit(job.progress, rows, 0, f"{rows:,} rows").result()

        folder = build_snapshot(snapshot=snapshot, progress=progress)
    try:
        with job.fence():
            publish_snapshot(snapshot=snapshot, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
