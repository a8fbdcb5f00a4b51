"""Fine-tuned encoders over REST: started, watched, stopped, rolled back, downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.api.base import conditional, found, readable, steered
from annotator.api.idempotency import idempotent
from annotator.downloads import send
from annotator.errors import WrongState
from annotator.models import Campaign, EncoderVersion
from annotator.services import finetuning as services


class EncoderSerializer(serializers.ModelSerializer[EncoderVersion]):
    """One fine-tuning of a campaign's encoder, and what became of it."""

    campaign = serializers.CharField(source="campaign.slug")
    base_version = serializers.IntegerField(
        source="base_version.number", allow_null=True, default=None, help_text="Its number"
    )
    plan = serializers.DictField(help_text="Options that differ from their defaults")
    record = serializers.DictField(help_text="Of the training")
    gate = serializers.DictField(help_text="New and old model on the holdout, with intervals")
    in_use = serializers.SerializerMethodField()
    download = serializers.SerializerMethodField()

    class Meta:
        model = EncoderVersion
        fields = [
            *("id", "campaign", "number", "base", "base_version", "method", "plan"),
            *("state", "detail", "error", "reason", "record", "gate", "in_use", "key"),
            *("annotations_seen", "comparisons", "trigger", "download", "created_at"),
            *("finished_at", "promoted_at", "rolled_back_at"),
        ]

    def get_in_use(self, version: EncoderVersion) -> bool:
        """Whether rounds use it from the next one on."""
        current = services.in_use(version.campaign)
        return current is not None and current.pk == version.pk

    def get_download(self, version: EncoderVersion) -> str | None:
        """Address of the trained model; null while there is none."""
        return reverse("api-encoder-download", args=[version.pk]) if version.archive else None


class FinetuningRequest(serializers.Serializer[EncoderVersion]):
    """How to train."""

    method = serializers.ChoiceField(
        choices=EncoderVersion.Method.choices, default=EncoderVersion.Method.FULL
    )
    plan = serializers.DictField(default=dict, help_text="Options that differ from their defaults")


class EncoderList(generics.ListAPIView[EncoderVersion]):
    """The fine-tuned encoders of a campaign, the newest first."""

    serializer_class = EncoderSerializer
    pagination_class = None

    def get_queryset(self) -> QuerySet[EncoderVersion]:
        """Those of one campaign that this person may read."""
        return _whole(readable(self.request, self.kwargs["slug"]).encoders.all())

    @extend_schema(
        request=FinetuningRequest, responses={202: EncoderSerializer, 200: EncoderSerializer}
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Train the encoder on the answers; while that is under way already, it is answered (200).

        What comes of it is used only if it is better on the holdout.
        """
        campaign = steered(request, slug)
        given = FinetuningRequest(data=request.data)
        given.is_valid(raise_exception=True)
        made = services.request_finetuning(
            campaign=campaign,
            method=given.validated_data["method"],
            options=given.validated_data["plan"],
            user=request.user,  # type: ignore[arg-type] # signed in
            trigger=f"asked for by {request.user}",
        )
        shown = made or campaign.encoders.live().get()
        where = {"Location": reverse("api-encoder", args=[shown.pk])}
        code = status.HTTP_202_ACCEPTED if made else status.HTTP_200_OK
        return Response(_said(shown), status=code, headers=where)


def _whole(versions: QuerySet[EncoderVersion]) -> QuerySet[EncoderVersion]:
    return versions.select_related("campaign__encoder_version", "base_version")


def _of(campaigns: QuerySet[Campaign], pk: int) -> EncoderVersion:
    return found(_whole(EncoderVersion.objects.filter(campaign__in=campaigns)), "encoder", pk=pk)


def _said(version: EncoderVersion) -> Any:
    """As it is now."""
    return EncoderSerializer(_whole(EncoderVersion.objects.filter(pk=version.pk)).get()).data


@conditional
class EncoderDetail(generics.GenericAPIView[EncoderVersion]):
    """One version."""

    serializer_class = EncoderSerializer

    def get(self, request: Request, pk: int) -> Response:
        """Where it is, its figures, and why it is used or not."""
        return Response(_said(_of(Campaign.objects.readable_by(request.user), pk)))


class _Act(APIView):
    """Something that is done with a version by those who steer its campaign."""

    def act(self, request: Request, pk: int, call: Callable[[EncoderVersion], Any]) -> Response:
        """Do it and say how the version is now."""
        version = _of(Campaign.objects.steered_by(request.user), pk)
        call(version)
        return Response(_said(version))


class EncoderCancel(_Act):
    """A training, stopped."""

    @extend_schema(request=None, responses=EncoderSerializer)
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Stop a training; what is in use stays so. 409 when it has ended already."""
        return self.act(request, pk, _stop)


def _stop(version: EncoderVersion) -> None:
    if not services.cancel_finetuning(version=version):
        raise WrongState(f"encoder version {version.number} has ended already")


class EncoderUse(_Act):
    """A version, taken back into use."""

    @extend_schema(request=None, responses=EncoderSerializer)
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Use a version that was promoted once, from the next round on. 409 if it never was."""
        return self.act(request, pk, lambda version: services.use(version=version))


class EncoderRollBack(_Act):
    """The version in use, left."""

    @extend_schema(request=None, responses=EncoderSerializer)
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Use the version before, or the campaign's own encoder, from the next round on."""
        return self.act(request, pk, lambda version: services.roll_back(version=version))


class EncoderDownload(APIView):
    """GET: a Hugging Face folder in a tar archive."""

    @extend_schema(
        parameters=[
            OpenApiParameter("Range", location="header", description="One range of bytes."),
            OpenApiParameter("If-Range", location="header", description="The ETag of the first."),
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
        },
    )
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Stream the trained model, or the range of it that is asked for."""
        version = _of(Campaign.objects.readable_by(request.user), pk)
        return send(request, services.archive_of(version))
