"""Creating a campaign, starting, pausing, staffing."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotator.errors import TiebreakError
from annotator.models import Campaign, Guidelines, Membership
from annotator.services import campaigns, cards, removal, rounds

from .base import ReadOnlyAdmin
from .campaign_form import OPTION_COLUMNS, CampaignForm, blocks_for, form_for

State = Campaign.State
QUESTIONS, CHOOSING, ROUTING = "Questions", "Choosing the questions", "Judges and routing"
# Fieldset to region of options.
FOLLOWED_BY = {QUESTIONS: "form", CHOOSING: "acquisition", ROUTING: "routing"}


class MembershipInline(admin.TabularInline):
    """Who may do what."""

    model = Membership
    extra = 1
    autocomplete_fields = ["user"]


@admin.register(Campaign)
class CampaignAdmin(admin.ModelAdmin):
    """The researcher's desk."""

    form = CampaignForm
    inlines = [MembershipInline]
    list_display = ["name", "slug", "state", "acquisition", "created_at", "progress_link"]
    list_filter = ["state"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    change_form_template = "admin/annotator/campaign/change_form.html"
    fieldsets = [
        (None, {"fields": ["name", "slug", "description", "guidelines_text"]}),
        (
            QUESTIONS,
            {
                "fields": [
                    "form",
                    "follow_ups",
                    "candidates",
                    "set_size",
                    "overlap",
                    "lease_minutes",
                    "image_hosts",
                ]
            },
        ),
        (CHOOSING, {"fields": ["acquisition", "fall_back"]}),
        (
            ROUTING,
            {
                "fields": ["routing", "human_share", "human_minutes", "people_only"],
                "description": "Who answers, a person or a judge: an LLM that is added under "
                "Judges. Without one, people answer everything, whatever stands here.",
            },
        ),
        (
            "Attention and onboarding",
            {
                "fields": ["qualification_pass", "gold_share", "repeat_share"],
                "description": "Practice, test and gold need questions whose answer is known: "
                "import rows with meta.gold, or make them from items (Items, Gold answers).",
            },
        ),
        ("The model", {"fields": ["head", "encoder", "finetune"]}),
        (
            "Rounds",
            {
                "fields": [
                    "batch_size",
                    "labels_per_round",
                    "queue_low",
                    "random_share",
                    "holdout_share",
                    "holdout_prompts",
                    "seed",
                ]
            },
        ),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Campaign | None = None) -> list[Any]:
        """With the options of what is chosen; as stored for those who may only look."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [*self.fieldsets, ("Options", {"fields": list(OPTION_COLUMNS)})]
        blocks = blocks_for(request, obj)
        found: list[Any] = []
        for fieldset in self.fieldsets:
            region = FOLLOWED_BY.get(str(fieldset[0]), "")
            found += [fieldset, *(block.fieldset for block in blocks.get(region, []))]
        return found

    def get_form(
        self, request: HttpRequest, obj: Campaign | None = None, change: bool = False, **kwargs: Any
    ) -> type[CampaignForm]:
        """The form with the options of what is chosen."""
        blocks = [block for region in blocks_for(request, obj).values() for block in region]
        return super().get_form(request, obj, change, **{**kwargs, "form": form_for(blocks)})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        """Only campaigns that this person steers."""
        return super().get_queryset(request).steered_by(request.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Campaign | None = None) -> list[str]:
        """What is settled: the seed once prompts have drawn their lots, more after the start."""
        if obj is not None and obj.state != State.DRAFT:
            return ["slug", *campaigns.SETTLED_AT_START]
        return ["seed"] if obj is not None and obj.prompts.exists() else []

    def get_prepopulated_fields(
        self, request: HttpRequest, obj: Campaign | None = None
    ) -> dict[str, list[str]]:
        """The slug is suggested while it can still be chosen."""
        return {} if obj is not None else self.prepopulated_fields

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        """Who may change it, and one by one; a campaign with answers stays, for what people
        answered is never deleted."""
        may = obj is not None and self.has_change_permission(request, obj)
        return may and obj is not None and not obj.annotations.exists()

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What goes with it, by number: rows that nobody may delete one by one go, too."""
        counts = removal.contents(next(iter(objs)))
        return [f"{count:,} {name}" for name, count in counts.items()], counts, set(), []

    def delete_model(self, request: HttpRequest, obj: Campaign) -> None:
        """With all its rows and files."""
        removal.delete_campaign(campaign=obj)

    def save_model(
        self, request: HttpRequest, obj: Campaign, form: CampaignForm, change: bool
    ) -> None:
        """Store, make the creator the owner, publish changed guidelines."""
        if change:  # only what was changed here: a Pause pressed meanwhile must stand
            obj.save(update_fields=form.changed_columns)
        else:
            obj.created_by = request.user
            obj.save()
        text = form.cleaned_data.get("guidelines_text", "")
        if text.strip() and text.strip() != form.newest_text.strip():
            campaigns.publish_guidelines(campaign=obj, text=text)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The creator owns the campaign unless they chose somebody else."""
        super().save_related(request, form, formsets, change)
        campaign = form.instance
        if not change and not campaign.memberships.filter(user=request.user).exists():
            campaigns.add_member(campaign=campaign, user=request.user, role=Membership.Role.OWNER)

    @admin.display(description="progress")
    def progress_link(self, campaign: Campaign) -> SafeString:
        """To the first page of the campaign."""
        return format_html('<a href="{}">figures</a>', reverse("progress", args=[campaign.slug]))

    def get_urls(self) -> list[URLPattern]:
        """One more address: the buttons."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/do/<str:what>/", wrap(self.do_view), name="campaign_do"),
            *super().get_urls(),
        ]

    def _fetch(self, request: HttpRequest, pk: int) -> Campaign:
        campaign = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, campaign):
            raise PermissionDenied
        return campaign

    def do_view(self, request: HttpRequest, pk: int, what: str) -> HttpResponse:
        """Start, pause, ask for a round or a card, ... POST only: it changes things."""
        campaign = self._fetch(request, pk)
        pages = {"progress": reverse("progress", args=[campaign.slug])}
        desk = reverse("admin:annotator_campaign_change", args=[pk])
        back = HttpResponseRedirect(pages.get(request.POST.get("back", ""), desk))
        if request.method != "POST" or what not in BUTTONS:
            return back
        try:
            messages.success(request, BUTTONS[what](campaign))
        except TiebreakError as error:
            messages.error(request, str(error))
        return back


def _start(campaign: Campaign) -> str:
    campaigns.start_campaign(campaign=campaign)
    held = campaign.prompts.filter(is_holdout=True).count()
    return f"Started: {held} prompts are reserved for testing, and the first round is under way."


def _pause(campaign: Campaign) -> str:
    campaigns.set_state(campaign=campaign, state=State.PAUSED)
    return "Paused. Answers under way are still accepted."


def _resume(campaign: Campaign) -> str:
    campaigns.set_state(campaign=campaign, state=State.RUNNING)
    return "Running again."


def _finish(campaign: Campaign) -> str:
    campaigns.set_state(campaign=campaign, state=State.FINISHED)
    return "Finished."


def _round(campaign: Campaign) -> str:
    if rounds.request_round(campaign=campaign, trigger="asked for by hand") is None:
        return "A round is under way already."
    return "A round was asked for."


def _retry(campaign: Campaign) -> str:
    newest = campaign.rounds.first()
    if newest is None:
        return "There is no round yet."
    rounds.retry_round(made=newest)
    return f"Round {newest.number} is tried again."


def _card(campaign: Campaign) -> str:
    if cards.request_card(campaign=campaign) is None:
        return "The encoder is being measured already."
    return "The encoder is measured by a worker; the card appears on the campaign's page."


BUTTONS = {
    "card": _card,
    "start": _start,
    "pause": _pause,
    "resume": _resume,
    "finish": _finish,
    "round": _round,
    "retry": _retry,
}


@admin.register(Guidelines)
class GuidelinesAdmin(ReadOnlyAdmin):
    """Versions, to read; a new one comes from the campaign's page."""

    list_display = ["campaign", "version", "created_at"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter)]
