"""One's own pages: keys, what one has answered, and changing an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotator import dispatch, keys, my_answers, selectors
from annotator.errors import (
    AnswerChanged,
    AnsweredElsewhere,
    InvalidAnswer,
    InvalidInput,
    Missing,
    WrongState,
)
from annotator.models import Annotator
from annotator.services import rounds
from annotator.services.corrections import Standing, revise_annotation, standing
from annotator.services.preferences import reset_keys, save_keys

from .access import signed_in
from .pictures import allow_pictures, with_pictures
from .question import plain, question

Errors = Mapping[str, list[str]]
NO_VERDICT = ("submit", "skip", "flag")


@require_http_methods(["GET", "POST"])
@signed_in
def key_page(request: HttpRequest) -> HttpResponse:
    """Every action with its key, and a field for another one."""
    if request.method == "GET":
        return _keys(request, keys.keys_for(selectors.own_keys(user=request.user)))
    if request.POST.get("what") == "defaults":
        reset_keys(user=request.user)
        messages.success(request, _("All keys are back to the defaults."))
        return redirect(_key_page(request))
    given = {action: request.POST.get(f"key-{action}", "") for action in keys.ACTIONS}
    try:
        save_keys(user=request.user, given=given)
    except InvalidAnswer as error:
        return _keys(request, given, error.fields)
    messages.success(request, _("Your keys are saved."))
    return redirect(_key_page(request))


def _keys(
    request: HttpRequest, now: Mapping[str, str], errors: Errors | None = None
) -> HttpResponse:
    wrong = errors or {}
    groups = [
        (title, [(a, w, default, now.get(a), wrong.get(a)) for a, (default, w) in group.items()])
        for title, group in keys.GROUPS
    ]
    context = {"groups": groups, "errors": wrong, "back": _back(request)}
    return render(request, "mine/keys.html", context, status=422 if wrong else 200)


def _back(request: HttpRequest) -> str:
    """Where the person came from, if it is a page of this site."""
    sent = request.POST.get("next") or request.GET.get("next") or ""
    known = url_has_allowed_host_and_scheme(sent, {request.get_host()}, request.is_secure())
    return sent if known and sent.startswith("/") else ""


def _key_page(request: HttpRequest) -> str:
    back = _back(request)
    return reverse("keys", query={"next": back} if back else None)


@require_GET
@signed_in
def answers(request: HttpRequest, slug: str) -> HttpResponse:
    """What this person has answered in a campaign, the newest first."""
    campaign = selectors.campaign_to_answer(slug=slug, user=request.user)
    annotator = my_answers.annotator_of(campaign=campaign, user=request.user)
    before = request.GET.get("before", "")
    context = {"campaign": campaign, "before": before, "page": None}
    if annotator is not None:
        context["page"] = my_answers.page(annotator=annotator, campaign=campaign, before=before)
        context["summary"] = my_answers.summary(annotator=annotator)
    return render(request, "mine/answers.html", context)


@require_http_methods(["GET", "POST"])
@signed_in
def change(request: HttpRequest, assignment_id: UUID) -> HttpResponse:
    """An answered question once more, filled in; what is sent supersedes the answer."""
    if request.method == "GET":
        return _change(request, standing(assignment_id=assignment_id, user=request.user))
    data = plain(request.POST)
    try:
        said = revise_annotation(
            assignment_id=assignment_id,
            user=request.user,
            submission_key=_sent_key(request),
            data=data,
        )
    except InvalidAnswer as error:
        now = standing(assignment_id=assignment_id, user=request.user)
        return _change(request, now, data, error.fields, status=422)
    except AnswerChanged:
        now = standing(assignment_id=assignment_id, user=request.user)
        return _change(request, now, data, _changed(now), status=409)
    _look_for_round(said.annotator)
    return _saved(request, slug=said.annotator.campaign.slug)


def offer_correction(
    request: HttpRequest, assignment_id: UUID, refused: AnsweredElsewhere
) -> HttpResponse:
    """The answer that another tab gave, with what this one says filled in: saving it corrects it.

    Raises:
        AnsweredElsewhere: there is nothing to offer, because that answer cannot be changed.
    """
    try:
        now = standing(assignment_id=assignment_id, user=request.user)
    except (Missing, WrongState):
        raise refused from None
    data = plain(request.POST)
    pressed = data.get("choice", "")
    verdict = now.values["verdict"] if pressed in NO_VERDICT else pressed
    data = {"verdict": verdict, **data}
    return _change(request, now, data, _answered_elsewhere(now), status=409)


def _look_for_round(annotator: Annotator) -> None:
    """A correction is a fresh judgement: it may be the one that makes a round due."""
    figures = selectors.loop_status(campaign_id=annotator.campaign_id)
    if rounds.due_reason(figures, annotator.campaign):
        dispatch.nudge(annotator.campaign)


def _sent_key(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("submission_key", ""))
    except ValueError as error:
        said = _("the correction came without the submission_key of its page; reload it")
        raise InvalidInput(said) from error


def _change(
    request: HttpRequest,
    now: Standing,
    values: Mapping[str, Any] | None = None,
    errors: Errors | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    annotator = now.assignment.annotator
    figures = selectors.loop_status(campaign_id=annotator.campaign_id, annotator_id=annotator.pk)
    shown = question(annotator, now.assignment, figures, errors=errors, values=values or now.values)
    part = bool(request.headers.get("HX-Request"))
    template = "annotate/workspace_part.html" if part else "annotate/workspace.html"
    page = replace(shown, instant=False, correcting=now.key, version=_version(now))
    context = {"w": page, "campaign": annotator.campaign}
    response = render(request, template, with_pictures(context), status=status)
    response["Vary"] = "HX-Request"
    return allow_pictures(response, annotator.campaign)


def _version(now: Standing) -> my_answers.Version:
    query = now.assignment.query
    return my_answers.version(now.said, query.form, query.parts)


def _answered_elsewhere(now: Standing) -> Errors:
    said = _(
        "This question was answered already, perhaps in another tab; that answer says: %(words)s. "
        "What you have here is not saved. Save it to replace that, or leave it and go on."
    )
    return {"submission_key": [said % {"words": "; ".join(_version(now).phrases)}]}


def _changed(now: Standing) -> Errors:
    said = _(
        "This answer was changed meanwhile, perhaps in another tab; it now says: %(words)s. What "
        "you have here is not saved yet. Save it to replace that."
    )
    return {"submission_key": [said % {"words": "; ".join(_version(now).phrases)}]}


def _saved(request: HttpRequest, *, slug: str) -> HttpResponse:
    """To the list; a script that sends what waited goes there only from the page itself."""
    if not request.headers.get("HX-Request"):
        messages.success(request, _("The correction is saved."))
        return redirect("mine", slug=slug)
    response = HttpResponse(status=204)
    if not request.headers.get("X-Tiebreak-Ahead"):
        messages.success(request, _("The correction is saved."))
        response["HX-Redirect"] = reverse("mine", args=[slug])
    return response
