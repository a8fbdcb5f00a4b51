"""Who may call a page view."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse

from annotator.views.session import ask_to_sign_in

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """Let signed-in people through; a fragment is asked to sign in on the spot (401)."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.headers.get("HX-Request"):
            return ask_to_sign_in(request)
        return redirect_to_login(request.get_full_path())

    return guarded
