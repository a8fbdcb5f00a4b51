"""The loop: rounds, model versions, metrics."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotator import selectors
from annotator.api.base import Filters, Pages, conditional, filters, found, readable, steered
from annotator.api.idempotency import idempotent
from annotator.figures import figures
from annotator.models import EncoderCard, ModelVersion, Round
from annotator.services.rounds import request_round, retry_round


class RoundSerializer(serializers.ModelSerializer[Round]):
    """One fit → score → select → publish cycle."""

    words = serializers.CharField(help_text="The state in words")

    class Meta:
        model = Round
        fields = [
            *("number", "state", "words", "trigger", "error", "annotations_seen", "report"),
            *("created_at", "finished_at"),
        ]


class RoundFilters(Filters):
    """Which rounds."""

    state = serializers.ChoiceField(choices=Round.State.choices, required=False)


class RoundList(generics.ListAPIView[Round]):
    """Rounds, the newest first; POST asks for one."""

    serializer_class = RoundSerializer
    pagination_class = Pages
    filter_serializer = RoundFilters

    def get_queryset(self) -> QuerySet[Round]:
        """Rounds of one campaign that this person may read."""
        rounds = readable(self.request, self.kwargs["slug"]).rounds
        return rounds.filter(**filters(self.filter_serializer, self.request))

    @extend_schema(request=None, responses={202: RoundSerializer, 200: RoundSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Ask for a round; while one is under way, that one is answered (200)."""
        campaign = steered(request, slug)
        made = request_round(campaign=campaign, trigger=f"asked for by {request.user}")
        shown = made or campaign.rounds.live().get()
        where = {"Location": reverse("api-round", args=[slug, shown.number])}
        code = status.HTTP_202_ACCEPTED if made else status.HTTP_200_OK
        return Response(self.get_serializer(shown).data, status=code, headers=where)


@conditional
class RoundDetail(generics.GenericAPIView[Round]):
    """One round."""

    serializer_class = RoundSerializer

    def get(self, request: Request, slug: str, number: int) -> Response:
        """Its state and report."""
        made = found(readable(request, slug).rounds.all(), "round", number=number)
        return Response(self.get_serializer(made).data)


class RoundRetry(generics.GenericAPIView[Round]):
    """A failed round, once more."""

    serializer_class = RoundSerializer

    @extend_schema(request=None, responses={202: RoundSerializer})
    @idempotent
    def post(self, request: Request, slug: str, number: int) -> Response:
        """Run a failed round again, under the same number."""
        made = found(steered(request, slug).rounds.all(), "round", number=number)
        shown = self.get_serializer(retry_round(made=made)).data
        return Response(shown, status=status.HTTP_202_ACCEPTED)


class ModelSerializer(serializers.ModelSerializer[ModelVersion]):
    """One fitted head and how good it is on the holdout."""

    round = serializers.IntegerField(source="round.number")

    class Meta:
        model = ModelVersion
        fields = [
            *("id", "round", "kind", "head", "encoder_key", "annotations_seen", "comparisons"),
            *("hyperparameters", "metrics", "artifact_sha256", "created_at"),
        ]


class ModelFilters(Filters):
    """Which versions."""

    kind = serializers.ChoiceField(choices=ModelVersion.Kind.choices, required=False)


class ModelList(generics.ListAPIView[ModelVersion]):
    """Versions of the reward model, the newest first."""

    serializer_class = ModelSerializer
    pagination_class = Pages
    filter_serializer = ModelFilters

    def get_queryset(self) -> QuerySet[ModelVersion]:
        """Model versions of one campaign that this person may read."""
        versions = readable(self.request, self.kwargs["slug"]).model_versions
        chosen = filters(self.filter_serializer, self.request)
        return versions.filter(**chosen).select_related("round")


class SlotCounts(serializers.Serializer[Any]):
    """Wanted answers by what became of them."""

    open = serializers.IntegerField()
    answered = serializers.IntegerField()
    held = serializers.IntegerField(help_text="Of flagged questions")


class CardSerializer(serializers.ModelSerializer[EncoderCard]):
    """What the encoder can learn, and whether choosing pays."""

    class Meta:
        model = EncoderCard
        fields = ["encoder_key", "labels", "figures", "created_at"]


class MetricsSerializer(serializers.Serializer[Any]):
    """How a campaign stands."""

    prompts = serializers.IntegerField()
    holdout_prompts = serializers.IntegerField()
    responses = serializers.IntegerField()
    judgements = serializers.IntegerField()
    by_outcome = serializers.DictField(child=serializers.IntegerField())
    by_arm = serializers.DictField(child=serializers.IntegerField())
    slots = SlotCounts()
    queries_waiting = serializers.IntegerField()
    fresh_judgements = serializers.IntegerField()
    curve = serializers.ListField(child=serializers.DictField())
    encoder_card = CardSerializer(allow_null=True)


@conditional
class Metrics(APIView):
    """How a campaign stands."""

    @extend_schema(responses=MetricsSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Counts, the learning curve of policy and random on the holdout, the encoder card."""
        campaign = readable(request, slug)
        seen = figures(campaign=campaign)
        status_now = selectors.loop_status(campaign_id=campaign.pk)
        slots = {
            "open": seen.open_slots,
            "answered": seen.answered_slots,
            "held": seen.held_slots,
        }
        said = {
            **{name: getattr(seen, name) for name in COUNTED},
            "slots": slots,
            "queries_waiting": status_now.waiting,
            "fresh_judgements": status_now.fresh,
            "encoder_card": seen.card,
        }
        return Response(MetricsSerializer(said).data)


COUNTED = (
    *("prompts", "holdout_prompts", "responses", "judgements"),
    *("by_outcome", "by_arm", "curve"),
)
