"""Taking in files and data sets: a look, or everything in one transaction."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import IO

from django.db import transaction

from annotator.errors import InvalidInput
from annotator.models import Import
from annotator.services import intake
from annotator.services.imports import check_items, import_items
from worker.aside import progress_aside
from worker.jobs import RunningJob, Superseded


def run(job: RunningJob) -> None:
    """Do what the import waits for; a file that cannot be used is no failure of the job."""
    made = Import.objects.select_related("campaign").get(pk=job.arguments["import"])
    if not made.under_way:  # it ended meanwhile
        raise Superseded(f"import {made.pk} is {made.state}")
    work = _look if made.state == Import.State.CHECKING else _store
    with tempfile.TemporaryFile("w+", encoding="utf-8") as rejects, progress_aside(job) as tell:
        try:
            work(job, made, rejects, lambda read: tell(read, 0, f"{read:,} rows read"))
        except InvalidInput as error:
            with job.fence():
                intake.record_refused(made=made, error=error, rejects=rejects)
    if Import.objects.filter(pk=made.pk, state=Import.State.DONE).exists():
        intake.let_go(made)


def _look(job: RunningJob, made: Import, rejects: IO[str], progress: Callable[[int], None]) -> None:
    options = intake.import_options(made, rejects)
    with intake.rows_of(made) as rows:
        report, shown = check_items(
            campaign=made.campaign, rows=rows, options=options, progress=progress
        )
    with job.fence():
        intake.record_look(made=made, report=report, shown=shown, rejects=rejects)


def _store(
    job: RunningJob, made: Import, rejects: IO[str], progress: Callable[[int], None]
) -> None:
    """All of it, the word that it is done, and the end of the job: together or not at all."""
    options = intake.import_options(made, rejects)
    with transaction.atomic(), intake.rows_of(made) as rows:
        report = import_items(campaign=made.campaign, rows=rows, options=options, progress=progress)
        with job.fence():
            intake.record_done(made=made, report=report, rejects=rejects)
