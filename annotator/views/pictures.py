"""A page may load the pictures that its campaign allows, and no others."""

from __future__ import annotations

from django.http import HttpResponse

from annotator.content import origins
from annotator.models import Campaign


def allow_pictures(response: HttpResponse, campaign: Campaign) -> HttpResponse:
    """Let the content policy of this one page name the campaign's hosts."""
    if allowed := origins(campaign.image_hosts):
        response._csp_update = {"img-src": sorted(allowed)}  # type: ignore[attr-defined]
    return response
