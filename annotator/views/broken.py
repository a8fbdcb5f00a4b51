"""What is answered when something broke: a page for people, a problem for scripts."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views import defaults

API = "/api/"


def server_error(request: HttpRequest) -> HttpResponse:
    """A bug, or a database that is away; the log has the reason under the request's id."""
    if not request.path.startswith(API):
        return defaults.server_error(request)
    return _problem(500, "Server Error", "something broke here; the log says what")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that no view was shown, such as one for another host."""
    if not request.path.startswith(API):
        return defaults.bad_request(request, exception)
    return _problem(400, "Bad Request", "the request cannot be understood")


def _problem(status: int, title: str, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")
