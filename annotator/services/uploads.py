"""What an upload must be before it is read."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.base import File

from annotator.errors import InvalidInput


def check_upload(upload: File[Any]) -> None:
    """Refuse an upload over the limit.

    Raises:
        InvalidInput: too large; says the limit, and what to use instead.
    """
    size = upload.size or 0
    if size > settings.MAX_UPLOAD_BYTES:
        raise InvalidInput(
            f"the file has {size:,} bytes; the limit for an upload is "
            f"{settings.MAX_UPLOAD_BYTES:,}: use the command import_items on the server"
        )
