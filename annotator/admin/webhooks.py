"""Webhooks: where to, what about, and the log of what became of each delivery."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from annotator.errors import InvalidInput
from annotator.models import Campaign, Delivery, Webhook
from annotator.services import webhooks

from .base import ReadOnlyAdmin, SteeredAdmin, may_steer


class WebhookForm(forms.ModelForm):
    """An address and what it is told of."""

    url = forms.URLField(max_length=500, assume_scheme="https")
    events = forms.MultipleChoiceField(
        choices=[(event.value, event.label) for event in webhooks.OFFERED],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = Webhook
        fields = ["campaign", "url", "events", "active"]

    def clean(self) -> dict[str, Any]:
        """The rules of the service, at their fields."""
        clean: dict[str, Any] = super().clean() or {}
        try:
            webhooks.check(url=clean.get("url", ""), events=clean.get("events") or [])
            if "campaign" in clean:  # a new one
                webhooks.check_room(clean["campaign"])
        except InvalidInput as error:
            field, _, said = str(error).partition(": ")
            if field not in self.fields:
                self.add_error(None, str(error))
            elif field not in self.errors:
                self.add_error(field, said)
        return clean


@admin.register(Webhook)
class WebhookAdmin(SteeredAdmin):
    """Added, switched off, tried, removed. The secret is shown once, when it is made."""

    form = WebhookForm
    list_display = ["url", "campaign", "events", "active", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "active"]
    list_select_related = ["campaign"]
    actions = ["send_a_test"]

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The log goes with its webhook, although nobody takes single entries out of it."""
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        return listed, counts, set(), protected

    def get_readonly_fields(self, request: HttpRequest, obj: Webhook | None = None) -> list[str]:
        """A webhook stays with its campaign."""
        return ["campaign"] if obj else []

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        """A new one is made as over REST; its secret is shown."""
        if change:
            super().save_model(request, obj, form, change)
            return
        made = webhooks.add_webhook(
            campaign=obj.campaign, url=obj.url, events=obj.events, user=request.user
        )
        made.active = obj.active
        made.save(update_fields=["active"])
        obj.pk = made.pk  # the admin goes on with its own
        messages.warning(request, f"The signing secret, shown only now: {made.secret}")

    @admin.action(description="Send a test", permissions=["change"])
    def send_a_test(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """What becomes of it is in the log."""
        for hook in queryset:
            webhooks.try_webhook(webhook=hook)
        messages.success(request, "A test is on its way; look into the deliveries.")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """The log."""

    list_display = ["created_at", "event", "webhook", "state", "attempts", "status", "error"]
    list_filter = ["state", "event"]
    list_select_related = ["webhook__campaign"]
    actions = ["send_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        """Only those of campaigns that this person steers."""
        steered = Campaign.objects.steered_by(request.user)
        return Delivery.objects.filter(webhook__campaign__in=steered)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_send_permission(self, request: HttpRequest) -> bool:
        """Who may change campaigns may try again."""
        return may_steer(request)

    @admin.action(description="Send again", permissions=["send"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        """Under the same id."""
        n = sum(webhooks.send_again(delivery=one) for one in queryset)
        messages.success(request, f"{n} on their way again.")
