"""The record: annotations, annotators, exports."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotator.models import Annotation, Annotator, Item, Snapshot
from annotator.services import onboarding

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

    list_display = [
        *("pseudonym", "campaign", "kind", "user", "guidelines_read", "practised_at"),
        *("qualified_at", "disqualified_at"),
    ]
    list_filter = [
        ("campaign", admin.RelatedOnlyFieldListFilter),
        "kind",
        ("disqualified_at", admin.EmptyFieldListFilter),
    ]
    actions = ["waive_test", "give_another_try"]

    def has_steer_permission(self, request: HttpRequest) -> bool:
        """Who may change campaigns decides about appeals."""
        return request.user.has_perm("annotator.change_campaign")

    @admin.action(description="Let them go on without passing the test", permissions=["steer"])
    def waive_test(self, request: HttpRequest, queryset: QuerySet[Annotator]) -> None:
        """An appeal that was granted."""
        for annotator in queryset:
            onboarding.waive_test(annotator=annotator)
        messages.success(request, "They may go on.")

    @admin.action(description="Let them take the test again", permissions=["steer"])
    def give_another_try(self, request: HttpRequest, queryset: QuerySet[Annotator]) -> None:
        """The same questions once more; the first answers stay in the history."""
        for annotator in queryset:
            onboarding.give_another_try(annotator=annotator)
        messages.success(request, "They may take the test again.")


@admin.register(Item)
class ItemAdmin(ReadOnlyAdmin):
    """The imported rows."""

    list_display = ["external_id", "campaign", "task", "source", "group"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "task"]
    search_fields = ["external_id"]
    readonly_fields = ["known_answer"]

    @admin.display(description="known answer")
    def known_answer(self, item: Item) -> SafeString:
        """To the page that makes it practice, a test question or gold."""
        where = f"{reverse('admin:annotator_goldanswer_add')}?item={item.pk}"
        return format_html('<a href="{}">Make it a question with a known answer</a>', where)


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyAdmin):
    """Exports."""

    list_display = ["id", "campaign", "format", "state", "created_by", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state"]
