"""Building exports."""

from __future__ import annotations

import shutil

from annotator.exporters import ExportOptions
from annotator.models import Snapshot
from annotator.services.exports import estimate
from annotator.services.snapshots import build_snapshot, drop_files, publish_snapshot, tidy
from worker.aside import progress_aside
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
    with progress_aside(job) as tell:

        def progress(questions: int, rows: int) -> None:
            said = f"{questions:,} of about {total:,} questions, {rows:,} rows"
            tell(questions, max(total, questions), said)

        folder = build_snapshot(snapshot=snapshot, progress=progress)
    try:
        with job.fence():
            publish_snapshot(snapshot=snapshot, folder=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        drop_files(name=folder.name)
        raise
