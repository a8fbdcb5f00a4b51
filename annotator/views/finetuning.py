"""The encoders of a campaign: trained, watched, stopped, rolled back, taken home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotator import tuned
from annotator.catalogue import FINETUNING, Option
from annotator.downloads import send
from annotator.errors import InvalidInput, Missing, WrongState
from annotator.models import Campaign, EncoderVersion
from annotator.services import estimates
from annotator.services import finetuning as services

from .access import signed_in
from .exports import readable

HELP = "What is trained: all weights, or small adapters beside them: less memory with large models."


class StartForm(forms.Form):
    """The method, and every option with its default."""

    method = forms.ChoiceField(choices=EncoderVersion.Method.choices, help_text=HELP)

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        for option in FINETUNING:
            self.fields[option.name] = _field(option)
        for name, field in self.fields.items():
            field.widget.attrs["aria-describedby"] = f"help-{name}"

    @property
    def advanced(self) -> list[forms.BoundField]:
        """All but the method."""
        return [self[option.name] for option in FINETUNING]

    @property
    def options(self) -> dict[str, Any]:
        """What was given."""
        return {
            option.name: self.cleaned_data[option.name]
            for option in FINETUNING
            if self.cleaned_data[option.name] is not None
        }


def _field(option: Option) -> forms.Field:
    named: dict[str, Any] = {
        "label": option.label.capitalize(),
        "help_text": option.help,
        "required": False,
        "initial": option.default,
    }
    if option.kind == "bool":
        return forms.BooleanField(**named)
    if option.choices:
        choices = [(one, one) for one in option.choices]
        return forms.TypedChoiceField(choices=choices, empty_value=option.default, **named)
    if option.kind == "int":
        low = None if option.low is None else int(option.low)
        high = None if option.high is None else int(option.high)
        return forms.IntegerField(min_value=low, max_value=high, **named)
    widget = forms.NumberInput(attrs={"step": "any"})
    return forms.FloatField(min_value=option.low, max_value=option.high, widget=widget, **named)


@require_http_methods(["GET", "POST"])
@signed_in
def encoders(request: HttpRequest, slug: str) -> HttpResponse:
    """What is in use, what is trained now, and every version with its figures."""
    campaign = readable(request, slug)
    shown = tuned.page(campaign)
    form = StartForm(request.POST or None, initial=_chosen(shown.expected))
    if request.method == "POST" and _started(request, _steered(request, campaign), form):
        return redirect("encoders", slug)
    part = bool(request.headers.get("HX-Request"))
    context = {
        "campaign": campaign,
        "encoders": shown,
        "expected": shown.expected,
        "form": form,
        "steers": _steers(request, campaign),
    }
    template = "finetuning/report.html" if part else "finetuning/page.html"
    return render(request, template, context, status=422 if form.errors else 200)


def _chosen(expected: tuned.Expected | None) -> dict[str, Any]:
    """The form begins with what was estimated."""
    return {} if expected is None else {"method": expected.it.method, **expected.it.plan}


@require_http_methods(["GET", "POST"])
@signed_in
def estimate(request: HttpRequest, slug: str) -> HttpResponse:
    """What a training with these options would take; measured by a worker."""
    campaign = readable(request, slug)
    context: dict[str, Any] = {"campaign": campaign}
    status = 200
    if request.method == "POST":
        form = StartForm(request.POST)
        if not _asked(request, _steered(request, campaign), form):
            context["form"], status = form, 422
    if not request.headers.get("HX-Request"):
        if status == 422:
            shown = tuned.page(campaign)
            context |= {"encoders": shown, "expected": shown.expected, "steers": True}
            return render(request, "finetuning/page.html", context, status=status)
        return redirect("encoders", slug)
    context["expected"] = tuned.expected(campaign, campaign.encoders.first())
    return render(request, "finetuning/estimate.html", context, status=status)


def _asked(request: HttpRequest, campaign: Campaign, form: StartForm) -> bool:
    """Whether the estimate was asked for; the form says why not. One that is under way is shown."""
    if not form.is_valid():
        return False
    try:
        estimates.request_estimate(
            campaign=campaign,
            method=form.cleaned_data["method"],
            options=form.options,
            user=request.user,  # type: ignore[arg-type] # signed in
        )
    except (InvalidInput, WrongState) as error:
        form.add_error(None, str(error))
        return False
    return True


def _steers(request: HttpRequest, campaign: Campaign) -> bool:
    return bool(Campaign.objects.steered_by(request.user).filter(pk=campaign.pk).exists())


def _steered(request: HttpRequest, campaign: Campaign) -> Campaign:
    if not _steers(request, campaign):
        raise Missing(f"no campaign {campaign.slug!r} that you may change")
    return campaign


def _started(request: HttpRequest, campaign: Campaign, form: StartForm) -> bool:
    """Whether the training was asked for; the form says why not."""
    if not form.is_valid():
        return False
    try:
        made = services.request_finetuning(
            campaign=campaign,
            method=form.cleaned_data["method"],
            options=form.options,
            user=request.user,  # type: ignore[arg-type] # signed in
            trigger=f"asked for by {request.user}",
        )
    except (InvalidInput, WrongState) as error:
        form.add_error(None, str(error))
        return False
    if made is None:
        messages.info(request, "A training is under way already.")
    return True


def _act(
    request: HttpRequest, slug: str, number: int, act: Callable[[EncoderVersion], str]
) -> HttpResponse:
    """Do something with a version, as somebody who steers the campaign, and say what."""
    campaign = _steered(request, readable(request, slug))
    messages.success(request, act(_version(campaign, number)))
    return redirect("encoders", slug)


def _version(campaign: Campaign, number: int) -> EncoderVersion:
    found = campaign.encoders.select_related("campaign").filter(number=number).first()
    if found is None:
        raise Missing(f"no encoder version {number} of this campaign")
    return found


@require_POST
@signed_in
def cancel(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Stop a training; one that has ended stays as it is."""

    def stop(version: EncoderVersion) -> str:
        stopped = services.cancel_finetuning(version=version)
        return "The training was stopped." if stopped else "It had ended already."

    return _act(request, slug, number, stop)


@require_POST
@signed_in
def use(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Take a version back that was promoted once."""

    def take(version: EncoderVersion) -> str:
        services.use(version=version)
        return f"Encoder version {version.number} is used from the next round on."

    return _act(request, slug, number, take)


@require_POST
@signed_in
def roll_back(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Leave the version in use for the one before, or the campaign's own encoder."""

    def leave(version: EncoderVersion) -> str:
        before = services.roll_back(version=version)
        now = f"Version {before.number}" if before else "The campaign's own encoder"
        return f"{now} is used from the next round on."

    return _act(request, slug, number, leave)


@require_GET
@signed_in
def download(request: HttpRequest, slug: str, number: int) -> HttpResponseBase:
    """A trained model as a Hugging Face folder in a tar archive."""
    return send(request, services.archive_of(_version(readable(request, slug), number)))
