"""Exports on the campaign's page: asked for, cancelled, compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from annotator.errors import InvalidInput, Missing
from annotator.exporters import FORMATS, ExportOptions
from annotator.exporters.options import listed
from annotator.models import Campaign, Job, Snapshot
from annotator.services.containers import CONTAINERS
from annotator.services.differences import compare
from annotator.services.snapshots import cancel_snapshot, job_key, request_snapshot

from .access import signed_in

MOST_ROWS = 50_000  # compared while somebody waits; the command compares any number
LIVE = Snapshot.LIVE


class ExportForm(forms.Form):
    """Format, container, and every option with its default."""

    format = forms.ChoiceField(choices=[(one.name, one.title) for one in FORMATS.values()])
    container = forms.ChoiceField(
        label="File", required=False, choices=[("", "as usual for the format"), *CONTAINERS.items()]
    )

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for option in listed():
            self.fields[option.name] = _field(option)
        for name, field in self.fields.items():
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"help-{name}"

    @property
    def choices(self) -> list[forms.BoundField]:
        """Format and container."""
        return [self["format"], self["container"]]

    @property
    def chosen(self) -> list[forms.BoundField]:
        """Options with a value."""
        return [self[one.name] for one in listed() if not isinstance(one.default, bool)]

    @property
    def included(self) -> list[forms.BoundField]:
        """What is in only when asked for."""
        return [self[one.name] for one in listed() if isinstance(one.default, bool)]


def _field(option: Any) -> forms.Field:
    about = option.metadata
    named: dict[str, Any] = {
        "label": option.name.removeprefix("include_").replace("_", " ").capitalize(),
        "help_text": about["help"],
        "required": False,
        "initial": option.default,
    }
    if isinstance(option.default, bool):
        return forms.BooleanField(**named)
    if about["choices"]:
        return forms.ChoiceField(choices=[(one, one) for one in about["choices"]], **named)
    if isinstance(option.default, str):
        return forms.CharField(max_length=100, **named)
    kind = forms.IntegerField if isinstance(option.default, int) else forms.FloatField
    return kind(min_value=about["low"], max_value=about["high"], **named)  # type: ignore[arg-type]


def readable(request: HttpRequest, slug: str) -> Campaign:
    """The campaign, if this person may see its figures.

    Raises:
        Missing: no such campaign, or not for them.
    """
    campaign = Campaign.objects.readable_by(request.user).filter(slug=slug).first()
    if campaign is None:
        raise Missing(f"no campaign {slug!r} whose figures you may see")
    return campaign


def section(snapshots: Iterable[Snapshot]) -> dict[str, Any]:
    """What the page says of exports: the form, and each export with its progress."""
    known = list(snapshots)
    keys = {job_key(one): one for one in known if one.state in LIVE}
    jobs = Job.objects.live().filter(key__in=keys) if keys else []
    progress = {keys[job.key].pk: job for job in jobs}
    lines = []
    for number, one in enumerate(known):
        older = (other for other in known[number + 1 :] if _comparable(one, other))
        lines.append(
            {"it": one, "job": progress.get(one.pk), "before": next(older, None)},
        )
    return {"export_form": ExportForm(), "export_formats": FORMATS, "exports": lines}


def _comparable(one: Snapshot, other: Snapshot) -> bool:
    ready = one.state == other.state == Snapshot.State.READY
    return ready and one.format == other.format and "counts" in other.manifest


@require_POST
@signed_in
def export(request: HttpRequest, slug: str) -> HttpResponse:
    """Ask for an export; it appears on the campaign's page when a worker has built it."""
    campaign = readable(request, slug)
    form = ExportForm(request.POST)
    if form.is_valid() and _asked_for(campaign, form, request.user):
        return redirect(reverse("progress", args=[slug]) + "#exports")
    context = {"campaign": campaign, "export_form": form, "export_formats": FORMATS}
    return render(request, "campaign/export_again.html", context, status=422)


def _asked_for(campaign: Campaign, form: ExportForm, user: Any) -> bool:
    """Whether the export could be asked for; the form says why not."""
    given = {name: value for name, value in form.cleaned_data.items() if value not in (None, "")}
    try:
        request_snapshot(
            campaign=campaign,
            format_name=given.pop("format"),
            container=given.pop("container", ""),
            options=ExportOptions.checked(given),
            user=user,
        )
    except InvalidInput as error:
        form.add_error(None, str(error))
        return False
    return True


@require_POST
@signed_in
def cancel(request: HttpRequest, slug: str, pk: UUID) -> HttpResponse:
    """Stop an export; one that has ended stays as it is."""
    cancel_snapshot(snapshot=_snapshot(request, slug, pk))
    return redirect(reverse("progress", args=[slug]) + "#exports")


@require_GET
@signed_in
def compared(request: HttpRequest, slug: str, old: UUID, new: UUID) -> HttpResponse:
    """What lies between two exports."""
    before, after = (_snapshot(request, slug, pk) for pk in (old, new))
    few = max(before.rows or 0, after.rows or 0) <= MOST_ROWS
    found = compare(old=before, new=after, rows=few)
    kinds = [(kind, getattr(found, kind), found.examples.get(kind, [])) for kind in KINDS]
    context = {
        "campaign": before.campaign,
        "old": before,
        "new": after,
        "found": found,
        "kinds": kinds,
        "few": few,
        "most": MOST_ROWS,
    }
    return render(request, "campaign/compared.html", context)


KINDS = ("added", "removed", "changed")


def _snapshot(request: HttpRequest, slug: str, pk: UUID) -> Snapshot:
    found = readable(request, slug).snapshots.select_related("campaign").filter(pk=pk).first()
    if found is None:
        raise Missing("no such export of this campaign")
    return found
