"""What the rows of campaigns have in common: who may touch them, and that most are only read."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from annotator.models import Campaign


class ReadOnlyAdmin(admin.ModelAdmin):
    """Look, filter, and press the buttons that are offered."""

    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Only rows of campaigns that this person steers."""
        steered = Campaign.objects.steered_by(request.user)
        return super().get_queryset(request).filter(campaign__in=steered)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Written by services only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by services only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by services only."""
        return False


def may_steer(request: HttpRequest) -> bool:
    """What belongs to a campaign is for those who may change campaigns."""
    may: bool = request.user.has_perm("annotator.change_campaign")
    return may


class SteeredAdmin(admin.ModelAdmin):
    """Rows that belong to their campaign: who may change campaigns may change theirs."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Only rows of campaigns that this person steers."""
        steered = Campaign.objects.steered_by(request.user)
        return super().get_queryset(request).filter(campaign__in=steered)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only campaigns that this person steers can be chosen."""
        if db_field.name == "campaign":
            kwargs["queryset"] = Campaign.objects.steered_by(request.user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)
