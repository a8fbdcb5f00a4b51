"""The campaign form: settings, the next guidelines, and the chosen function's parameters.

Which parameters there are depends on the function. The form is made for one function at a time;
a press on *Show its parameters* (or, with a script, the choice itself) sends the whole form and
gets it back for another one, with everything that was typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.forms.utils import ErrorDict
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotator.catalogue import (
    ACQUISITIONS,
    AUTO,
    DEFAULT_ACQUISITION,
    HEADS,
    Acquisition,
    Head,
    Option,
    normalised,
    options_of,
)
from annotator.models import Campaign

SHOW = "_show_options"  # the button that changes nothing but what is shown
PREFIX = "option_"
SWITCH = {"true": True, "false": False}
AFTER = "Choosing the questions"  # the fieldset that the parameters follow


class AcquisitionSelect(forms.Select):
    """The list of functions with the button for those who have no script."""

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """The list, the button, and where a script says what it did."""
        return format_html(
            '{} <input type="submit" name="{}" value="Show its parameters">'
            '<span id="options-said" role="status" class="visually-hidden"></span>',
            super().render(*args, **kwargs),
            SHOW,
        )


def acquisition_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """All functions, those to label with first, the default first of all."""
    groups: dict[bool, list[tuple[str, str]]] = {False: [], True: []}
    for name, entry in ACQUISITIONS.items():
        said = f"{name} (default)" if name == DEFAULT_ACQUISITION else name
        groups[entry.diagnostic].append((name, said))
    groups[False].sort(key=lambda choice: choice[0] != DEFAULT_ACQUISITION)
    return [("Recommended", groups[False]), ("For comparison (diagnostic)", groups[True])]


def head_choices() -> list[tuple[str, str]]:
    """All heads, and `auto`."""
    return [(AUTO.name, f"{AUTO.name} (default)"), *((name, name) for name in HEADS)]


def described(entries: Iterable[Acquisition | Head]) -> SafeString:
    """A paragraph each, folded away."""
    paragraphs = ((entry.name, entry.summary) for entry in entries)
    inside = format_html_join("", "<p><strong>{}</strong>: {}</p>", paragraphs)
    return format_html("<details><summary>What each one does</summary>{}</details>", inside)


class CampaignForm(forms.ModelForm):
    """The campaign with the next version of its guidelines; see `form_for`."""

    options: tuple[Option, ...] = ()

    acquisition = forms.ChoiceField(
        choices=acquisition_choices,
        widget=AcquisitionSelect,
        help_text=described(ACQUISITIONS.values()),
    )
    head = forms.ChoiceField(choices=head_choices, help_text=described([AUTO, *HEADS.values()]))
    guidelines_text = forms.CharField(
        label="Guidelines",
        widget=forms.Textarea(attrs={"rows": 14, "cols": 80}),
        required=False,
        help_text="Markdown. A change becomes a new version, which annotators read before they "
        "go on.",
    )

    class Meta:
        model = Campaign
        exclude = ["state", "created_by", "acquisition_config"]  # the state changes by buttons

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        newest = self.instance.guidelines.first() if self.instance.pk else None
        self.newest_text = newest.text if newest else ""
        self.fields["guidelines_text"].initial = self.newest_text
        for name in ("acquisition", "head"):  # a new campaign: the model's defaults
            self.fields[name].initial = getattr(self.instance, name)
        self.stored_config = dict(self.instance.acquisition_config)
        for option in self.options:
            value = self.stored_config.get(option.name)
            field = self.fields[PREFIX + option.name]
            field.initial = str(value).lower() if isinstance(value, bool) else value

    @property
    def only_showing(self) -> bool:
        """Whether nothing is to be saved: the parameters of another function are wanted."""
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
        """Check the parameters, and keep those that differ from their defaults."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        given = {}
        for option in self.options:
            value = cleaned.get(PREFIX + option.name)
            if value in (None, ""):
                continue
            if problem := option.problem(value):
                self.add_error(PREFIX + option.name, f"{option.label} {problem}")
            else:
                given[option.name] = value
        name = cleaned.get("acquisition")
        self.instance.acquisition_config = normalised(name, given) if name else {}
        return cleaned

    @property
    def changed_columns(self) -> list[str]:
        """Columns of the campaign that this form changed."""
        columns = {field.name for field in Campaign._meta.concrete_fields}
        changed = [name for name in self.changed_data if name in columns]
        if self.instance.acquisition_config != self.stored_config:
            changed.append("acquisition_config")
        return changed


def option_field(option: Option) -> forms.Field:
    """A field that is empty for the default."""
    shared: dict[str, Any] = {
        "label": option.label.capitalize(),
        "required": False,
        "help_text": f"{option.help} {_allowed(option)}".strip(),
    }
    if option.kind == "bool":
        said = {text: "on" if value else "off" for text, value in SWITCH.items()}
        return forms.TypedChoiceField(
            choices=_marked(said, str(option.default).lower()),
            coerce=SWITCH.__getitem__,
            empty_value=None,
            **shared,
        )
    if option.choices:
        choices = _marked({choice: choice for choice in option.choices}, option.default)
        return forms.ChoiceField(choices=choices, **shared)
    typed: type[forms.Field] = {"int": forms.IntegerField, "float": forms.FloatField}.get(
        option.kind, forms.CharField
    )
    field = typed(**shared)
    field.widget.attrs["placeholder"] = f"{option.default}"
    for attribute, limit in (("min", option.low), ("max", option.high)):
        if limit is not None:
            field.widget.attrs[attribute] = f"{limit:g}"
    return field


def _allowed(option: Option) -> str:
    said = [option.range, f"default {option.default}"]
    return "" if option.choices or option.kind == "bool" else f"({'; '.join(filter(None, said))})"


def _marked(said: Mapping[str, str], default: str) -> list[tuple[str, str]]:
    """Choices with the default first; it stands for an empty value."""
    rest = [(value, text) for value, text in said.items() if value != default]
    return [("", f"{said[default]} (default)"), *rest]


def chosen(request: HttpRequest, campaign: Campaign | None) -> str:
    """The function that the form is to show: what was just chosen, else what is stored."""
    name = request.POST.get("acquisition") or (campaign.acquisition if campaign else "")
    return name if name in ACQUISITIONS else DEFAULT_ACQUISITION


def form_for(name: str) -> type[CampaignForm]:
    """The campaign form with one function's parameters."""
    own, shared = options_of(name)
    fields: dict[str, Any] = {PREFIX + option.name: option_field(option) for option in own + shared}
    return type("CampaignForm", (CampaignForm,), {**fields, "options": own + shared})


def option_fieldsets(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The function's paragraph with its own parameters, and the common ones where they apply."""
    entry = ACQUISITIONS[name]
    own, shared = options_of(name)
    note = "" if own else " It has no parameters of its own."
    compare = " It is there to be compared with." if entry.diagnostic else ""
    sets = [
        (
            f"Parameters of {name}",
            {
                "fields": [PREFIX + option.name for option in own],
                "description": format_html("<p>{}{}{}</p>", entry.summary, compare, note),
            },
        )
    ]
    if shared:
        said = "Steps around the function, the same for every one of them."
        fields = [PREFIX + option.name for option in shared]
        sets.append(("Around the function", {"fields": fields, "description": said}))
    sets[0][1]["classes"] = ["options-first"]
    sets[-1][1].setdefault("classes", []).append("options-last")
    return sets
