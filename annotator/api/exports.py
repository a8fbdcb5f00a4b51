"""Exports over REST: ask, look, download."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.api.base import Filters, Pages, conditional, filters, found, readable
from annotator.api.idempotency import idempotent
from annotator.downloads import send
from annotator.errors import Missing, WrongState
from annotator.exporters.options import listed
from annotator.models import Campaign, Snapshot
from annotator.services.differences import compare
from annotator.services.exports import FORMATS, ExportOptions
from annotator.services.snapshots import cancel_snapshot, find_part, request_snapshot


class _ExportRequest(serializers.Serializer[Snapshot]):
    """What to export, and how; every option has the default of the page and the command."""

    format = serializers.ChoiceField(choices=sorted(FORMATS))
    container = serializers.CharField(
        default="", allow_blank=True, help_text="What the rows are written into; jsonl unless given"
    )

    def options(self) -> ExportOptions:
        """The options that were given, the others at their defaults."""
        names = {one.name for one in listed()}
        return ExportOptions.checked({k: v for k, v in self.validated_data.items() if k in names})


def _field(option: Any) -> serializers.Field[Any, Any, Any, Any]:
    """A field from the one list of options."""
    about = option.metadata
    given = {"default": option.default, "help_text": about["help"]}
    if isinstance(option.default, bool):
        return serializers.BooleanField(**given)
    if about["choices"]:
        return serializers.ChoiceField(choices=about["choices"], **given)
    if isinstance(option.default, str):
        return serializers.CharField(max_length=100, **given)
    number = serializers.IntegerField if isinstance(option.default, int) else serializers.FloatField
    return number(min_value=about["low"], max_value=about["high"], **given)


ExportRequest = type(
    "ExportRequest", (_ExportRequest,), {option.name: _field(option) for option in listed()}
)


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    """An export and how far it is."""

    campaign = serializers.SlugRelatedField[Campaign](slug_field="slug", read_only=True)
    download = serializers.SerializerMethodField()

    class Meta:
        model = Snapshot
        fields = [
            *("id", "campaign", "format", "container", "options", "state", "error", "manifest"),
            *("created_at", "finished_at", "download"),
        ]

    def get_download(self, snapshot: Snapshot) -> str | None:
        """Where the rows are, once they are."""
        if snapshot.state != Snapshot.State.READY:
            return None
        path: str = self.context["request"].build_absolute_uri(
            reverse("api-export-download", args=[snapshot.pk])
        )
        return path


def _snapshots(request: Request) -> QuerySet[Snapshot]:
    readable = Campaign.objects.readable_by(request.user)
    return Snapshot.objects.filter(campaign__in=readable).select_related("campaign")


class ExportList(generics.ListAPIView[Snapshot]):
    """GET: exports of a campaign. POST: ask for one (202; poll the answer's `id`)."""

    serializer_class = SnapshotSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Snapshot]:
        """Exports of this campaign that the token may see."""
        campaign = readable(self.request, self.kwargs["slug"])
        return campaign.snapshots.select_related("campaign")

    @extend_schema(request=ExportRequest, responses={202: SnapshotSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Ask a worker to build an export."""
        campaign = readable(request, slug)
        wanted = ExportRequest(data=request.data)
        wanted.is_valid(raise_exception=True)
        snapshot = request_snapshot(
            campaign=campaign,
            format_name=wanted.validated_data["format"],
            options=wanted.options(),
            user=request.user,
            container=wanted.validated_data["container"],
        )
        shown = self.get_serializer(snapshot).data
        where = {"Location": reverse("api-export", args=[snapshot.pk])}
        return Response(shown, status=status.HTTP_202_ACCEPTED, headers=where)


@conditional
class ExportDetail(generics.RetrieveAPIView[Snapshot]):
    """GET: state, manifest and checksums of one export."""

    serializer_class = SnapshotSerializer

    def get_queryset(self) -> QuerySet[Snapshot]:
        """Exports that the token may see."""
        return _snapshots(self.request)

    @extend_schema(responses={204: OpenApiResponse(description="Stopped: nothing is left of it.")})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Stop one that waits or is built. 409 when it has ended already."""
        mine = Snapshot.objects.filter(campaign__in=Campaign.objects.steered_by(request.user))
        if not cancel_snapshot(snapshot=found(mine, "export", pk=pk)):
            raise WrongState("this export has ended already; it cannot be cancelled")
        return Response(status=status.HTTP_204_NO_CONTENT)


Against = type(
    "Against",
    (Filters,),
    {  # `with` is a word of the language
        "__doc__": "What to compare with.",
        "with": serializers.UUIDField(help_text="Id of the older export"),
    },
)


class DifferenceSerializer(serializers.Serializer[Snapshot]):
    """What differs between two exports, by rows and by options."""

    added = serializers.IntegerField()
    removed = serializers.IntegerField()
    changed = serializers.IntegerField()
    same = serializers.IntegerField()
    examples = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        help_text="Ids of the first rows of each kind",
    )
    options = serializers.DictField(
        child=serializers.ListField(), help_text="[old, new] of each that differs"
    )


class ExportDifference(APIView):
    """Two exports of one campaign in one format."""

    filter_serializer = Against

    @extend_schema(responses=DifferenceSerializer)
    def get(self, request: Request, pk: UUID) -> Response:
        """Rows that came, went or changed since an older export, and options that differ."""
        older = filters(Against, request)["with"]
        new, old = (found(_snapshots(request), "export", pk=one) for one in (pk, older))
        return Response(DifferenceSerializer(compare(old=old, new=new)).data)


class ExportDownload(APIView):
    """GET: the rows; `?part=provenance.jsonl` or `manifest.json` for what belongs to them."""

    @extend_schema(
        parameters=[
            OpenApiParameter("part", description="A file of the manifest; the data by default."),
            OpenApiParameter("Range", location="header", description="One range of bytes."),
            OpenApiParameter("If-Range", location="header", description="The ETag of the first."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, pk: UUID) -> HttpResponseBase:
        """Stream one part, or the range of it that is asked for."""
        snapshot = _snapshots(request).filter(pk=pk).first()
        if snapshot is None:
            raise Missing("no such export, or not for you")
        part = find_part(snapshot=snapshot, part=request.query_params.get("part", ""))
        return send(request, part)
