"""Exports over REST: ask, look, download."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.api.base import Pages, conditional, readable
from annotator.api.idempotency import idempotent
from annotator.downloads import send
from annotator.errors import Missing
from annotator.models import Campaign, Snapshot
from annotator.services.exports import FORMATS, ExportOptions
from annotator.services.snapshots import find_part, request_snapshot


class ExportRequest(serializers.Serializer[Snapshot]):
    """What to export."""

    format = serializers.ChoiceField(choices=sorted(FORMATS))
    include_holdout = serializers.BooleanField(default=False)
    include_gold = serializers.BooleanField(default=False)
    include_repeats = serializers.BooleanField(default=False)


class SnapshotSerializer(serializers.ModelSerializer[Snapshot]):
    """An export and how far it is."""

    campaign = serializers.SlugRelatedField[Campaign](slug_field="slug", read_only=True)
    download = serializers.SerializerMethodField()

    class Meta:
        model = Snapshot
        fields = [
            *("id", "campaign", "format", "options", "state", "error", "manifest", "created_at"),
            *("finished_at", "download"),
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
        options = dict(wanted.validated_data)
        snapshot = request_snapshot(
            campaign=campaign,
            format_name=options.pop("format"),
            options=ExportOptions(**options),
            user=request.user,
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
