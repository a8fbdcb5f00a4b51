"""What a training would take, over REST: asked for, and read."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator.api.base import conditional, found, steered
from annotator.api.finetuning import FinetuningRequest
from annotator.api.idempotency import idempotent
from annotator.models import Campaign, TrainingEstimate
from annotator.services import estimates


class EstimateSerializer(serializers.ModelSerializer[TrainingEstimate]):
    """What a training with these options would take."""

    campaign = serializers.CharField(source="campaign.slug")
    plan = serializers.DictField(help_text="Options that differ from their defaults")
    figures = serializers.DictField(
        help_text="Labels, folds, epochs, memory, and duration (null where memory is too small)"
    )

    class Meta:
        model = TrainingEstimate
        fields = [
            *("id", "campaign", "method", "plan", "state", "figures", "error"),
            *("created_at", "finished_at"),
        ]


class EstimateList(APIView):
    """POST: measure what a training would take."""

    @extend_schema(
        request=FinetuningRequest, responses={202: EstimateSerializer, 200: EstimateSerializer}
    )
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Measure what a training would take; while another is measured, that is answered (200).

        Nothing is trained or kept. 409 beside a training.
        """
        campaign = steered(request, slug)
        given = FinetuningRequest(data=request.data)
        given.is_valid(raise_exception=True)
        made = estimates.request_estimate(
            campaign=campaign,
            method=given.validated_data["method"],
            options=given.validated_data["plan"],
            user=request.user,  # type: ignore[arg-type] # signed in
        )
        shown = made or campaign.training_estimates.get(state=TrainingEstimate.State.WAITING)
        where = {"Location": reverse("api-encoder-estimate", args=[shown.pk])}
        code = status.HTTP_202_ACCEPTED if made else status.HTTP_200_OK
        return Response(_said(shown), status=code, headers=where)


@conditional
class EstimateDetail(generics.GenericAPIView[TrainingEstimate]):
    """One estimate."""

    serializer_class = EstimateSerializer

    def get(self, request: Request, pk: int) -> Response:
        """Its figures, or why there are none."""
        campaigns = Campaign.objects.readable_by(request.user)
        listed = TrainingEstimate.objects.filter(campaign__in=campaigns).select_related("campaign")
        return Response(_said(found(listed, "estimate", pk=pk)))


def _said(estimate: TrainingEstimate) -> Any:
    return EstimateSerializer(estimate).data
