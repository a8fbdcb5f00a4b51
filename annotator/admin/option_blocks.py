"""The blocks of options: of an acquisition function, a routing policy, and the forms asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from django import forms
from django.utils.html import format_html

from annotator.catalogue import ACQUISITIONS, ROUTINGS, Option, options_of
from annotator.forms import PARTS, Part
from annotator.forms.base import WordsField
from annotator.models import Campaign
from annotator.services.asking import RATIONALE, option_problems, rationale_problem

from .options import Block, number, one_of, switch, words

PREFIX = "option_"
ROUTING_PREFIX = "routing_"
ASKED_PREFIX = "asked_"
LEFT_TO_ACCEPT = ("neither", "both_good")  # `accept` asks this about each response


@dataclass(frozen=True)
class FunctionBlock(Block):
    """Parameters of the acquisition function, or of the steps around it."""

    options: tuple[Option, ...] = ()

    region: ClassVar[str] = "acquisition"
    column: ClassVar[str] = "acquisition_config"

    def problems(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        """In the words of the catalogue."""
        known = {option.name: option for option in self.options}
        found = {key: known[key].problem(value) for key, value in given.items()}
        return {key: f"{known[key].label} {said}" for key, said in found.items() if said}

    def stored(self, campaign: Campaign) -> Mapping[str, Any]:
        """All functions share one column: only one is chosen."""
        config: dict[str, Any] = campaign.acquisition_config
        return config

    def store(self, column: dict[str, Any], given: Mapping[str, Any]) -> None:
        """By option."""
        column.update(given)


@dataclass(frozen=True)
class RoutingBlock(FunctionBlock):
    """Parameters of the routing policy."""

    region: ClassVar[str] = "routing"
    column: ClassVar[str] = "routing_config"

    def stored(self, campaign: Campaign) -> Mapping[str, Any]:
        """All policies share one column: only one is chosen."""
        config: dict[str, Any] = campaign.routing_config
        return config


@dataclass(frozen=True)
class FormBlock(Block):
    """Options of one form, or of the rationale."""

    part: str = ""
    asked: tuple[str, ...] = ()

    region: ClassVar[str] = "form"
    column: ClassVar[str] = "form_options"

    def problems(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        """As the form's own options see it."""
        return option_problems(self.part, given)

    def stored(self, campaign: Campaign) -> Mapping[str, Any]:
        """Under the form's name."""
        options: dict[str, Any] = campaign.form_options.get(self.part, {})
        return options

    def store(self, column: dict[str, Any], given: Mapping[str, Any]) -> None:
        """Under the form's name."""
        column[self.part] = dict(given)


def function_blocks(name: str) -> list[Block]:
    """The function's paragraph with its own parameters, and the common ones where they apply."""
    entry = ACQUISITIONS[name]
    own, shared = options_of(name)
    note = "" if own else " It has no parameters of its own."
    compare = " It is there to be compared with." if entry.diagnostic else ""
    said = format_html("<p>{}{}{}</p>", entry.summary, compare, note)
    blocks = [_of_function(own, f"Parameters of {name}", said)]
    if shared:
        around = "Steps around the function, the same for every one of them."
        blocks.append(_of_function(shared, "Around the function", around))
    return blocks


def _of_function(options: tuple[Option, ...], title: str, description: str) -> Block:
    fields = {option.name: option_field(option) for option in options}
    return FunctionBlock(PREFIX, fields, title, description, options=options)


def routing_blocks(name: str) -> list[Block]:
    """The policy's paragraph with its parameters."""
    entry = ROUTINGS[name]
    note = "" if entry.options else " It has no parameters."
    said = format_html("<p>{}{}</p>", entry.summary, note)
    fields = {option.name: option_field(option) for option in entry.options}
    title = f"Parameters of {name}"
    return [RoutingBlock(ROUTING_PREFIX, fields, title, said, options=entry.options)]


def form_blocks(names: Sequence[str]) -> list[Block]:
    """The forms asked, in order, then the rationale."""
    return [_of_form(PARTS[name], tuple(names)) for name in (*names, RATIONALE)]


def _of_form(part: Part, asked: tuple[str, ...]) -> Block:
    left = LEFT_TO_ACCEPT if "accept" in asked else ()
    fields = {
        key: part_field(key, field)
        for key, field in part.options.base_fields.items()
        if key not in left
    }
    title = "The reason" if part.name == RATIONALE else f"Options of {part.name}"
    note = "" if fields else " It has no options."
    said = format_html("<p>{}: {}{}</p>", part.label.capitalize(), part.help, note)
    prefix = f"{ASKED_PREFIX}{part.name}_"
    return FormBlock(prefix, fields, title, said, part=part.name, asked=asked)


def late_problems(blocks: Iterable[Block], options: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong between the options of several forms, by field."""
    for block in blocks:
        if isinstance(block, FormBlock) and block.part == RATIONALE:
            said = rationale_problem(block.asked, options)
            return {f"{block.prefix}ask": said} if said else {}
    return {}


def option_field(option: Option) -> forms.Field:
    """A function's parameter."""
    shared: dict[str, Any] = {
        "label": option.label.capitalize(),
        "help_text": f"{option.help} {_allowed(option)}".strip(),
    }
    if option.kind == "bool":
        return switch(option.default, **shared)
    if option.choices:
        return one_of({choice: choice for choice in option.choices}, option.default, **shared)
    if option.kind in ("int", "float"):
        limits = {"low": option.low, "high": option.high}
        return number(option.kind == "int", option.default, **limits, **shared)
    field = forms.CharField(required=False, **shared)
    field.widget.attrs["placeholder"] = f"{option.default}"
    return field


def _allowed(option: Option) -> str:
    said = [option.range, f"default {option.default}"]
    return "" if option.choices or option.kind == "bool" else f"({'; '.join(filter(None, said))})"


def part_field(name: str, field: forms.Field) -> forms.Field:
    """A form's option: the field of its own rules, empty for its default."""
    label = str(field.label or name.replace("_", " ").capitalize())
    shared: dict[str, Any] = {"label": label, "help_text": field.help_text}
    default: Any = field.initial
    if isinstance(field, forms.BooleanField):
        return switch(default, **shared)
    if isinstance(field, forms.ChoiceField):
        said = {str(value): str(text) for value, text in field.choices}  # type: ignore[misc, union-attr]
        return one_of(said, str(default), **shared)
    if isinstance(field, WordsField):
        none = " A single “-”: none." if default and not field.required else ""
        shared["help_text"] = f"{field.help_text} One a line, or separated by commas.{none}"
        return words(field, default, **shared)
    if isinstance(field, forms.IntegerField):  # forms.FloatField is one, too
        low: Any = field.min_value
        high: Any = field.max_value
        shared["help_text"] = f"{field.help_text} ({low} to {high}; default {default})"
        whole = not isinstance(field, forms.FloatField)
        return number(whole, default, low=low, high=high, **shared)
    raise TypeError(f"no field for the option {name!r} of a form: {type(field).__name__}")
