"""Judges and routing on a page of the campaign."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotator import routed
from annotator.services.routes import judge_key

from .access import signed_in
from .exports import readable


@require_GET
@signed_in
def judges(request: HttpRequest, slug: str) -> HttpResponse:
    """What each judge said and cost, how good it is, and who answered what."""
    campaign = readable(request, slug)
    part = bool(request.headers.get("HX-Request"))
    context = {
        "campaign": campaign,
        "routed": routed.page(campaign),
        "job": campaign.jobs.filter(key=judge_key(campaign.pk)).first(),
    }
    return render(request, "judges/report.html" if part else "judges/page.html", context)
