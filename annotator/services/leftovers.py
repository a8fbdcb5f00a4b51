"""Files that nobody comes back for: of imports that ended long ago, and those that no row names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.core.files.storage import default_storage
from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone

from annotator.models import Campaign, Import, Job
from annotator.services.intake import OPEN, let_go
from annotator.services.removal import FOLDERS, listed, remove_folder

SETTLED = timedelta(days=1)  # whoever wrote a file has said by then what it is for
GIVEN_UP = "nobody went on with it for {days} days, so its file was deleted"


def tidy_files() -> str:
    """One pass; returns what was done, for the log. Safe to repeat and to run twice at once."""
    ended, rejects = end_old_imports(), drop_old_rejects()
    folders, files = remove_strange_folders(), remove_strange_files()
    return (
        f"ended {ended} imports, dropped the bad rows of {rejects}, removed what was left of "
        f"{folders} campaigns and {files} files that nothing names"
    )


def end_old_imports() -> int:
    """End imports that nobody confirmed in all that time; the kept file goes."""
    ended = 0
    said = GIVEN_UP.format(days=settings.KEEP_UPLOADS_DAYS)
    for made in _quiet().filter(state__in=OPEN).exclude(file=""):
        before = f"{made.error}; " if made.error else ""
        still = Import.objects.filter(pk=made.pk, state=made.state)  # nobody confirms it now
        if still.update(
            state=Import.State.CANCELLED, error=f"{before}{said}", finished_at=timezone.now()
        ):
            let_go(made)
            ended += 1
    return ended


def drop_old_rejects() -> int:
    """Delete files of bad rows; how many there were, and the first of them, stay with the row."""
    dropped = 0
    for made in _quiet().exclude(rejects=""):
        if Import.objects.filter(pk=made.pk, rejects=made.rejects).update(rejects=""):
            default_storage.delete(made.rejects)
            dropped += 1
    return dropped


def _quiet() -> QuerySet[Import]:
    """Imports that nothing was done with in the days that uploads are kept."""
    age = timezone.now() - timedelta(days=settings.KEEP_UPLOADS_DAYS)
    name = Concat(Value("import:"), Cast(OuterRef("pk"), CharField()))
    worked = Job.objects.filter(Q(created_at__gte=age) | Q(finished_at__gte=age), key=name)
    under_way = (Import.State.CHECKING, Import.State.STORING)
    old = Import.objects.filter(created_at__lt=age).exclude(state__in=under_way)
    return old.exclude(Exists(worked))


def remove_strange_folders() -> int:
    """Files of campaigns that are gone: their deletion was cut short, or an upload came late."""
    removed: set[str] = set()
    for folder in FOLDERS:
        there = {name for name in listed(folder)[0] if name.isdecimal()}
        known = Campaign.objects.filter(pk__in=there).values_list("pk", flat=True)
        for name in there - {str(pk) for pk in known}:
            if all(_settled(path) for path in _files(f"{folder}/{name}")):
                remove_folder(f"{folder}/{name}")
                removed.add(name)
    return len(removed)


def remove_strange_files() -> int:
    """Uploads that no import and no check will ever look at: who wrote them was killed."""
    removed = 0
    for folder in ("imports", "curation"):
        for path in list(_files(folder)):
            if _settled(path) and not _named(path):
                default_storage.delete(path)
                removed += 1
    return removed


def _named(path: str) -> bool:
    imports = Import.objects.filter(Q(file=path) | Q(rejects=path))
    return imports.exists() or Job.objects.live().filter(arguments__file=path).exists()


def _files(folder: str) -> Iterator[str]:
    folders, files = listed(folder)
    yield from (f"{folder}/{name}" for name in files)
    for name in folders:
        yield from _files(f"{folder}/{name}")


def _settled(path: str) -> bool:
    try:
        changed: datetime = default_storage.get_modified_time(path)
    except FileNotFoundError:  # somebody else tidies, too
        return False
    return changed < timezone.now() - SETTLED
