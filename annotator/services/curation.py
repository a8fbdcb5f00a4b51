"""Checks before an export: asking for them, storing what a worker found, leaving rows out."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from django.core.files.base import File
from django.core.files.storage import default_storage

from annotator import dispatch
from annotator.errors import InvalidInput
from annotator.models import Campaign, CurationReport, Job
from annotator.services.uploads import check_upload

CHECKS = {
    "duplicates": "Near-duplicate prompts",
    "source": "The model's name gives it away",
    "length": "Length",
    "margin": "Margin and score",
    "contradictions": "Contradictory answers",
    "label_errors": "Suspected wrong choices",
    "contamination": "Contamination",
}


def request_curation(*, campaign: Campaign, against: File[Any] | None = None) -> Job | None:
    """Have a worker check what an export would hold; None when one is at it already.

    Args:
        campaign: Whose answers.
        against: A file of which nothing should be in the rows: JSON Lines or text, perhaps packed.

    Raises:
        InvalidInput: the file is too large.
    """
    arguments: dict[str, Any] = {"campaign": campaign.pk}
    if against is not None:
        check_upload(against)
        name = PurePath(against.name or "upload").name[-200:]
        kept = f"curation/{campaign.pk}/{uuid.uuid4()}" + (".gz" if name.endswith(".gz") else "")
        arguments |= {"file": default_storage.save(kept, against), "against": name}
    try:
        asked = dispatch.curation_wanted(campaign, arguments)
    except BaseException:
        let_go(arguments)
        raise
    if asked is None:
        let_go(arguments)
    return asked


def let_go(arguments: dict[str, Any]) -> None:
    """Delete the file that a job was to look at, if it had one."""
    if arguments.get("file"):
        default_storage.delete(str(arguments["file"]))


def record_report(
    *,
    campaign: Campaign,
    questions: int,
    annotations_seen: int,
    against: str,
    findings: list[dict[str, Any]],
    left_out: dict[str, list[str]],
) -> CurationReport:
    """Store a report. Call inside the job's fence."""
    return CurationReport.objects.create(
        campaign=campaign,
        questions=questions,
        annotations_seen=annotations_seen,
        against=against,
        findings=findings,
        left_out=left_out,
    )


def checked_names(names: Iterable[str]) -> list[str]:
    """Names of checks, each once, in the order of the report.

    Raises:
        InvalidInput: there is no check of that name.
    """
    asked = set(names)
    if unknown := sorted(asked - set(CHECKS)):
        raise InvalidInput(f"there is no check {unknown[0]!r}; there are: {', '.join(CHECKS)}")
    return [name for name in CHECKS if name in asked]


def newest_report(campaign: Campaign) -> CurationReport:
    """The report that leaving out goes by.

    Raises:
        InvalidInput: there is none.
    """
    report = campaign.curations.first()
    if report is None:
        raise InvalidInput("nobody has checked the rows yet: check before leaving rows out")
    return report


def excluded_ids(report: CurationReport, names: Iterable[str]) -> set[str]:
    """The ids of the questions that leaving out these checks' rows takes.

    Raises:
        InvalidInput: there is no check of that name, or this report has not made it.
    """
    found: set[str] = set()
    for name in checked_names(names):
        if name not in report.left_out:
            raise InvalidInput(f"the newest report has not checked {name!r}: check again")
        found |= set(report.left_out[name])
    return found
