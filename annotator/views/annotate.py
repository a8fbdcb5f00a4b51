"""The annotator's pages: guidelines, the workspace, and what its buttons do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotator import keys, selectors
from annotator.errors import AnsweredElsewhere, InvalidAnswer, InvalidInput, NotQualified
from annotator.models import Annotator, Assignment
from annotator.querysets import TESTS
from annotator.services import rounds
from annotator.services.annotations import fetch_assignment, record_annotation, undo_last
from annotator.services.assignments import next_assignment, save_draft, visit
from annotator.services.campaigns import ensure_annotator, mark_guidelines_read

from . import mine, onboarding
from .access import signed_in
from .pictures import allow_pictures, with_pictures
from .question import Workspace, plain, question


def _workspace(
    annotator: Annotator,
    assignment: Assignment | None,
    *,
    errors: Mapping[str, list[str]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Workspace:
    status = rounds.status_for(annotator=annotator)
    if assignment is None:
        empty = selectors.why_empty(campaign=annotator.campaign, annotator=annotator)
        return Workspace(annotator, status, keys.keys_for(status.own_keys), empty=empty)
    return question(annotator, assignment, status, errors=errors, values=values)


def _show(request: HttpRequest, workspace: Workspace, *, status: int = 200) -> HttpResponse:
    """The whole page, or only the part that changes when htmx asks."""
    wants_part = bool(request.headers.get("HX-Request"))
    template = "annotate/workspace_part.html" if wants_part else "annotate/workspace.html"
    context = {"w": workspace, "campaign": workspace.annotator.campaign}
    response = render(request, template, with_pictures(context), status=status)
    response["Vary"] = "HX-Request"
    return allow_pictures(response, workspace.annotator.campaign)


@require_GET
@signed_in
def workspace(request: HttpRequest, slug: str) -> HttpResponse:
    """The next question of this campaign, or why there is none."""
    try:
        annotator, assignment = visit(slug=slug, user=request.user)
    except NotQualified:
        return redirect("qualification", slug=slug)
    if first := _comes_first(annotator):
        return redirect(first, slug=slug)
    return _show(request, _workspace(annotator, assignment))


def _comes_first(annotator: Annotator) -> str:
    """The page that this person has to see before a question, if any."""
    if annotator.guidelines_read < annotator.guidelines_version:
        return "guidelines"
    return annotator.stage if annotator.campaign.state == "running" else ""


@require_http_methods(["GET", "POST"])
@signed_in
def guidelines(request: HttpRequest, slug: str) -> HttpResponse:
    """Read the guidelines; confirming leads to the first question."""
    campaign = selectors.campaign_to_answer(slug=slug, user=request.user)
    annotator = ensure_annotator(campaign=campaign, user=request.user)
    if request.method == "POST":
        mark_guidelines_read(annotator=annotator, version=_version(request, campaign))
        return redirect("workspace", slug=slug)
    newest = campaign.guidelines.first()
    context = {"campaign": campaign, "guidelines": newest, "annotator": annotator}
    response = render(request, "annotate/guidelines.html", with_pictures(context))
    return allow_pictures(response, campaign)


def _version(request: HttpRequest, campaign: Any) -> int:
    """The version that was on the page, which may be older than the newest."""
    sent = request.POST.get("version", "")
    if not re.fullmatch(r"[0-9]{1,9}", sent) or int(sent) > campaign.guidelines_version:
        said = _("version: expected a guidelines version, got “%(sent)s”")
        raise InvalidInput(said % {"sent": sent[:40]})
    return int(sent)


@require_POST
@signed_in
def answer(request: HttpRequest, assignment_id: UUID) -> HttpResponse:
    """Record one answer; reply with the next question, or with the form and its errors."""
    try:
        key = UUID(request.POST.get("submission_key", ""))
    except ValueError as error:
        said = _("the answer came without the submission_key of its page; reload it and try again")
        raise InvalidInput(said) from error
    try:
        said = record_annotation(
            assignment_id=assignment_id,
            user=request.user,
            submission_key=key,
            data=plain(request.POST),
        )
    except AnsweredElsewhere as refused:
        return mine.offer_correction(request, assignment_id, refused)
    except InvalidAnswer as error:
        assignment = fetch_assignment(assignment_id=assignment_id, user=request.user)
        if assignment.query.arm in TESTS:
            said_so = {"errors": error.fields, "values": plain(request.POST)}
            return onboarding.again(request, assignment, **said_so)
        again = _workspace(
            assignment.annotator, assignment, errors=error.fields, values=plain(request.POST)
        )
        return _show(request, again, status=422)
    if said.assignment.query.arm in TESTS:
        return onboarding.answered(request, said)
    return _next(request, slug=said.assignment.annotator.campaign.slug)


def _next(request: HttpRequest, *, slug: str) -> HttpResponse:
    """The next question in the same response; without JavaScript, a redirect to it.

    Nothing (204) when that is on the page already: it was leased ahead.
    """
    if not request.headers.get("HX-Request"):
        return redirect("workspace", slug=slug)
    try:
        annotator, assignment = next_assignment(slug=slug, user=request.user)
    except NotQualified:
        return onboarding.send_to(request, "qualification", slug)
    if first := _comes_first(annotator):
        return onboarding.send_to(request, first, slug)
    if assignment is not None and request.headers.get("X-Tiebreak-Ahead") == str(assignment.pk):
        rounds.status_for(annotator=annotator)
        return HttpResponse(status=204)
    return _show(request, _workspace(annotator, assignment))


@require_POST
@signed_in
def ahead(request: HttpRequest, slug: str) -> HttpResponse:
    """Lease the question after the one on the page, so that it is there at the press of a key."""
    try:
        after = UUID(request.POST.get("after", ""))
    except ValueError as error:
        said = _("after: expected the id of the assignment on the page")
        raise InvalidInput(said) from error
    annotator, assignment = next_assignment(slug=slug, user=request.user, after=after)
    if assignment is None or assignment.pk == after:
        return HttpResponse(status=204)
    shown = _workspace(annotator, assignment)
    return _show(request, replace(shown, status=shown.status.with_one_more()))  # when it is shown


@require_POST
@signed_in
def undo(request: HttpRequest, slug: str) -> HttpResponse:
    """Take back the last answer and show that question again."""
    undo_last(slug=slug, user=request.user)
    return _next(request, slug=slug)


@require_POST
@signed_in
def draft(request: HttpRequest, assignment_id: UUID) -> HttpResponse:
    """Keep what was typed and chosen so far."""
    saved = save_draft(assignment_id=assignment_id, user=request.user, draft=plain(request.POST))
    return JsonResponse({"saved": saved})
