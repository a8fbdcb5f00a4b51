"""Judges: added, changed, asked again, switched off; what they said, and who was to answer what."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from annotator.judged import plain, standing, with_figures
from annotator.models import Campaign, Judge, JudgeCall, Judgement, Route
from annotator.services import judges, routes

from .base import ReadOnlyAdmin, SteeredAdmin, may_steer

SETTLED = ("campaign", "name")  # its answers stand under them


class JudgeForm(forms.ModelForm):
    """A judge with the rules of the service at their fields. Keys are named, never typed."""

    # Whether it is an address, the model says: the workers' network has names without a dot.
    base_url = forms.CharField(
        label="Address",
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "inputmode": "url"}),
        help_text=Judge._meta.get_field("base_url").help_text,
    )

    class Meta:
        model = Judge
        fields = [*SETTLED, *judges.SETTINGS, "active"]
        labels = {
            "key_name": "Variable with the key",
            "template": "Prompt",
            "price_in": "Price of what is sent",
            "price_out": "Price of what is received",
            "workers": "At once",
        }

    def get_initial_for_field(self, field: forms.Field, field_name: str) -> Any:
        """Amounts without zeros at their end."""
        found = super().get_initial_for_field(field, field_name)
        return plain(found) if isinstance(found, Decimal) else found

    def clean_template(self) -> dict[str, Any]:
        """Nothing of one's own where it is left empty."""
        return self.cleaned_data["template"] or {}

    def clean(self) -> dict[str, Any]:
        """A name is for one judge of a campaign."""
        clean: dict[str, Any] = super().clean() or self.cleaned_data
        if {"campaign", "name"} <= clean.keys():  # a new one
            named = clean["campaign"].annotators.filter(kind="llm", imported=False)
            if named.filter(pseudonym=clean["name"]).exists():
                self.add_error("name", f"the campaign has a judge {clean['name']!r} already")
        return clean

    def _post_clean(self) -> None:
        super()._post_clean()
        if not self.errors:
            try:
                judges.check(self.instance)
            except ValidationError as error:
                self.add_error(None, error)

    def _get_validation_exclusions(self) -> set[str]:
        # So that no constraint is looked at: the judge of before is switched off, not in the way.
        return {*super()._get_validation_exclusions(), "campaign"}


@admin.register(Judge)
class JudgeAdmin(SteeredAdmin):
    """What may answer in a campaign besides people, what it costs, and why it is not asked."""

    form = JudgeForm
    list_display = ["name", "campaign", "model", "stands", "asked", "failed", "spent"]
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "active"]
    list_select_related = ["campaign"]
    actions = ["ask_again", "switch_off"]
    readonly_fields = ["stands", "asked", "failed", "spent", "measured_from"]
    fieldsets = [
        (None, {"fields": [*SETTLED, "active"]}),
        ("Where it is", {"fields": ["provider", "base_url", "model", "key_name"]}),
        (
            "How it is asked",
            {
                "fields": ["mode", "max_tokens", "template"],
                "description": "Prompts are ours, with the campaign's guidelines, unless other "
                'words stand here: {"system": "…"}. How to write them is in '
                "docs/how-to/judges.md.",
            },
        ),
        ("What it may cost", {"fields": ["price_in", "price_out", "spend_limit"]}),
        (
            "How fast",
            {"fields": ["workers", "requests_per_minute", "tokens_per_minute", "timeout"]},
        ),
        ("Measured before it decides", {"fields": ["history_sample"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Judge | None = None) -> list[Any]:
        """How it stands comes first, once it is there."""
        stands = ("How it stands", {"fields": self.readonly_fields})
        return [*([stands] if obj else []), *self.fieldsets]

    def get_readonly_fields(self, request: HttpRequest, obj: Judge | None = None) -> list[str]:
        """Campaign and name stay: answers stand under them."""
        return [*self.readonly_fields, *(SETTLED if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What it said belongs to the record: a judge is switched off, not deleted."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Judges of campaigns that this person steers, with what they cost."""
        return with_figures(super().get_queryset(request))

    def save_model(self, request: HttpRequest, obj: Judge, form: Any, change: bool) -> None:
        """As over REST; a change also clears what was wrong."""
        if change:
            changed = {name: form.cleaned_data[name] for name in form.changed_data}
            stored = Judge.objects.get(pk=obj.pk)  # the form has written into `obj`
            judges.change_judge(judge=stored, **changed)
            routes.go_on(obj.campaign)
            return
        given = {name: form.cleaned_data[name] for name in form.fields}
        obj.pk = judges.add_judge(**given).pk  # the admin goes on with its own

    @admin.display(description="state")
    def stands(self, judge: Judge) -> str:
        """Asked, switched off, or in trouble."""
        return standing(judge)

    @admin.display(description="questions asked")
    def asked(self, judge: Any) -> int:
        """Questions that it was asked."""
        return int(judge.asked)

    @admin.display(description="without a verdict")
    def failed(self, judge: Any) -> int:
        """Questions that it could not answer: people did."""
        return int(judge.failed)

    @admin.display(description="money spent")
    def spent(self, judge: Any) -> str:
        """By its prices; of its limit, where it has one."""
        of = "" if judge.spend_limit is None else f" of {plain(judge.spend_limit)}"
        return f"{plain(judge.spent)}{of}"

    @admin.action(description="Ask again: what was wrong is seen to", permissions=["change"])
    def ask_again(self, request: HttpRequest, queryset: QuerySet[Judge]) -> None:
        """Clear the trouble and have a worker ask."""
        for judge in queryset.select_related("campaign"):
            if not judge.active:
                messages.warning(request, f"{judge} is switched off; switch it on first.")
                continue
            judges.change_judge(judge=judge)
            if judge.campaign.state == Campaign.State.RUNNING:
                routes.ask_judge(judge.campaign)
                messages.success(request, f"{judge} is asked again.")
            else:
                messages.success(request, f"{judge} is asked again once its campaign runs.")

    @admin.action(description="Switch off: people answer", permissions=["change"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Judge]) -> None:
        """It is not asked any more, and what waits goes to people."""
        for judge in queryset.select_related("campaign"):
            judges.change_judge(judge=judge, active=False)
            routes.go_on(judge.campaign)
            messages.success(request, f"{judge} is switched off; people answer what waits.")


class JudgeCallInline(admin.StackedInline):
    """The calls behind a judgement."""

    model = JudgeCall
    extra = 0
    can_delete = False
    verbose_name_plural = "calls"
    fields = ["order", "prompt", "reply", "told", "made_with", "tokens", "money", "tries"]
    readonly_fields = fields

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by workers only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Written by workers only."""
        return False

    @admin.display(description="prompt")
    def prompt(self, call: JudgeCall) -> str:
        """As it was sent."""
        return "\n\n".join(f"{turn.get('role')}:\n{turn.get('content')}" for turn in call.messages)

    @admin.display(description="model and template")
    def made_with(self, call: JudgeCall) -> str:
        """With the version of the template."""
        return f"{call.model}; template {call.template}, version {call.template_version}"

    @admin.display(description="tokens")
    def tokens(self, call: JudgeCall) -> str:
        """Sent and received."""
        guessed = " (estimated: the endpoint did not count)" if call.tokens_estimated else ""
        return f"{call.tokens_in} sent, {call.tokens_out} received, {call.seconds:.1f} s{guessed}"


@admin.register(Judgement)
class JudgementAdmin(ReadOnlyAdmin):
    """What judges said, question by question."""

    list_display = [
        *("id", "judge", "query", "outcome", "p", "inconsistent", "related", "error"),
        *("money", "created_at"),
    ]
    list_filter = [
        ("judge", admin.RelatedOnlyFieldListFilter),
        "inconsistent",
        "related",
        ("error", admin.AllValuesFieldListFilter),
    ]
    list_select_related = ["judge", "query", "annotation"]
    inlines = [JudgeCallInline]
    readonly_fields = ["outcome"]
    fields = [
        *("judge", "query", "outcome", "annotation", "order", "p", "inconsistent"),
        *("disagreement", "related", "error", "told", "money", "seconds"),
        *("guidelines_version", "created_at"),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Judgement]:
        """Only those of campaigns that this person steers."""
        steered = Campaign.objects.steered_by(request.user)
        return Judgement.objects.filter(judge__campaign__in=steered)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)

    @admin.display(description="verdict")
    def outcome(self, judgement: Judgement) -> str:
        """In the words of annotations; none where something went wrong."""
        return judgement.annotation.get_outcome_display() if judgement.annotation else "–"


@admin.register(Route)
class RouteAdmin(ReadOnlyAdmin):
    """Who was to answer what, and why."""

    list_display = ["query", "to", "reason", "audit", "judge", "error", "value", "propensity"]
    list_filter = [
        ("query__campaign", admin.RelatedOnlyFieldListFilter),
        "to",
        ("reason", admin.AllValuesFieldListFilter),
        "audit",
    ]
    list_select_related = ["query", "judge"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Route]:
        """Only those of campaigns that this person steers."""
        steered = Campaign.objects.steered_by(request.user)
        return Route.objects.filter(query__campaign__in=steered)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Who may change campaigns."""
        return may_steer(request)
