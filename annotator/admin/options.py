"""Options as fields of the campaign form: those of the chosen function, and of the chosen forms.

Which options there are depends on what is chosen. A *block* is the options of one thing that was
chosen; the blocks of one choice form a *region* of the page. A press on the button beside the
choice (or, with a script, the choice itself) sends the whole form and gets it back with the other
blocks and everything that was typed. A field left empty is the default.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotator.forms.base import WordsField
from annotator.models import Campaign

SHOW = "_show_options"  # the button that changes nothing but what is shown
SWITCH = {"true": True, "false": False}
NONE = "-"  # a list without a word, where the default has some


@dataclass(frozen=True)
class Block(ABC):
    """The options of one thing that was chosen.

    Attributes:
        prefix: What the names of its fields begin with.
        fields: A field for each option, empty for its default.
        title, description: Of the fieldset.
    """

    prefix: str
    fields: Mapping[str, forms.Field]
    title: str
    description: str = ""

    region: ClassVar[str]
    column: ClassVar[str]  # of the campaign, with what differs from the defaults

    @abstractmethod
    def problems(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        """What is wrong with the options given, by option."""

    @abstractmethod
    def stored(self, campaign: Campaign) -> Mapping[str, Any]:
        """Its options as the campaign has them."""

    @abstractmethod
    def store(self, column: dict[str, Any], given: Mapping[str, Any]) -> None:
        """Put the options given into the column."""

    @property
    def named(self) -> dict[str, forms.Field]:
        """The fields under their names on the page."""
        return {self.prefix + key: field for key, field in self.fields.items()}

    @property
    def fieldset(self) -> tuple[str, dict[str, Any]]:
        """As Django's admin wants it."""
        return (
            self.title,
            {
                "fields": list(self.named),
                "description": self.description,
                "classes": ["options", f"of-{self.region}"],
            },
        )

    def given(self, cleaned: Mapping[str, Any]) -> dict[str, Any]:
        """What was typed, without what was left empty."""
        found = {key: cleaned.get(self.prefix + key) for key in self.fields}
        given = {key: value for key, value in found.items() if value not in (None, "", [])}
        return {key: [] if value == [NONE] else value for key, value in given.items()}


def as_typed(value: Any) -> Any:
    """A stored option as its field shows it."""
    if value == []:
        return [NONE]
    return str(value).lower() if isinstance(value, bool) else value


def switch(default: bool, **shared: Any) -> forms.Field:
    """On or off."""
    said = {text: "on" if value else "off" for text, value in SWITCH.items()}
    return forms.TypedChoiceField(
        choices=marked(said, str(default).lower()),
        coerce=SWITCH.__getitem__,
        empty_value=None,
        required=False,
        **shared,
    )


def one_of(said: Mapping[str, str], default: str, **shared: Any) -> forms.Field:
    """One of several."""
    return forms.ChoiceField(choices=marked(said, default), required=False, **shared)


def number(
    whole: bool, default: Any, *, low: float | None, high: float | None, **shared: Any
) -> forms.Field:
    """A number with its default in grey."""
    field = (forms.IntegerField if whole else forms.FloatField)(required=False, **shared)
    for attribute, limit in (("min", low), ("max", high)):
        if limit is not None:
            field.widget.attrs[attribute] = f"{limit:g}"
    return grey(field, default)


def words(of: WordsField, default: list[str], **shared: Any) -> forms.Field:
    """A list of words with its default in grey."""
    field = WordsField(longest=of.longest, most=of.most, required=False, **shared)
    field.widget.attrs["rows"] = 3
    return grey(field, ", ".join(default))


def grey(field: forms.Field, default: Any) -> forms.Field:
    """With the default where nothing is typed."""
    field.widget.attrs["placeholder"] = f"{default}"
    return field


def marked(said: Mapping[str, str], default: str) -> list[tuple[str, str]]:
    """Choices with the default first; it stands for an empty value."""
    rest = [(value, text) for value, text in said.items() if value != default]
    return [("", f"{said[default]} (default)"), *rest]


class Refreshing:
    """A widget on which a region of options depends, with the button for those without script."""

    region: str
    of: tuple[str, ...]  # names of the fields on which the region depends
    press: str
    said = "The options of %s are shown below."

    def render(self, *args: Any, **kwargs: Any) -> SafeString:
        """The widget, the button, and where a script says what it did."""
        rendered: Any = super().render(*args, **kwargs)  # type: ignore[misc]
        return format_html(
            '{} <input type="submit" name="{}" value="{}" data-region="{}" data-of="{}" '
            'data-said="{}"><span id="said-{}" role="status" class="visually-hidden"></span>',
            rendered,
            SHOW,
            self.press,
            self.region,
            " ".join(self.of),
            self.said,
            self.region,
        )
