"""What is looked after once an hour: files that nobody needs any more."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from django.conf import settings

from annotator.models import Campaign
from annotator.services.leftovers import tidy_files

OWN = ("models/campaign-*", "index/campaign-*", "features/.campaign-*")  # what workers keep
NUMBER = re.compile(r"campaign-(\d+)")


def tidy() -> str:
    """One pass; returns what was done, for the log. Safe to repeat and to run twice at once."""
    return f"{tidy_files()}; {remove_strange()} models and indexes of campaigns that are gone"


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
