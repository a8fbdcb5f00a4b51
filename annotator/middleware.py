"""The one place where our errors become HTTP."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from annotator.errors import Conflict, InvalidInput, Missing, NotQualified, TiebreakError

STATUS: list[tuple[type[TiebreakError], int, str]] = [
    (Missing, 404, "Not found"),
    (NotQualified, 403, "You cannot go on here"),
    (Conflict, 409, "That has changed meanwhile"),
    (InvalidInput, 422, "That cannot be used"),
    (TiebreakError, 400, "That did not work"),
]


class ErrorsToHttp:
    """Answers `TiebreakError`s with the right status, as JSON, fragment or page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Pass through; errors come by `process_exception`."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Map our own tree; everything else is a bug and goes on to Django."""
        if not isinstance(error, TiebreakError):
            return None
        status, title = next((s, t) for kind, s, t in STATUS if isinstance(error, kind))
        if request.path.startswith("/api/"):
            body = {"type": "about:blank", "title": title, "status": status, "detail": str(error)}
            return JsonResponse(body, status=status, content_type="application/problem+json")
        template = "partials/problem.html" if request.headers.get("HX-Request") else "problem.html"
        context = {"title": title, "message": str(error), "status": status}
        response = render(request, template, context, status=status)
        if request.headers.get("HX-Request"):
            response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
        return response
