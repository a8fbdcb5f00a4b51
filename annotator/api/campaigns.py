"""Campaigns: made, read, changed, started, paused; their guidelines and members."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError as ModelRefused
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.base import Pages, conditional, found, readable, steered
from annotator.api.idempotency import idempotent
from annotator.models import Campaign, Guidelines, Membership
from annotator.services import campaigns as services
from annotator.services.asking import check_asking

POLICY = ("acquisition", "acquisition_config", "fall_back", "head", "encoder", "finetune", "seed")
ROUTING = ("routing", "routing_config", "human_share", "human_minutes", "people_only")
ASKING = ("form", "follow_ups", "form_options", "set_size", "candidates", "image_hosts")
QUEUE = ("overlap", "batch_size", "labels_per_round", "queue_low", "lease_minutes")
SHARES = (
    *("random_share", "holdout_share", "holdout_prompts"),
    *("qualification_pass", "gold_share", "repeat_share"),
)


class CampaignSerializer(serializers.ModelSerializer[Campaign]):
    """A campaign: what it asks, how questions are chosen, how the queue is kept."""

    form_options = serializers.JSONField(required=False, help_text="By form; see the campaign form")
    acquisition_config = serializers.JSONField(
        required=False, help_text="Options of the acquisition function that differ from defaults"
    )

    routing_config = serializers.JSONField(
        required=False, help_text="Options of the routing policy that differ from defaults"
    )

    class Meta:
        model = Campaign
        fields = [
            *("slug", "name", "description", "state"),
            *ASKING,
            *POLICY,
            *ROUTING,
            *QUEUE,
            *SHARES,
            *("created_at", "started_at"),
        ]
        read_only_fields = ["state", "created_at", "started_at"]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What is drawn at the start cannot be changed after it; the slug never."""
        if self.instance is None:
            return attrs
        settled = self._settled(self.instance)
        moved = [
            name for name in settled if attrs.get(name, ...) not in (..., _old(self.instance, name))
        ]
        if moved:
            said = f"cannot be changed {settled[moved[0]]}".strip()
            raise serializers.ValidationError({moved[0]: [said]})
        return attrs

    @staticmethod
    def _settled(campaign: Campaign) -> dict[str, str]:
        """What cannot be changed any more, and since when."""
        settled = {"slug": ""}
        if campaign.state != Campaign.State.DRAFT:
            return settled | dict.fromkeys(services.SETTLED_AT_START, "after the start")
        if campaign.prompts.exists():  # their lots are drawn
            settled["seed"] = "once prompts are imported"
        return settled

    def create(self, validated_data: dict[str, Any]) -> Campaign:
        """A draft that belongs to the caller."""
        return self._checked(
            services.create_campaign, owner=self.context["request"].user, **validated_data
        )

    @transaction.atomic
    def update(self, instance: Campaign, validated_data: dict[str, Any]) -> Campaign:
        """Change settings, by the same rules as the form."""
        for name, value in validated_data.items():
            setattr(instance, name, value)
        self._checked(instance.full_clean)
        self._checked(check_asking, campaign=instance)
        instance.save(update_fields=list(validated_data))
        return instance

    @staticmethod
    def _checked(call: Any, **named: Any) -> Any:
        try:
            return call(**named)
        except ModelRefused as refused:
            raise serializers.ValidationError(serializers.as_serializer_error(refused)) from refused


def _old(campaign: Campaign, name: str) -> Any:
    return getattr(campaign, name)


class StateRequest(serializers.Serializer[Campaign]):
    """Where a campaign is to go."""

    state = serializers.ChoiceField(choices=["running", "paused", "finished"])


class GuidelinesSerializer(serializers.ModelSerializer[Guidelines]):
    """One version of the guidelines, Markdown."""

    class Meta:
        model = Guidelines
        fields = ["version", "text", "created_at"]
        read_only_fields = ["version", "created_at"]


class MemberSerializer(serializers.ModelSerializer[Membership]):
    """What one person may do."""

    user = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all())

    class Meta:
        model = Membership
        fields = ["user", "role"]


@conditional
class CampaignList(generics.ListCreateAPIView[Campaign]):
    """Campaigns that you may read; POST makes a draft that is yours."""

    serializer_class = CampaignSerializer
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[Campaign]:
        """Campaigns whose figures this person may see."""
        return Campaign.objects.readable_by(self.request.user).distinct()

    @idempotent
    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a draft. Takes the right to add campaigns, as in the admin."""
        if not request.user.has_perm("annotator.add_campaign"):
            raise PermissionDenied("you may not make campaigns; an administrator can let you")
        response = self.create(request, *args, **kwargs)
        response["Location"] = reverse("api-campaign", args=[response.data["slug"]])
        return response


@conditional
class CampaignDetail(generics.GenericAPIView[Campaign]):
    """One campaign."""

    serializer_class = CampaignSerializer

    def get(self, request: Request, slug: str) -> Response:
        """Its settings."""
        return Response(self.get_serializer(readable(request, slug)).data)

    def patch(self, request: Request, slug: str) -> Response:
        """Change some of its settings."""
        campaign = steered(request, slug)
        changed = self.get_serializer(campaign, data=request.data, partial=True)
        changed.is_valid(raise_exception=True)
        changed.save()
        return Response(changed.data)


class CampaignState(generics.GenericAPIView[Campaign]):
    """Start, pause, resume, finish."""

    serializer_class = StateRequest

    @extend_schema(responses=CampaignSerializer)
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Move a campaign. Starting reserves the holdout and asks for the first round."""
        campaign = steered(request, slug)
        wanted = self.get_serializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        state = wanted.validated_data["state"]
        if state == Campaign.State.RUNNING and campaign.state == Campaign.State.DRAFT:
            moved = services.start_campaign(campaign=campaign)
        else:
            moved = services.set_state(campaign=campaign, state=state)
        return Response(CampaignSerializer(moved).data)


class GuidelinesList(generics.ListAPIView[Guidelines]):
    """Versions of the guidelines, the newest first; POST publishes the next one."""

    serializer_class = GuidelinesSerializer
    pagination_class = None

    def get_queryset(self) -> QuerySet[Guidelines]:
        """Those of one campaign that this person may read, or answers in."""
        user, named = self.request.user, {"slug": self.kwargs["slug"]}
        answered = Campaign.objects.answered_by(user).exclude(state=Campaign.State.DRAFT)
        if (mine := answered.filter(**named).first()) is not None:
            return mine.guidelines.all()
        return found(Campaign.objects.readable_by(user), "campaign", **named).guidelines.all()

    @extend_schema(responses={201: GuidelinesSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Publish; annotators read it before their next answer."""
        campaign = steered(request, slug)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = services.publish_guidelines(campaign=campaign, text=given.validated_data["text"])
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)


class MemberList(generics.ListAPIView[Membership]):
    """Who may do what; POST gives a person a role, or another one."""

    serializer_class = MemberSerializer
    pagination_class = None

    def get_queryset(self) -> QuerySet[Membership]:
        """Members of a campaign that this person steers."""
        campaign = steered(self.request, self.kwargs["slug"])
        return campaign.memberships.select_related("user").order_by("user__username")

    @extend_schema(responses={201: MemberSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Give a role."""
        campaign = steered(request, slug)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = services.add_member(campaign=campaign, **given.validated_data)
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)
