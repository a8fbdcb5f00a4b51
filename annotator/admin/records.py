"""The record: annotations, annotators, exports."""

from __future__ import annotations

from django.contrib import admin

from annotator.models import Annotation, Annotator, Item, Snapshot

from .base import ReadOnlyAdmin


@admin.register(Annotation)
class AnnotationAdmin(ReadOnlyAdmin):
    """Append-only."""

    list_display = ["id", "campaign", "annotator", "outcome", "strength", "late", "recorded_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "outcome", "via", "late"]
    list_select_related = ["campaign", "annotator"]


@admin.register(Annotator)
class AnnotatorAdmin(ReadOnlyAdmin):
    """Who answers, under which pseudonym."""

    list_display = ["pseudonym", "campaign", "kind", "user", "guidelines_read"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "kind"]


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    """The imported rows."""

    list_display = ["external_id", "campaign", "task", "source", "group"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "task"]
    search_fields = ["external_id"]


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    """Exports."""

    list_display = ["id", "campaign", "format", "state", "created_by", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state"]
