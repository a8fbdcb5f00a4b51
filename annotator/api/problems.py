"""DRF's own errors as problem+json, like ours."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Give every refusal the same shape: type, title, status, detail, errors by field."""
    response = exception_handler(error, context)
    if response is None:
        return None  # ours go on to `annotator.middleware`, bugs to the log
    data = response.data
    detail = data.pop("detail", None) if isinstance(data, dict) else None
    body = {
        "type": "about:blank",
        "title": response.status_text,
        "status": response.status_code,
        "detail": str(detail or "the request could not be used; see errors"),
    }
    if detail is None:
        body["errors"] = data
    response.data = body
    response.content_type = "application/problem+json"
    return response
