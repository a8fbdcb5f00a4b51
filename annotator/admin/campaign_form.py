"""The campaign form: settings, the next guidelines, and the options of what is chosen.

The form is made for one function and one sequence of forms at a time; see `options` for how it is
shown for others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotator.catalogue import (
    ACQUISITIONS,
    AUTO,
    DEFAULT_ACQUISITION,
    DEFAULT_ROUTING,
    HEADS,
    ROUTINGS,
    normalised,
    normalised_routing,
)
from annotator.errors import InvalidInput
from annotator.forms import FORMS
from annotator.forms.base import WordsField
from annotator.models import Campaign
from annotator.services.asking import FOLLOWING, ORDER, check_asking, check_pool

from .option_blocks import form_blocks, function_blocks, late_problems, routing_blocks
from .options import SHOW, Block, Refreshing, as_typed

OPTION_COLUMNS = ("acquisition_config", "form_options", "routing_config")
NORMALISED = {"acquisition": normalised, "routing": normalised_routing}
ASKED = ("form", "follow_ups")


class AcquisitionSelect(Refreshing, forms.Select):
    """The list of functions."""

    region, of, press = "acquisition", ("acquisition",), "Show its parameters"
    said = "The parameters of %s are shown below."


class RoutingSelect(Refreshing, forms.Select):
    """The list of routing policies."""

    region, of, press = "routing", ("routing",), "Show the policy's parameters"
    said = "The parameters of %s are shown below."


class FollowUps(Refreshing, forms.CheckboxSelectMultiple):
    """The forms that may follow; the form itself is chosen just above."""

    region, of, press = "form", ASKED, "Show their options"


def acquisition_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """All functions, those to label with first, the default first of all."""
    groups: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for name, entry in ACQUISITIONS.items():
        said = f"{name} (default)" if name == DEFAULT_ACQUISITION else name
        groups[entry.diagnostic].append((name, said))
    groups[False].sort(key=lambda choice: choice[0] != DEFAULT_ACQUISITION)
    return [("Recommended", groups[False]), ("For comparison (diagnostic)", groups[True])]


def routing_choices() -> list[tuple[str, str]]:
    """All routing policies, the default first."""
    said = {name: name for name in ROUTINGS} | {DEFAULT_ROUTING: f"{DEFAULT_ROUTING} (default)"}
    return sorted(said.items(), key=lambda choice: choice[0] != DEFAULT_ROUTING)


def head_choices() -> list[tuple[str, str]]:
    """All heads, and `auto`."""
    return [(AUTO.name, f"{AUTO.name} (default)"), *((name, name) for name in HEADS)]


def following_choices() -> list[tuple[str, str]]:
    """Forms that may follow another one."""
    return [(name, f"{name}: {FORMS[name].label}") for name in FOLLOWING]


def described(entries: Iterable[Any]) -> SafeString:
    """A paragraph each, folded away."""
    paragraphs = ((entry.name, entry.summary) for entry in entries)
    inside = format_html_join("", "<p><strong>{}</strong>: {}</p>", paragraphs)
    return format_html("<details><summary>What each one does</summary>{}</details>", inside)


class CampaignForm(forms.ModelForm):
    """The campaign with the next version of its guidelines; see `form_for`."""

    blocks: tuple[Block, ...] = ()

    acquisition = forms.ChoiceField(
        choices=acquisition_choices,
        widget=AcquisitionSelect,
        help_text=described(ACQUISITIONS.values()),
    )
    head = forms.ChoiceField(choices=head_choices, help_text=described([AUTO, *HEADS.values()]))
    routing = forms.ChoiceField(
        choices=routing_choices,
        widget=RoutingSelect,
        help_text=described(ROUTINGS.values()),
    )
    people_only = WordsField(
        longest=100,
        most=200,
        required=False,
        help_text="Tags (an item's subset or meta.tags) whose questions are never left to a judge, "
        "such as safety, one a line.",
    )
    follow_ups = forms.MultipleChoiceField(
        choices=following_choices,
        widget=FollowUps,
        required=False,
        help_text="Asked after the form about the same responses, on the same page, in this order.",
    )
    image_hosts = WordsField(
        longest=253,
        most=200,
        required=False,
        help_text="Hosts whose pictures are shown in prompts and responses, such as "
        "images.example.org, one a line; pictures from elsewhere stay links.",
    )
    guidelines_text = forms.CharField(
        label="Guidelines",
        widget=forms.Textarea(attrs={"rows": 14, "cols": 80}),
        required=False,
        help_text="Markdown. A change becomes a new version, which annotators read before they "
        "go on.",
    )

    class Meta:
        model = Campaign
        exclude = ["state", "created_by", *OPTION_COLUMNS]  # the state changes by buttons

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = self.instance.guidelines.first() if self.instance.pk else None
        self.newest_text = newest.text if newest else ""
        self.fields["guidelines_text"].initial = self.newest_text
        for name in ("acquisition", "head", "routing"):  # a new campaign: the model's defaults
            self.fields[name].initial = getattr(self.instance, name)
        self.stored_options = {name: dict(getattr(self.instance, name)) for name in OPTION_COLUMNS}
        for block in self.blocks:
            stored = block.stored(self.instance)
            for key in block.fields:
                self.fields[block.prefix + key].initial = as_typed(stored.get(key))

    @property
    def only_showing(self) -> bool:
        """Whether nothing is to be saved: the options of another choice are wanted."""
        return self.is_bound and SHOW in self.data

    def is_valid(self) -> bool:
        """Never while only showing."""
        return not self.only_showing and super().is_valid()

    def full_clean(self) -> None:
        """No complaints while only showing."""
        super().full_clean()
        if self.only_showing:
            self._errors = ErrorDict()

    def clean(self) -> dict[str, Any]:
        """Check the options one by one, and take them over."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        columns: dict[str, dict[str, Any]] = {name: {} for name in OPTION_COLUMNS}
        for block in self.blocks:
            given = block.given(cleaned)
            for key, said in block.problems(given).items():
                self._complain(block.prefix + key, said)
                given.pop(key, None)
            block.store(columns[block.column], given)
        for field, said in late_problems(self.blocks, columns["form_options"]).items():
            self._complain(field, said)
        for field, normal in NORMALISED.items():
            column, name = f"{field}_config", cleaned.get(field)
            setattr(self.instance, column, normal(name, columns[column]) if name else {})
        self.instance.form_options = columns["form_options"]
        return cleaned

    def _post_clean(self) -> None:
        """What depends on the whole campaign, once its own fields are in order."""
        super()._post_clean()
        if self.errors:
            return
        try:
            check_asking(self.instance)
            if self.instance.state != Campaign.State.DRAFT and self._asks_anew:
                check_pool(self.instance)
        except ValidationError as error:
            for field, said in error.message_dict.items():
                self._complain(field, " ".join(said))
        except InvalidInput as error:
            self._complain("follow_ups", str(error))

    @property
    def _asks_anew(self) -> bool:
        return bool({"follow_ups", "set_size"} & set(self.changed_data))

    def _complain(self, field: str, said: str) -> None:
        """At the field, or above the form where it has none."""
        self.add_error(field if field in self.fields else None, said)

    @property
    def changed_columns(self) -> list[str]:
        """Columns of the campaign that this form changed."""
        columns = {field.name for field in Campaign._meta.concrete_fields}
        changed = [name for name in self.changed_data if name in columns]
        stored = self.stored_options
        options = [name for name in stored if getattr(self.instance, name) != stored[name]]
        return changed + options


def chosen(request: HttpRequest, campaign: Campaign | None) -> str:
    """The function that the form is to show: what was just chosen, else what is stored."""
    name = request.POST.get("acquisition") or (campaign.acquisition if campaign else "")
    return name if name in ACQUISITIONS else DEFAULT_ACQUISITION


def chosen_routing(request: HttpRequest, campaign: Campaign | None) -> str:
    """The same for the routing policy."""
    name = request.POST.get("routing") or (campaign.routing if campaign else "")
    return name if name in ROUTINGS else DEFAULT_ROUTING


def chosen_forms(request: HttpRequest, campaign: Campaign | None) -> tuple[str, ...]:
    """The forms whose options are to be shown, in the order in which they are asked."""
    stored = campaign or Campaign()
    settled = stored.state != Campaign.State.DRAFT
    lead = stored.form if settled else request.POST.get("form", stored.form)
    names = request.POST.getlist("follow_ups") if request.POST else stored.follow_ups
    lead = lead if lead in FORMS else Campaign.Form.COMPARE.value
    following = sorted({name for name in names if name in FORMS} - {lead}, key=ORDER.index)
    return (str(lead), *following)


def blocks_for(request: HttpRequest, campaign: Campaign | None) -> dict[str, list[Block]]:
    """The blocks of options that the form is to show, by region."""
    return {
        "form": form_blocks(chosen_forms(request, campaign)),
        "acquisition": function_blocks(chosen(request, campaign)),
        "routing": routing_blocks(chosen_routing(request, campaign)),
    }


def form_for(blocks: Sequence[Block]) -> type[CampaignForm]:
    """The campaign form with these blocks of options."""
    fields = {name: field for block in blocks for name, field in block.named.items()}
    return type("CampaignForm", (CampaignForm,), {**fields, "blocks": tuple(blocks)})
