"""Pictures: what a page may load, which uploaded ones its texts name, and serving those."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotator import content
from annotator.errors import Missing
from annotator.models import Campaign, Picture
from annotator.selectors import Sight

from .access import signed_in

logger = logging.getLogger(__name__)

FOR_EVER = "private, max-age=31536000, immutable"  # the address is the content's own


def allow_pictures(response: HttpResponse, campaign: Campaign) -> HttpResponse:
    """Let the content policy of this one page name the campaign's hosts."""
    if allowed := content.origins(campaign.image_hosts):
        response._csp_update = {"img-src": sorted(allowed)}  # type: ignore[attr-defined]
    return response


def with_pictures(context: Mapping[str, Any]) -> dict[str, Any]:
    """The context of a page with the uploaded pictures that its texts name.

    One query, or none where no text names any.
    """
    names = {name for text in _texts(context) for name in content.pictures_in(text)}
    return {**context, "pictures": _named(context["campaign"], names) if names else {}}


def _named(campaign: Campaign, names: Iterable[str]) -> content.Pictures:
    return {
        picture.name: content.Picture(
            reverse("picture", args=[campaign.slug, picture.sha256]), picture.width, picture.height
        )
        for picture in Picture.objects.filter(campaign=campaign, name__in=names)
    }


def _texts(context: Mapping[str, Any]) -> Iterator[str]:
    """Everything that the templates of annotators show as Markdown."""
    if sight := getattr(context.get("w"), "sight", None):
        yield from _seen(sight)
    if guidelines := context.get("guidelines"):
        yield guidelines.text
    if feedback := context.get("feedback"):
        yield feedback.explanation


def _seen(sight: Sight) -> Iterator[str]:
    for prompt in (sight.prompt, *sight.prompts):
        yield from (turn["text"] for turn in content.to_turns(prompt))
    yield sight.context
    yield from sight.responses


@require_safe
@signed_in
def picture(request: HttpRequest, slug: str, sha256: str) -> HttpResponseBase:
    """The file of one picture, for people of its campaign."""
    found = Picture.objects.shown_to(request.user).filter(campaign__slug=slug, sha256=sha256)
    row = found.first()
    if row is None:
        raise Missing(_("no such picture in a campaign of yours"))
    etag = quote_etag(row.sha256)
    response = get_conditional_response(request, etag=etag) or _file(row)
    response["ETag"], response["Cache-Control"] = etag, FOR_EVER
    return response


def _file(row: Picture) -> FileResponse:
    try:
        stream = default_storage.open(row.path)
    except FileNotFoundError as error:
        logger.exception("the file of picture %s (campaign %s) is gone", row.pk, row.campaign_id)
        raise Missing(_("the file of this picture is gone")) from error
    return FileResponse(stream, content_type=row.media_type, filename=row.name.rpartition("/")[2])
