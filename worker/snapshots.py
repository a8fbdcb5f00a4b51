"""Building exports."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from annotator.exporters import ExportOptions
from annotator.models import Snapshot
from annotator.services.exports import estimate
from annotator.services.snapshots import build_snapshot, drop_files, publish_snapshot, tidy
from worker.jobs import RunningJob


def run(job: RunningJob) -> None:
    """Write the files, then publish them inside the job's fence.

    Raises:
        Superseded: it was cancelled, or another attempt has it; nothing is left of this one.
    """
    tidy()
    snapshot = Snapshot.objects.select_related("campaign").get(pk=job.arguments["snapshot"])
    Snapshot.objects.filter(pk=snapshot.pk, state=Snapshot.State.QUEUED).update(
        state=Snapshot.State.BUILDING
    )
    options = ExportOptions.checked(snapshot.options)
    total = estimate(campaign=snapshot.campaign, options=options)
    # The files are written inside one long transaction; progress goes over a connection of its own.
    with ThreadPoolExecutor(max_workers=1) as aside:

        def progress(questions: int, rows: int) -> None:
            said = f"{questions:,} of about {total:,} questions, {rows:,} rows"
            aside.submit(job.progress, questions, max(total, questions), said).result()

        try:
            folder = build_snapshot(snapshot=snapshot, progress=progress)
        finally:
            aside.submit(_hang_up).result()
    try:
        with job.fence():
            publish_snapshot(snapshot=snapshot, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        drop_files(name=folder.name)
        raise


def _hang_up() -> None:
    """Close the connection of the thread that this runs in."""
    connection.close()
