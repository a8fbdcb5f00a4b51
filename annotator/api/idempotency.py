"""`Idempotency-Key`: a creating request that is sent again is answered again, and done once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.errors import InvalidInput
from annotator.models import AnsweredRequest

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEY = re.compile(r"[\x21-\x7e]{1,200}")
Handler = Callable[..., Response]


def idempotent(handler: Handler) -> Handler:
    """Let callers repeat this request safely with an `Idempotency-Key`.

    Key and work share one transaction: what was refused may be sent again under the same key,
    and of two requests at once the second waits and gets the first one's answer.
    """

    @wraps(handler)
    def keyed(view: Any, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = request.headers.get(HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        if not KEY.fullmatch(key):
            said = "expected 1 to 200 visible ASCII characters"
            raise serializers.ValidationError({HEADER: [said]})
        with transaction.atomic():
            mark = _fingerprint(request)
            row, first = _claim(request.user, key, mark)
            if not first:
                return _again(row, mark)
            response = handler(view, request, *args, **kwargs)
            row.status, row.body = response.status_code, _plain(response.data)
            row.location = response.headers.get("Location", "")
            row.save(update_fields=["status", "body", "location"])
            return response

    keyed.idempotent = True  # type: ignore[attr-defined] # for the OpenAPI document
    return keyed


def _claim(user: User, key: str, fingerprint: str) -> tuple[AnsweredRequest, bool]:
    """The row of a key, and whether it is new; waits for a request under way with that key."""
    return AnsweredRequest.objects.get_or_create(
        user=user, key=key, defaults={"fingerprint": fingerprint}
    )


def _again(row: AnsweredRequest, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise InvalidInput(
            f"{HEADER} {row.key!r} was used for another request; expected a new key for each"
        )
    headers = {REPLAYED: "true"} | ({"Location": row.location} if row.location else {})
    return Response(row.body, status=row.status, headers=headers)


def _fingerprint(request: Request) -> str:
    body = json.dumps(_plain(request.data), sort_keys=True)
    said = "\n".join([str(request.method), request.get_full_path(), body])
    return hashlib.sha256(said.encode()).hexdigest()


def _plain(data: Any) -> Any:
    """Data as JSON holds it; a file is its checksum."""
    return json.loads(json.dumps(data, default=_said))


def _said(value: Any) -> str:
    if not isinstance(value, UploadedFile):
        return str(value)
    value.seek(0)
    digest = hashlib.file_digest(value.file, "sha256").hexdigest()
    value.seek(0)
    return digest
