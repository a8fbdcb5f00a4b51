"""What is looked after once an hour: files that nobody needs any more."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from django.conf import settings

from annotator.models import Campaign, EncoderVersion
from annotator.services.leftovers import tidy_files
from worker import encoderfiles

OWN = ("models/campaign-*", "index/campaign-*", "features/.campaign-*")  # what workers keep
KEPT = (EncoderVersion.State.PROMOTED, EncoderVersion.State.NOT_PROMOTED)
NUMBER = re.compile(r"campaign-(\d+)")


def tidy() -> str:
    """One pass; returns what was done, for the log. Safe to repeat and to run twice at once."""
    strange, half = remove_strange(), remove_half_trained()
    return (
        f"{tidy_files()}; {strange} models and indexes of campaigns that are gone, {half} folders "
        "of trainings that ended"
    )


def remove_half_trained() -> int:
    """Checkpoints of trainings that ended, and all of those that came to nothing.

    A trained encoder stays: its heads and features refer to it, and people may take it back.
    """
    removed = 0
    for version in EncoderVersion.objects.filter(state__in=EncoderVersion.ENDED):
        kept = version.sha256 and version.state in KEPT
        doomed = encoderfiles.work(version) if kept else encoderfiles.place(version)
        if doomed.is_dir():
            shutil.rmtree(doomed, ignore_errors=True)
            removed += 1
    return removed


def remove_strange() -> int:
    """Remove models and indexes of campaigns that are gone."""
    root = Path(settings.VAR_DIR)
    found = {
        path: int(match[1])
        for pattern in OWN
        for path in root.glob(pattern)
        if (match := NUMBER.search(path.name))
    }
    known = set(Campaign.objects.filter(pk__in=found.values()).values_list("pk", flat=True))
    gone = [path for path, number in found.items() if number not in known]
    for path in gone:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(gone)
