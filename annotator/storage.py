"""Where finished exports are kept, unless an operator names another place."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.core.files.storage import FileSystemStorage
from django.utils.functional import cached_property


class SnapshotFiles(FileSystemStorage):
    """Files below `TIEBREAK_VAR`, with no address of their own."""

    @cached_property
    def base_location(self) -> str:
        """The folder."""
        return str(Path(settings.VAR_DIR) / "snapshots")
