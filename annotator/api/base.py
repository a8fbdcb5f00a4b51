"""What all endpoints share: permission as part of fetching, pages, filters, conditional GETs."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import conditional_page
from django.views.decorators.vary import vary_on_headers
from rest_framework import serializers
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from annotator.errors import Missing
from annotator.models import Campaign

M = TypeVar("M", bound=Model)
V = TypeVar("V", bound=View)


class Pages(CursorPagination):
    """Pages of a list that may grow while it is read: `next` and `previous` are addresses."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000
    ordering = "-pk"


class Filters(serializers.Serializer[Any]):
    """Filters of a list as query parameters; what is not known is refused, not ignored."""

    PAGING = ("cursor", "page_size")

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """The values given, checked."""
        unknown = sorted(set(data) - set(self.fields) - set(self.PAGING))
        if unknown:
            known = ", ".join(self.fields) or "none"
            raise serializers.ValidationError({unknown[0]: [f"not a filter; there are: {known}"]})
        found: dict[str, Any] = super().to_internal_value(data)
        return found


def filters(kind: type[Filters], request: Request) -> dict[str, Any]:
    """The filters of a request; those that were not given are left out.

    Raises:
        ValidationError: one is unknown or has a value that it cannot have.
    """
    given = kind(data=request.query_params.dict())
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def readable(request: Request, slug: str) -> Campaign:
    """The campaign, if this person may see its figures.

    Raises:
        Missing: no such campaign, or not for them.
    """
    return _one(Campaign.objects.readable_by(request.user), slug, "read")


def steered(request: Request, slug: str) -> Campaign:
    """The campaign, if this person may change it.

    Raises:
        Missing: no such campaign, or not for them.
    """
    return _one(Campaign.objects.steered_by(request.user), slug, "change")


def _one(campaigns: QuerySet[Campaign], slug: str, may: str) -> Campaign:
    found = campaigns.filter(slug=slug).first()
    if found is None:
        raise Missing(f"no campaign {slug!r} that you may {may}")
    return found


def found(rows: QuerySet[M], what: str, **where: Any) -> M:
    """The one row of these.

    Raises:
        Missing: there is none.
    """
    one = rows.filter(**where).first()
    if one is None:
        raise Missing(f"no such {what}, or not for you")
    return one


def conditional(view: type[V]) -> type[V]:
    """Answer a GET with 304 when the body is the one that the caller has (`If-None-Match`)."""
    each = [vary_on_headers("Authorization", "Cookie"), conditional_page]
    decorated: type[V] = method_decorator(each, name="dispatch")(view)
    return decorated
