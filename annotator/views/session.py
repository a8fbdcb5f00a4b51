"""Signing in: on its own page, or in place over a form that must not be lost."""

from __future__ import annotations

from django.contrib.auth import login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST


class SignIn(LoginView):
    """The sign-in page."""

    template_name = "signin.html"
    redirect_authenticated_user = True


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Answer a fragment whose session ran out: the sign-in form, beside the untouched work."""
    response = render(
        request, "partials/signin_here.html", {"form": AuthenticationForm(request)}, status=401
    )
    response["HX-Retarget"], response["HX-Reswap"] = "#notice", "innerHTML"
    return response


@sensitive_post_parameters()
@require_POST
def sign_in_here(request: HttpRequest) -> HttpResponse:
    """Sign in without leaving the page; the browser then sends the waiting answer again."""
    form = AuthenticationForm(request, data=request.POST)
    if not form.is_valid():
        return render(request, "partials/signin_here.html", {"form": form}, status=422)
    login(request, form.get_user())
    response = render(request, "partials/signed_in.html")
    response["HX-Trigger"] = "signed-in"
    return response
