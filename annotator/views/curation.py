"""The checks before an export: asked for, and looked at."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotator import curated
from annotator.dispatch import curation_key
from annotator.models import Campaign
from annotator.services.curation import request_curation

from .access import signed_in
from .exports import readable


@require_http_methods(["GET", "POST"])
@signed_in
def curation(request: HttpRequest, slug: str) -> HttpResponse:
    """What an export would hold, looked at before it leaves."""
    campaign = readable(request, slug)
    if request.method == "POST":
        asked = request_curation(campaign=campaign, against=request.FILES.get("against"))
        if asked is None:
            messages.info(request, "The checks are under way already.")
        return redirect("curation", slug)
    part = bool(request.headers.get("HX-Request"))
    template = "curation/report.html" if part else "curation/page.html"
    return render(request, template, _context(campaign))


def _context(campaign: Campaign) -> dict[str, Any]:
    report = curated.newest(campaign)
    return {
        "campaign": campaign,
        "report": report,
        "checks": curated.checks(report) if report is not None else [],
        "since": curated.answers_since(report) if report is not None else 0,
        "job": campaign.jobs.filter(key=curation_key(campaign)).first(),
    }
