"""Rows that workers and services write: the admin shows them and changes nothing by hand."""

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
