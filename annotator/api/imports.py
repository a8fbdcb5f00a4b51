"""Imports over REST: a file in any format, or a data set by name, taken in by a worker."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import default_storage
from django.db.models import QuerySet
from django.http import FileResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.parsers import FileUploadParser, JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.base import Filters, Pages, conditional, filters, found, readable, steered
from annotator.api.idempotency import idempotent
from annotator.errors import Missing, WrongState
from annotator.importers import IMPORTERS
from annotator.models import Campaign, Import
from annotator.services import intake
from annotator.services.intake import IntakeOptions

BYTES = "application/octet-stream"


class HowToRead(Filters):
    """How a file is read, and what is stored of it."""

    file_format = serializers.ChoiceField(
        choices=list(IMPORTERS),
        source="format",
        required=False,
        help_text="Found out unless it is given",
    )
    llm = serializers.CharField(required=False, help_text="Annotators with these words are judges")
    keep_good = serializers.BooleanField(default=False)
    history = serializers.BooleanField(default=False)
    strength_max = serializers.FloatField(required=False, min_value=0.001, max_value=1e9)
    look_first = serializers.BooleanField(
        default=False, help_text="Wait to be confirmed once it has been looked at"
    )
    filename = serializers.CharField(required=False, max_length=300, help_text="For people")


class ByName(serializers.Serializer[Import]):
    """A data set on the Hugging Face hub, and columns of a table."""

    name = serializers.CharField(max_length=300, help_text="hf:OWNER/NAME, :CONFIG, :SPLIT")
    columns = serializers.DictField(
        child=serializers.CharField(), default=dict, help_text="Our field: their column"
    )


class ImportSerializer(serializers.ModelSerializer[Import]):
    """An import and how far it is."""

    campaign = serializers.CharField(source="campaign.slug", read_only=True)
    rejects = serializers.SerializerMethodField()

    class Meta:
        model = Import
        fields = [
            *("id", "campaign", "name", "size", "sha256", "options", "state", "format"),
            *("container", "counts", "shown", "problems", "rejects", "error"),
            *("created_at", "finished_at"),
        ]

    def get_rejects(self, made: Import) -> str | None:
        """Where the bad rows are, if there are any."""
        return reverse("api-import-rejects", args=[made.pk]) if made.rejects else None


class Confirmation(serializers.Serializer[Import]):
    """What is stored of it; what is left out stays as it was asked for."""

    keep_good = serializers.BooleanField(required=False)
    history = serializers.BooleanField(required=False)
    strength_max = serializers.FloatField(required=False, allow_null=True, min_value=0.001)


class AnyFileParser(FileUploadParser):
    """A file as the body, whatever it is; its name is a query parameter."""

    media_type = BYTES

    def get_filename(self, stream: Any, media_type: Any, parser_context: Any) -> str:
        """As the caller named it."""
        given: str = parser_context["request"].GET.get("filename", "")
        return given.replace("/", "-")[-300:] or "upload"


def _options(asked: dict[str, Any], columns: dict[str, str] | None = None) -> IntakeOptions:
    names = ("format", "llm", "keep_good", "history", "strength_max")
    return IntakeOptions(columns=columns or {}, **{k: asked[k] for k in names if k in asked})


class ImportList(generics.ListAPIView[Import]):
    """Imports of a campaign, the newest first."""

    serializer_class = ImportSerializer
    pagination_class = Pages
    parser_classes = [AnyFileParser, JSONParser]

    def get_queryset(self) -> QuerySet[Import]:
        """Those of one campaign that this person may read."""
        return readable(self.request, self.kwargs["slug"]).imports.select_related("campaign")

    @extend_schema(
        parameters=[HowToRead],
        request={BYTES: OpenApiTypes.BINARY, "application/json": ByName},
        responses={202: ImportSerializer},
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Take in a file (the body, any format that can be imported) or a data set by name.

        A worker reads it: look at the answer's `Location` until `state` is `done`, `refused` (see
        `problems`) or `failed`. All or nothing is stored.
        """
        campaign = steered(request, slug)
        asked = filters(HowToRead, request)
        source, columns = self._source(request)
        made = intake.request_import(
            campaign=campaign,
            source=source,
            options=_options(asked, columns),
            user=request.user,
            look_first=asked["look_first"],
        )
        where = {"Location": reverse("api-import", args=[made.pk])}
        shown = self.get_serializer(made).data
        return Response(shown, status=status.HTTP_202_ACCEPTED, headers=where)

    @staticmethod
    def _source(request: Request) -> tuple[File[Any] | str, dict[str, str]]:
        if "file" in request.data:
            return request.data["file"], {}
        named = ByName(data=request.data)
        named.is_valid(raise_exception=True)
        return named.validated_data["name"], named.validated_data["columns"]


def _import(request: Request, pk: UUID, *, steer: bool = False) -> Import:
    campaigns = Campaign.objects
    mine = campaigns.steered_by(request.user) if steer else campaigns.readable_by(request.user)
    rows = Import.objects.filter(campaign__in=mine).select_related("campaign")
    return found(rows, "import", pk=pk)


@conditional
class ImportDetail(generics.GenericAPIView[Import]):
    """One import."""

    serializer_class = ImportSerializer

    def get(self, request: Request, pk: UUID) -> Response:
        """How far it is, how its first items look, what is wrong with it."""
        return Response(self.get_serializer(_import(request, pk)).data)

    @extend_schema(responses={204: OpenApiResponse(description="Ended: nothing was stored.")})
    def delete(self, request: Request, pk: UUID) -> Response:
        """Cancel it: nothing is stored. 409 when it has ended already."""
        made = _import(request, pk, steer=True)
        if not intake.cancel_import(made=made):
            made.refresh_from_db()
            raise WrongState(f"this import {made.get_state_display()}; it cannot be cancelled")
        return Response(status=status.HTTP_204_NO_CONTENT)


class ImportConfirm(generics.GenericAPIView[Import]):
    """An import that was looked at, or refused."""

    serializer_class = Confirmation

    @extend_schema(responses={202: ImportSerializer})
    @idempotent
    def post(self, request: Request, pk: UUID) -> Response:
        """Have it stored, perhaps with other options."""
        made = _import(request, pk, steer=True)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        options = IntakeOptions(**{**vars(intake.stored_options(made)), **given.validated_data})
        confirmed = intake.confirm_import(made=made, options=options)
        return Response(ImportSerializer(confirmed).data, status=status.HTTP_202_ACCEPTED)


class ImportRejects(generics.GenericAPIView[Import]):
    """The bad rows of an import."""

    serializer_class = None

    @extend_schema(responses={(200, "application/x-ndjson"): OpenApiTypes.BINARY})
    def get(self, request: Request, pk: UUID) -> FileResponse:
        """One JSON object a line: the row, and what is wrong in it."""
        made = _import(request, pk)
        if not made.rejects:
            raise Missing("this import has no bad rows")
        rows = default_storage.open(made.rejects)
        name = f"{made.campaign.slug}-rejects.jsonl"
        return FileResponse(
            rows, as_attachment=True, filename=name, content_type="application/x-ndjson"
        )
