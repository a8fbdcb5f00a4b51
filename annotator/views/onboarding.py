"""Before the first question: the practice round and the test, on pages like the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from annotator import checks, keys, selectors
from annotator.models import Annotation, Annotator, Assignment
from annotator.services.onboarding import next_test_question

from .access import signed_in
from .pictures import allow_pictures, with_pictures
from .question import Workspace, question

PRACTICE, QUALIFICATION = str(checks.PRACTICE), str(checks.QUALIFICATION)


def send_to(request: HttpRequest, name: str, slug: str) -> HttpResponse:
    """Lead to another page, from a page or from the part of one that htmx asked for."""
    if not request.headers.get("HX-Request"):
        return redirect(name, slug=slug)
    response = HttpResponse(status=204)
    response["HX-Redirect"] = reverse(name, args=[slug])
    return response


def _show(request: HttpRequest, w: Workspace, *, status: int = 200, **more: Any) -> HttpResponse:
    wants_part = bool(request.headers.get("HX-Request"))
    template = "annotate/practice_part.html" if wants_part else "annotate/practice.html"
    context = {"w": w, "campaign": w.annotator.campaign, **more}
    response = render(request, template, with_pictures(context), status=status)
    response["Vary"] = "HX-Request"
    return allow_pictures(response, w.annotator.campaign)


def _asked(
    annotator: Annotator,
    assignment: Assignment,
    errors: Mapping[str, list[str]] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Workspace:
    status = selectors.loop_status(campaign_id=annotator.campaign_id, annotator_id=annotator.pk)
    asked = question(annotator, assignment, status, errors=errors, values=values)
    return replace(asked, stage=checks.place(annotator=annotator, purpose=assignment.query.arm))


@require_GET
@signed_in
def practice(request: HttpRequest, slug: str) -> HttpResponse:
    """The next practice question, or what became of the one just answered."""
    if answered := request.GET.get("answered", ""):
        return _explained(request, answered, slug)
    annotator, assignment = next_test_question(slug=slug, user=request.user, purpose=PRACTICE)
    if assignment is None:
        return redirect("workspace", slug=slug)
    return _show(request, _asked(annotator, assignment))


def _explained(request: HttpRequest, assignment_id: str | UUID, slug: str) -> HttpResponse:
    """The explanation of one practice answer."""
    try:
        found = checks.feedback(assignment_id=UUID(str(assignment_id)), user=request.user)
    except ValueError:
        found = None
    if found is None:
        return send_to(request, "practice", slug)
    annotator = found.assignment.annotator
    status = selectors.loop_status(campaign_id=annotator.campaign_id, annotator_id=annotator.pk)
    stage = checks.place_after(annotator=annotator, purpose=PRACTICE)
    sight = selectors.sight(assignment=found.assignment)
    shown = Workspace(annotator, status, keys.keys_for(status.own_keys), sight=sight, stage=stage)
    return _show(request, shown, feedback=found)


@require_http_methods(["GET", "POST"])
@signed_in
def qualification(request: HttpRequest, slug: str) -> HttpResponse:
    """What the test is, its questions, and how it went; a press on the button begins it."""
    annotator, assignment = next_test_question(
        slug=slug, user=request.user, purpose=QUALIFICATION, begin=request.method == "POST"
    )
    if request.method == "POST":
        return redirect("qualification", slug=slug)
    if assignment is not None:
        return _show(request, _asked(annotator, assignment))
    return _about_test(request, annotator)


def _about_test(request: HttpRequest, annotator: Annotator) -> HttpResponse:
    campaign = annotator.campaign
    failed = annotator.disqualified_at is not None and campaign.qualification_pass > 0
    waits = annotator.stage == QUALIFICATION
    if not failed and not waits and annotator.qualified_at is None:
        return redirect("workspace", slug=campaign.slug)
    if waits and _elsewhere_first(annotator):
        return redirect("workspace", slug=campaign.slug)
    place = checks.place(annotator=annotator, purpose=QUALIFICATION) if waits else None
    context = {
        "campaign": campaign,
        "result": None if waits else checks.result(annotator=annotator),
        "failed": failed,
        "place": place,
        "wanted": checks.enough(campaign, place.total) if place else 0,
        "people": checks.to_ask(campaign=campaign),
    }
    return render(request, "annotate/qualification.html", context, status=403 if failed else 200)


def _elsewhere_first(annotator: Annotator) -> bool:
    """Whether the campaign rests, or guidelines wait: the workspace says so."""
    unread = annotator.guidelines_read < annotator.guidelines_version
    return annotator.campaign.state != "running" or unread


def answered(request: HttpRequest, said: Annotation) -> HttpResponse:
    """What follows an answer of a practice round or test."""
    assignment: Any = said.assignment
    slug = assignment.annotator.campaign.slug
    if assignment.query.arm == PRACTICE:
        if request.headers.get("HX-Request"):
            return _explained(request, assignment.pk, slug)
        return redirect(f"{reverse('practice', args=[slug])}?answered={assignment.pk}")
    annotator, following = next_test_question(slug=slug, user=request.user, purpose=QUALIFICATION)
    if following is None or not request.headers.get("HX-Request"):
        return send_to(request, "qualification", slug)
    return _show(request, _asked(annotator, following))


def again(
    request: HttpRequest,
    assignment: Assignment,
    *,
    errors: Mapping[str, list[str]],
    values: Mapping[str, Any],
) -> HttpResponse:
    """The same question with what was wrong about the answer."""
    return _show(request, _asked(assignment.annotator, assignment, errors, values), status=422)
