"""Webhooks over REST: made, changed, tried, removed; the log of their deliveries."""

from __future__ import annotations

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import generics, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from annotator.api.base import Filters, Pages, filters, found, steered
from annotator.api.idempotency import idempotent
from annotator.models import Campaign, Delivery, Webhook
from annotator.services import webhooks as services


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    """An address and what it is told of."""

    events = serializers.ListField(
        child=serializers.ChoiceField(choices=[one.value for one in services.OFFERED]),
        allow_empty=False,
    )

    class Meta:
        model = Webhook
        fields = ["id", "url", "events", "active", "created_at"]
        read_only_fields = ["created_at"]


class NewWebhookSerializer(WebhookSerializer):
    """The same with the secret, which is told once."""

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = ["created_at", "secret"]


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event on its way to one address."""

    class Meta:
        model = Delivery
        fields = [
            *("id", "event", "payload", "state", "attempts", "due_at", "status", "error"),
            *("created_at", "delivered_at"),
        ]


class DeliveryFilters(Filters):
    """Which deliveries."""

    state = serializers.ChoiceField(choices=Delivery.State.choices, required=False)
    event = serializers.CharField(required=False)


class WebhookList(generics.ListAPIView[Webhook]):
    """The webhooks of a campaign."""

    serializer_class = WebhookSerializer
    pagination_class = None

    def get_queryset(self) -> QuerySet[Webhook]:
        """Those of a campaign that this person steers."""
        return steered(self.request, self.kwargs["slug"]).webhooks.all()

    @extend_schema(responses={201: NewWebhookSerializer})
    @idempotent
    def post(self, request: Request, slug: str) -> Response:
        """Tell an address of events from now on. The answer has the signing secret, once."""
        campaign = steered(request, slug)
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        made = services.add_webhook(
            campaign=campaign,
            url=given.validated_data["url"],
            events=given.validated_data["events"],
            user=request.user,
        )
        where = {"Location": reverse("api-webhook", args=[made.pk])}
        shown = NewWebhookSerializer(made).data
        return Response(shown, status=status.HTTP_201_CREATED, headers=where)


def _hook(request: Request, pk: int) -> Webhook:
    mine = Campaign.objects.steered_by(request.user)
    return found(Webhook.objects.filter(campaign__in=mine), "webhook", pk=pk)


class WebhookDetail(generics.GenericAPIView[Webhook]):
    """One webhook."""

    serializer_class = WebhookSerializer

    def get(self, request: Request, pk: int) -> Response:
        """Where to, and what about."""
        return Response(self.get_serializer(_hook(request, pk)).data)

    def patch(self, request: Request, pk: int) -> Response:
        """Change it, or switch it off."""
        hook = _hook(request, pk)
        given = self.get_serializer(hook, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        said = {"url": hook.url, "events": hook.events} | given.validated_data
        services.check(url=said["url"], events=said["events"])
        given.save()
        return Response(given.data)

    @extend_schema(responses={204: OpenApiResponse(description="Removed, with its log.")})
    def delete(self, request: Request, pk: int) -> Response:
        """Remove it, with its log."""
        _hook(request, pk).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class DeliveryList(generics.ListAPIView[Delivery]):
    """What became of the events of a webhook, the newest first."""

    serializer_class = DeliverySerializer
    pagination_class = Pages
    filter_serializer = DeliveryFilters

    def get_queryset(self) -> QuerySet[Delivery]:
        """The log of one webhook that this person steers."""
        hook = _hook(self.request, self.kwargs["pk"])
        return hook.deliveries.filter(**filters(self.filter_serializer, self.request))


class WebhookTest(generics.GenericAPIView[Webhook]):
    """A try."""

    serializer_class = DeliverySerializer

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @idempotent
    def post(self, request: Request, pk: int) -> Response:
        """Send an event of type `test`; what becomes of it is in the log."""
        made = services.try_webhook(webhook=_hook(request, pk))
        return Response(self.get_serializer(made).data, status=status.HTTP_202_ACCEPTED)


class DeliveryAgain(generics.GenericAPIView[Delivery]):
    """A delivery, once more."""

    serializer_class = DeliverySerializer

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @idempotent
    def post(self, request: Request, pk: int, delivery: str) -> Response:
        """Send it again, under the same id."""
        one = found(_hook(request, pk).deliveries.all(), "delivery", pk=delivery)
        services.send_again(delivery=one)
        one.refresh_from_db()
        return Response(self.get_serializer(one).data, status=status.HTTP_202_ACCEPTED)
