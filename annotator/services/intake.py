"""Imports in the background: a file is kept, looked at, confirmed, stored whole, and let go."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import IO, Any

from django.contrib.auth.models import User
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from annotator import dispatch
from annotator.errors import ImportRejected, InvalidInput, RowProblem, WrongState
from annotator.importers.base import Misfit
from annotator.importers.columns import check_columns
from annotator.models import Campaign, Import, Job
from annotator.services.hub import check_hub_name, hub_rows, is_hub_name
from annotator.services.imports import ImportOptions, ImportReport, named_importer
from annotator.services.rows import Rows, open_rows
from annotator.services.uploads import check_upload

State = Import.State
MOST_SHOWN_CHARS = 4000  # of one text
MOST_KEPT = 100  # problems; the file of bad rows has all
OPEN = (State.CHECKED, State.REFUSED, State.FAILED)


@dataclass(frozen=True)
class IntakeOptions:
    """How a file is read, and what is stored of it. As in `ImportOptions`.

    Attributes:
        format, columns, llm: How it is read; a change means another look.
        keep_good, history, strength_max: What is stored.
    """

    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    llm: str = ""
    keep_good: bool = False
    history: bool = False
    strength_max: float | None = None

    @property
    def reading(self) -> tuple[Any, ...]:
        """What decides how rows become items."""
        return self.format, dict(self.columns), self.llm


def stored_options(made: Import) -> IntakeOptions:
    """The options of an import."""
    known = {one.name for one in fields(IntakeOptions)}
    return IntakeOptions(**{key: v for key, v in made.options.items() if key in known})


def _check(options: IntakeOptions) -> None:
    if options.format:
        named_importer(options.format)
    try:
        check_columns(options.columns)
    except Misfit as misfit:
        raise InvalidInput(f"column {misfit}") from misfit
    if options.strength_max is not None and not 0 < options.strength_max <= 1e9:
        raise InvalidInput(f"strength_max: expected more than 0, got {options.strength_max:g}")


# --- asking ---------------------------------------------------------------------------------


def request_import(
    *,
    campaign: Campaign,
    source: File[Any] | str,
    options: IntakeOptions = IntakeOptions(),
    user: User | None = None,
    look_first: bool = True,
) -> Import:
    """Keep a file, or note the name of a data set (hf:OWNER/NAME), and ask a worker to take it in.

    Args:
        campaign: Whose pool it is for.
        source: An uploaded file (with `name`), or the name of a data set.
        options: How to read it and what to store.
        user: Who asks.
        look_first: Wait for `confirm_import` once it has been looked at; otherwise it is stored
            at once, if it can be.

    Raises:
        InvalidInput: too large, an option that is not known, or no name of a data set.
    """
    _check(options)
    made = Import(campaign=campaign, options=asdict(options), created_by=user)
    made.state = State.CHECKING if look_first else State.STORING
    if isinstance(source, str):
        check_hub_name(source)
        made.name = source.strip()
        return _queued(made)
    check_upload(source)
    made.name = (source.name or "upload")[-300:]
    made.size, made.sha256 = source.size or 0, _sha256(source)
    made.file = default_storage.save(f"imports/{campaign.pk}/{uuid.uuid4()}", source)
    try:
        return _queued(made)
    except BaseException:
        default_storage.delete(made.file)
        raise


def _sha256(source: File[Any]) -> str:
    found = hashlib.sha256()
    for chunk in source.chunks():
        found.update(chunk)
    source.seek(0)
    return found.hexdigest()


@transaction.atomic
def _queued(made: Import) -> Import:
    made.save(force_insert=True)
    _enqueue(made)
    return made


def _enqueue(made: Import) -> None:
    dispatch.enqueue(
        kind="import",
        key=made.job_key,
        arguments={"import": str(made.pk)},
        campaign=made.campaign,
    )


@transaction.atomic
def confirm_import(*, made: Import, options: IntakeOptions, look: bool = False) -> Import:
    """Have it stored; or looked at again, if asked to or if it would be read in another way.

    Raises:
        InvalidInput: an option that is not known.
        WrongState: it is under way, stored already, or cancelled.
    """
    _check(options)
    look = look or options.reading != stored_options(made).reading
    waiting = Import.objects.filter(pk=made.pk, state__in=OPEN)
    state = State.CHECKING if look else State.STORING
    if not waiting.update(state=state, options=asdict(options), error="", finished_at=None):
        made.refresh_from_db()
        raise WrongState(f"this import {made.get_state_display()}; it cannot be confirmed now")
    made.refresh_from_db()
    _enqueue(made)
    return made


def cancel_import(*, made: Import) -> bool:
    """End it: nothing is stored, and its file is let go. False when it had ended already."""
    from annotator.services import jobs

    with transaction.atomic():
        job = Job.objects.live().filter(key=made.job_key).first()
        ended = job is not None and jobs.cancel(job=job)
        ended = ended or _end(made.pk, State.CANCELLED, "", among=OPEN)
    if ended:
        let_go(made)
    return ended


def let_go(made: Import) -> None:
    """Delete the kept file; what it said is stored, or not wanted."""
    if made.file:
        default_storage.delete(made.file)
        Import.objects.filter(pk=made.pk).update(file="")


def job_of(made: Import) -> Job | None:
    """Its newest job."""
    return Job.objects.filter(key=made.job_key).first()


# --- what a worker reports ------------------------------------------------------------------


@contextmanager
def rows_of(made: Import) -> Iterator[Rows]:
    """The rows of the kept file, or of the data set.

    Raises:
        InvalidInput: they cannot be read.
    """
    if is_hub_name(made.name) and not made.file:
        yield hub_rows(made.name)
        return
    try:
        stream: Any = default_storage.open(made.file)
    except OSError as error:
        raise InvalidInput(
            f"the file is gone ({error.strerror or error}); expected another upload"
        ) from error
    with stream:
        yield open_rows(stream)


def import_options(made: Import, rejects: IO[str]) -> ImportOptions:
    """The options of an import, as the service that stores takes them."""
    given = stored_options(made)
    return ImportOptions(rejects=rejects, **asdict(given))


def record_look(
    *, made: Import, report: ImportReport, shown: list[dict[str, Any]], rejects: IO[str]
) -> None:
    """What an import would do: for a person to confirm."""
    _record(made, report, State.CHECKED, rejects, shown=[_shortened(item) for item in shown])


def record_done(*, made: Import, report: ImportReport, rejects: IO[str]) -> None:
    """What an import did; in the transaction that did it."""
    _record(made, report, State.DONE, rejects, finished_at=timezone.now())


def record_refused(*, made: Import, error: InvalidInput, rejects: IO[str]) -> None:
    """Why nothing was stored."""
    report = ImportReport()
    message = str(error)
    if isinstance(error, ImportRejected):
        report = ImportReport(rejected=error.total, problems=list(error.problems))
        message = ""
    _record(made, report, State.REFUSED, rejects, error=message, finished_at=timezone.now())


def _record(made: Import, report: ImportReport, state: str, rejects: IO[str], **more: Any) -> None:
    before = made.rejects
    path = ""
    if report.rejected:
        rejects.flush()
        rejects.seek(0)
        path = default_storage.save(f"imports/{made.campaign_id}/{uuid.uuid4()}", File(rejects))
    counts = {
        one.name: getattr(report, one.name)
        for one in fields(report)
        if isinstance(getattr(report, one.name), int)
    }
    found = {"format": report.format, "container": report.container} if report.format else {}
    Import.objects.filter(pk=made.pk).update(
        state=state,
        counts=counts,
        problems=[asdict(problem) for problem in report.problems[:MOST_KEPT]],
        rejects=path,
        **found,
        **more,
    )
    if before:
        transaction.on_commit(lambda: default_storage.delete(before))


def problems_of(made: Import) -> list[RowProblem]:
    """The first problems, as they were named."""
    return [RowProblem(**problem) for problem in made.problems]


def _shortened(value: Any) -> Any:
    """Texts of a preview, cut; the file has them whole."""
    if isinstance(value, str):
        return value if len(value) <= MOST_SHOWN_CHARS else f"{value[:MOST_SHOWN_CHARS]}…"
    if isinstance(value, list):
        return [_shortened(part) for part in value[:20]]
    if isinstance(value, dict):
        return {key: _shortened(part) for key, part in list(value.items())[:50]}
    return value


def fail_import(*, import_id: str, error: str, cancelled: bool) -> None:
    """Say why an import ended without its worker saying so."""
    state = State.CANCELLED if cancelled else State.FAILED
    _end(import_id, state, error, among=(State.CHECKING, State.STORING))


def _end(import_id: Any, state: str, error: str, *, among: tuple[str, ...]) -> bool:
    live = Import.objects.filter(pk=import_id, state__in=among)
    return bool(live.update(state=state, error=error, finished_at=timezone.now()))
