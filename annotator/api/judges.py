"""Judges over REST: added, changed, read; what they said, and how good they are."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as ModelRefused
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.base import Filters, Pages, conditional, filters, found, readable, steered
from annotator.api.idempotency import idempotent
from annotator.errors import Missing
from annotator.judged import with_figures, with_tokens
from annotator.models import Campaign, Judge, JudgeCall, Judgement, JudgeReport
from annotator.services import judges as services
from annotator.services import routes

MONEY: dict[str, Any] = {"max_digits": 18, "decimal_places": 9, "normalize_output": True}
PRICE: dict[str, Any] = {**MONEY, "min_value": 0}


class JudgeSerializer(serializers.ModelSerializer[Judge]):
    """An LLM that answers a campaign's questions. Amounts are decimal numbers in text."""

    base_url = serializers.CharField(max_length=500, required=False, allow_blank=True)
    key_name = serializers.CharField(
        max_length=80,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Environment variable of the workers with the key, JUDGE_KEY_…; null for viewers",
    )
    template = serializers.DictField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False), required=False
    )
    price_in = serializers.DecimalField(**PRICE, required=False)
    price_out = serializers.DecimalField(**PRICE, required=False)
    spend_limit = serializers.DecimalField(**PRICE, required=False, allow_null=True)
    asked = serializers.IntegerField(read_only=True, help_text="Questions")
    failed = serializers.IntegerField(read_only=True, help_text="Of these, without a verdict")
    spent = serializers.DecimalField(**MONEY, read_only=True, help_text="Money")

    class Meta:
        model = Judge
        fields = [
            *("id", "name", *services.SETTINGS, "active"),
            *("trouble", "troubled_at", "retry_at", "asked", "failed", "spent"),
            *("measured_from", "created_at"),
        ]
        read_only_fields = ["trouble", "troubled_at", "retry_at", "measured_from", "created_at"]

    def validate_key_name(self, value: str | None) -> str:
        """None is needed: the empty name."""
        return value or ""

    def validate_name(self, value: str) -> str:
        """Answers stand under it."""
        current: Any = self.instance
        if current is not None and value != current.name:
            raise serializers.ValidationError("cannot be changed")
        return value

    def to_representation(self, instance: Judge) -> dict[str, Any]:
        """Even the name of a key is for those who steer."""
        said = super().to_representation(instance)
        return said if self.context.get("steers") else said | {"key_name": None}

    def create(self, validated_data: dict[str, Any]) -> Judge:
        """As in the admin."""
        return _checked(services.add_judge, **validated_data)

    def update(self, instance: Judge, validated_data: dict[str, Any]) -> Judge:
        """What was wrong is forgotten, and what waits is asked, or goes to people."""
        validated_data.pop("name", None)
        changed = _checked(services.change_judge, judge=instance, **validated_data)
        routes.go_on(changed.campaign)
        return changed


def _checked(call: Any, **named: Any) -> Judge:
    try:
        made: Judge = call(**named)
    except ModelRefused as refused:
        raise serializers.ValidationError(serializers.as_serializer_error(refused)) from refused
    return made


class JudgeCallSerializer(serializers.ModelSerializer[JudgeCall]):
    """One call of a model: the prompt as it was sent, the reply as it came."""

    messages = serializers.ListField(child=serializers.DictField())
    money = serializers.DecimalField(**MONEY)

    class Meta:
        model = JudgeCall
        fields = [
            *("order", "chose", "messages", "reply", "model", "template", "template_version"),
            *("tokens_in", "tokens_out", "tokens_estimated", "seconds", "money", "tries"),
            *("error", "told"),
        ]


class JudgementSerializer(serializers.ModelSerializer[Judgement]):
    """What a judge said to one question, both display orders together.

    `p` is the probability, not calibrated, that `order[0]` is better than `order[1]`.
    """

    query = serializers.IntegerField(source="query_id")
    annotation = serializers.IntegerField(source="annotation_id", allow_null=True)
    outcome = serializers.CharField(source="annotation.outcome", allow_null=True, default=None)
    money = serializers.DecimalField(**MONEY)
    tokens_in = serializers.IntegerField()
    tokens_out = serializers.IntegerField()
    calls = serializers.SerializerMethodField()

    class Meta:
        model = Judgement
        fields = [
            *("id", "query", "annotation", "outcome", "order", "p", "inconsistent"),
            *("disagreement", "related", "error", "told", "money", "tokens_in", "tokens_out"),
            *("seconds", "guidelines_version", "created_at", "calls"),
        ]

    @extend_schema_field(JudgeCallSerializer(many=True, allow_null=True))
    def get_calls(self, judgement: Judgement) -> Any:
        """Where they were asked for."""
        if not self.context.get("calls"):
            return None
        return JudgeCallSerializer(judgement.calls.all(), many=True).data


class JudgementFilters(Filters):
    """Which judgements."""

    query = serializers.IntegerField(source="query_id", required=False)
    error = serializers.CharField(required=False, help_text="Such as `malformed`")
    inconsistent = serializers.BooleanField(required=False)
    calls = serializers.BooleanField(
        default=False, help_text="With prompts and raw replies; for owners and researchers"
    )


class JudgeReportSerializer(serializers.ModelSerializer[JudgeReport]):
    """What the questions that a person and the judge both answered say of it."""

    figures = serializers.DictField()

    class Meta:
        model = JudgeReport
        fields = ["audited", "figures", "created_at"]


class JudgeList(generics.ListAPIView[Judge]):
    """The judges of a campaign."""

    serializer_class = JudgeSerializer
    pagination_class = None

    def get_queryset(self) -> QuerySet[Any]:
        """Those of one campaign that this person may read."""
        return with_figures(readable(self.request, self.kwargs["slug"]).judges.all())

    def get_serializer_context(self) -> dict[str, Any]:
        """Whether this person steers the campaign."""
        mine = Campaign.objects.steered_by(self.request.user)
        steers = mine.filter(slug=self.kwargs.get("slug")).exists()
        return {**super().get_serializer_context(), "steers": steers}

    @extend_schema(responses={201: JudgeSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Add a judge, which is asked from the next round on; the one before is switched off."""
        campaign = steered(request, slug)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = given.save(campaign=campaign)
        where = {"Location": reverse("api-judge", args=[made.pk])}
        return Response(_shown(made), status=status.HTTP_201_CREATED, headers=where)


def _judges(campaigns: QuerySet[Campaign]) -> QuerySet[Any]:
    return with_figures(Judge.objects.filter(campaign__in=campaigns))


def _shown(judge: Judge) -> Any:
    """As those see it who steer, with what it cost."""
    read = with_figures(Judge.objects.filter(pk=judge.pk)).get()
    return JudgeSerializer(read, context={"steers": True}).data


def _readable(request: Request, pk: int) -> Any:
    return found(_judges(Campaign.objects.readable_by(request.user)), "judge", pk=pk)


def _steers(request: Request, judge: Judge) -> bool:
    mine = Campaign.objects.steered_by(request.user)
    return bool(mine.filter(pk=judge.campaign_id).exists())


@conditional
class JudgeDetail(generics.GenericAPIView[Judge]):
    """One judge."""

    serializer_class = JudgeSerializer

    def get(self, request: Request, pk: int) -> Response:
        """Where it is, what it cost, and why it is not asked, if so."""
        judge = _readable(request, pk)
        context = {**self.get_serializer_context(), "steers": _steers(request, judge)}
        return Response(JudgeSerializer(judge, context=context).data)

    def patch(self, request: Request, pk: int) -> Response:
        """Change it, switch it off or on; what was wrong is forgotten, also by an empty change."""
        mine = Campaign.objects.steered_by(request.user)
        judge = found(Judge.objects.filter(campaign__in=mine), "judge", pk=pk)
        given = self.get_serializer(judge, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        return Response(_shown(given.save()))


class JudgementList(generics.ListAPIView[Judgement]):
    """What a judge said, the newest first."""

    serializer_class = JudgementSerializer
    pagination_class = Pages
    filter_serializer = JudgementFilters

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Verdicts with what they cost; prompts and replies only when asked for."""
        judge = _readable(request, self.kwargs["pk"])
        chosen = filters(self.filter_serializer, request)
        calls = chosen.pop("calls")
        if calls and not _steers(request, judge):
            raise PermissionDenied("prompts and replies are for owners and researchers")
        said = judge.judgements.filter(**chosen).select_related("annotation")
        said = said.prefetch_related("calls") if calls else said
        page = self.paginate_queryset(with_tokens(said))
        context = {**self.get_serializer_context(), "calls": calls}
        rows = JudgementSerializer(page, many=True, context=context).data
        return self.get_paginated_response(rows)


@conditional
class JudgeReportDetail(generics.GenericAPIView[JudgeReport]):
    """How good a judge is."""

    serializer_class = JudgeReportSerializer

    def get(self, request: Request, pk: int) -> Response:
        """The newest report: its agreement with people on the questions that both answered."""
        newest = _readable(request, pk).reports.first()
        if newest is None:
            raise Missing("no report yet: too few questions were answered by people and the judge")
        return Response(self.get_serializer(newest).data)
