"""Taking in files and data sets: upload or name, look, confirm, follow, take the bad rows home."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotator.errors import InvalidInput, WrongState
from annotator.importers import IMPORTERS
from annotator.models import Campaign, Import
from annotator.preview import shown
from annotator.services import intake

from .base import ReadOnlyAdmin

DETECT = [("", "Recognise it by its fields")]
NEWEST = 20


class SourceForm(forms.Form):
    """A file, or the name of a data set."""

    file = forms.FileField(
        required=False,
        help_text="JSON Lines, a JSON array, CSV or Parquet; plain or gzipped. The format is "
        "recognised, and nothing is stored before you have seen how its rows are read.",
    )
    dataset = forms.CharField(
        required=False,
        max_length=300,
        label="Or a data set by name",
        help_text="Of the Hugging Face hub: hf:OWNER/NAME, hf:OWNER/NAME:CONFIG:SPLIT.",
    )

    def clean(self) -> dict[str, Any]:
        """One of them."""
        found = super().clean() or {}
        if bool(found.get("file")) == bool(found.get("dataset")) and "file" not in self.errors:
            raise forms.ValidationError("Choose a file, or name a data set.")
        return found


class ConfirmForm(forms.Form):
    """How it is read, and what is stored of it."""

    history = forms.BooleanField(
        required=False,
        label="Record the answers",
        help_text="Those in the file become answers that were given before; people's are learnt "
        "from.",
    )
    keep_good = forms.BooleanField(
        required=False,
        label="Leave bad rows out",
        help_text="Store the good rows even when others are bad. Otherwise it is all or nothing.",
    )
    strength_max = forms.FloatField(
        required=False,
        min_value=0.001,
        label="Strength of “much better”",
        help_text="In this file's scale. Empty: what the format fixes, else strengths are kept "
        "and not learnt from.",
    )
    format = forms.ChoiceField(
        required=False,
        choices=[*DETECT, *((one.name, one.title) for one in IMPORTERS.values())],
    )
    columns = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 40, "spellcheck": "false"}),
        help_text="For a table of your own, one a line: prompt=Question, response_1=First, "
        "response_2=Second; also choice, annotator, strength, model_1, id, … What is not named is "
        "guessed.",
    )
    llm = forms.CharField(
        required=False,
        max_length=200,
        label="Answers by a model",
        help_text="Its name, where a model gave the answers and the file does not say so. Empty: "
        "people did.",
    )

    def clean_columns(self) -> dict[str, str]:
        """The mapping."""
        found = {}
        for line in filter(None, map(str.strip, self.cleaned_data["columns"].splitlines())):
            field, equals, column = (part.strip() for part in line.partition("="))
            if not (field and equals and column):
                raise forms.ValidationError(f"{line!r:.60}: expected FIELD=COLUMN")
            found[field] = column
        return found


def _as_typed(options: intake.IntakeOptions) -> dict[str, Any]:
    columns = "\n".join(f"{field}={column}" for field, column in options.columns.items())
    names = ("history", "keep_good", "strength_max", "format", "llm")
    return {name: getattr(options, name) for name in names} | {"columns": columns}


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    """What was taken in, and what waits to be confirmed."""

    list_display = ["look_link", "campaign", "state", "format", "created_by", "created_at"]
    list_display_links = None
    list_filter = [("campaign", admin.RelatedOnlyFieldListFilter), "state", "format"]
    list_select_related = ["campaign", "created_by"]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Imports belong to their campaign."""
        may: bool = request.user.has_perm("annotator.change_campaign")
        return may

    @admin.display(description="import")
    def look_link(self, made: Import) -> SafeString:
        """To its page."""
        return format_html(
            '<a href="{}">{}</a>', reverse("admin:import", args=[made.pk]), made.name
        )

    def get_urls(self) -> list[URLPattern]:
        """The pages."""
        wrap = self.admin_site.admin_view
        return [
            path("into/<int:pk>/", wrap(self.new_view), name="campaign_import"),
            path("<uuid:pk>/", wrap(self.look_view), name="import"),
            path("<uuid:pk>/cancel/", wrap(self.cancel_view), name="import_cancel"),
            path("<uuid:pk>/rejects/", wrap(self.rejects_view), name="import_rejects"),
            *super().get_urls(),
        ]

    def _campaign(self, request: HttpRequest, pk: int) -> Campaign:
        campaign = get_object_or_404(Campaign.objects.steered_by(request.user), pk=pk)
        if not self.has_view_permission(request):
            raise PermissionDenied
        return campaign

    def _fetch(self, request: HttpRequest, pk: UUID) -> Import:
        made = get_object_or_404(self.get_queryset(request).select_related("campaign"), pk=pk)
        if not self.has_view_permission(request):
            raise PermissionDenied
        return made

    def _page(
        self, request: HttpRequest, name: str, campaign: Campaign, **more: Any
    ) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "campaign": campaign,
            "opts": self.opts,
            "importers": IMPORTERS.values(),
            **more,
        }
        return render(request, f"admin/annotator/import/{name}.html", context)

    def new_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Upload a file or name a data set; a worker looks at it."""
        campaign = self._campaign(request, pk)
        form = SourceForm(*((request.POST, request.FILES) if request.method == "POST" else ()))
        if form.is_valid():
            sent = form.cleaned_data
            try:
                made = intake.request_import(
                    campaign=campaign, source=sent["file"] or sent["dataset"], user=request.user
                )
                return HttpResponseRedirect(reverse("admin:import", args=[made.pk]))
            except InvalidInput as error:
                form.add_error("file" if sent["file"] else "dataset", str(error))
        newest = campaign.imports.all()[:NEWEST]
        title = f"Import into {campaign}"
        return self._page(request, "new", campaign, title=title, form=form, newest=newest)

    def look_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """How far it is, how its rows are read, what is wrong; and the button that stores it."""
        made = self._fetch(request, pk)
        options = intake.stored_options(made)
        form = ConfirmForm(request.POST or None, initial=_as_typed(options))
        if request.method == "POST" and form.is_valid():
            try:
                chosen = intake.IntakeOptions(**form.cleaned_data)
                intake.confirm_import(made=made, options=chosen, look="look" in request.POST)
                return HttpResponseRedirect(request.path)
            except WrongState as error:  # perhaps from another tab
                messages.error(request, str(error))
                return HttpResponseRedirect(request.path)
            except InvalidInput as error:
                form.add_error(None, str(error))
        importer = IMPORTERS.get(made.format)
        fixed = importer.strength_max if importer else None
        strongest = fixed if options.strength_max is None else options.strength_max
        return self._page(
            request,
            "look",
            made.campaign,
            title=f"Import of {made.name}",
            made=made,
            form=form,
            job=intake.job_of(made),
            importer=importer,
            options=options,
            items=[shown(item, strongest) for item in made.shown],
            problems=intake.problems_of(made),
            strength_max=strongest,
        )

    def cancel_view(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """End it. POST only: it changes things."""
        made = self._fetch(request, pk)
        if request.method == "POST":
            if intake.cancel_import(made=made):
                messages.success(request, "Cancelled: nothing was stored.")
            else:
                messages.error(request, "It had ended already.")
        return HttpResponseRedirect(reverse("admin:import", args=[made.pk]))

    def rejects_view(self, request: HttpRequest, pk: UUID) -> FileResponse:
        """The bad rows, whole, with what is wrong in each."""
        made = self._fetch(request, pk)
        if not made.rejects or not default_storage.exists(made.rejects):
            raise Http404("no rows of this import were bad")
        return FileResponse(
            default_storage.open(made.rejects),
            as_attachment=True,
            filename=f"{made.name.rpartition('/')[2]}.rejects.jsonl",
            content_type="application/x-ndjson",
        )
