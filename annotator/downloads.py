"""Downloads that can be broken off and taken up again (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotModified,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.utils.http import content_disposition_header, parse_etags

from annotator.services.snapshots import Part, store

ONE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
BLOCK = 256 * 1024


def send(request: HttpRequest, part: Part) -> HttpResponseBase:
    """A file, or the range that is asked for; where exports are in a bucket, the way there.

    The ETag is the file's checksum: whoever resumes gets the same file or all of another.
    """
    disposition = content_disposition_header(True, part.name) or ""
    if part.path is None:
        address = store().url(part.key, parameters={"ResponseContentDisposition": disposition})  # type: ignore[call-arg]
        return HttpResponseRedirect(address)
    etag = f'"{part.sha256}"'
    if etag in parse_etags(request.headers.get("If-None-Match", "")):
        return _dressed(HttpResponseNotModified(), etag)
    size = part.path.stat().st_size
    wanted = _range(request, etag, size)
    if wanted is None:
        whole = FileResponse(part.path.open("rb"), as_attachment=True, filename=part.name)
        return _dressed(whole, etag)
    first, last = wanted
    if first > last:
        refused = HttpResponse(status=416)
        refused["Content-Range"] = f"bytes */{size}"
        return _dressed(refused, etag)
    found = StreamingHttpResponse(_blocks(part.path, first, last), status=206)
    found["Content-Range"] = f"bytes {first}-{last}/{size}"
    found["Content-Length"] = str(last - first + 1)
    found["Content-Type"] = "application/octet-stream"
    found["Content-Disposition"] = disposition
    return _dressed(found, etag)


def _dressed(response: HttpResponseBase, etag: str) -> HttpResponseBase:
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-cache"
    return response


def _range(request: HttpRequest, etag: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None for all of it, the first beyond the last for what is not there.

    Several ranges at once are answered with the whole file, as is one for another version.
    """
    match = ONE_RANGE.fullmatch(request.headers.get("Range", "").strip())
    if match is None or request.headers.get("If-Range", etag).strip() != etag:
        return None
    first, last = match.groups()
    if not first:
        if not last:
            return None
        return (max(size - int(last), 0), size - 1) if int(last) else (1, 0)
    if last and int(last) < int(first):
        return None  # no range at all: to be ignored
    return (int(first), min(int(last or size), size - 1)) if int(first) < size else (1, 0)


def _blocks(path: Path, first: int, last: int) -> Iterator[bytes]:
    with path.open("rb") as stream:
        stream.seek(first)
        left = last - first + 1
        while left > 0 and (block := stream.read(min(BLOCK, left))):
            left -= len(block)
            yield block
