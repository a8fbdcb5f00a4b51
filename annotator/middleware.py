"""Where our errors become HTTP, and in which language a page is."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from annotator.errors import Conflict, InvalidInput, Missing, NotQualified, TiebreakError

STATUS: list[tuple[type[TiebreakError], int, str | Promise]] = [
    (Missing, 404, gettext_lazy("Not found")),
    (NotQualified, 403, gettext_lazy("You cannot go on here")),
    (Conflict, 409, gettext_lazy("That has changed meanwhile")),
    (InvalidInput, 422, gettext_lazy("That cannot be used")),
    (TiebreakError, 400, gettext_lazy("That did not work")),
]

# The admin, the figures of a campaign and REST are for researchers and scripts: in English.
ENGLISH = re.compile(r"/(admin|api|c/[^/]+/(progress|exports))/")


class Language(LocaleMiddleware):
    """The language that somebody chose on a page, or else the one that their browser asks for."""

    def process_request(self, request: HttpRequest) -> None:
        """Begin a request in its language."""
        if not ENGLISH.match(request.path_info):
            super().process_request(request)
            return
        translation.activate(settings.LANGUAGE_CODE)
        request.LANGUAGE_CODE = settings.LANGUAGE_CODE  # type: ignore[attr-defined]


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
