"""`rate`: each response on labelled scales, one for each aspect, and thumbs up or down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import Options, Part, PartInput, Said, Shown, WordsField, shown_words, tiers_by

LABELS = {
    "very poor": later("very poor"),
    "poor": later("poor"),
    "fair": later("fair"),
    "good": later("good"),
    "excellent": later("excellent"),
}
OVERALL = "overall"
ASPECTS = {OVERALL: later("overall")}
THUMBS = [("up", later("Good")), ("down", later("Bad"))]


class RateOptions(forms.Form):
    """What a campaign can choose."""

    aspects = WordsField(
        initial=[OVERALL],
        most=8,
        help_text="What is rated, such as overall, helpful, truthful. The weak order follows "
        "“overall”, or else the first.",
    )
    low = forms.IntegerField(
        initial=0, min_value=0, max_value=1, help_text="The lowest mark, 0 or 1."
    )
    labels = WordsField(
        initial=list(LABELS),
        most=11,
        help_text="A word for every mark, the lowest first: as many marks as words.",
    )
    thumbs = forms.BooleanField(
        initial=False,
        required=False,
        help_text="Thumbs up or down for each response: good enough or not.",
    )

    def clean(self) -> dict[str, Any]:
        """One mark alone says nothing."""
        clean = super().clean() or self.cleaned_data
        if "labels" in clean and len(clean["labels"]) < 2:
            self.add_error("labels", "expected at least two marks")
        return clean


def field(letter: str, aspect: int) -> str:
    """The field with the mark of one response on one aspect, by number."""
    return f"rate-{letter}-{aspect}"


def thumb(letter: str) -> str:
    """The field with the thumb of one response."""
    return f"thumb-{letter}"


def marks(options: Options) -> list[tuple[str, str]]:
    """Values and words of the scale, the lowest first."""
    labels = shown_words(options["labels"], LABELS)
    return [(str(options["low"] + n), label) for n, label in enumerate(labels)]


class RateInput(PartInput):
    """A mark for every response and aspect."""

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        scale = marks(options)
        for letter in shown.letters:
            for number, aspect in enumerate(shown_words(options["aspects"], ASPECTS)):
                self.fields[field(letter, number)] = forms.ChoiceField(
                    choices=scale,
                    error_messages={
                        "required": _("%(letter)s: a mark for “%(aspect)s” is missing.")
                        % {"letter": letter, "aspect": aspect},
                        "invalid_choice": _(
                            "%(letter)s, %(aspect)s: “%(value)s” is not on the scale; expected "
                            "%(low)s to %(high)s."
                        )
                        % {
                            "letter": letter,
                            "aspect": aspect.replace("%", "%%"),
                            "value": "%(value)s",
                            "low": scale[0][0],
                            "high": scale[-1][0],
                        },
                    },
                )
            if options["thumbs"]:
                self.fields[thumb(letter)] = forms.ChoiceField(
                    choices=THUMBS,
                    error_messages={
                        "required": _("%(letter)s: thumbs up or down is missing.")
                        % {"letter": letter}
                    },
                )


class Rate(Part):
    """Marks for each response by itself."""

    name = "rate"
    label = later("rate each response")
    question = later("Rate each response")
    help = later("Judge each response by itself. Nothing is marked beforehand.")
    card = "annotate/forms/rate_card.html"
    least, most = 1, 10
    options = RateOptions

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return RateInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """The order of the marks; thumbs come first where there are some, and draw the line."""
        del so_far
        clean = self.inputs(data, shown=shown, options=options).read()
        pairs = list(zip(shown.letters, shown.order, strict=True))
        ratings = {
            aspect: {str(pk): int(clean[field(letter, number)]) for letter, pk in pairs}
            for number, aspect in enumerate(options["aspects"])
        }
        lead = ratings.get(OVERALL) or next(iter(ratings.values()))
        mark = {pk: lead[str(pk)] for pk in shown.order}
        scale = [int(value) for value, _ in marks(options)]
        details: dict[str, Any] = {"ratings": ratings, "range": [scale[0], scale[-1]]}
        if not options["thumbs"]:
            return Said(tiers_by(mark, shown.order), details=details)
        up = {pk: clean[thumb(letter)] == "up" for letter, pk in pairs}
        tiers = tiers_by({pk: (up[pk], mark[pk]) for pk in shown.order}, shown.order)
        details["thumbs"] = {str(pk): "up" if up[pk] else "down" for pk in shown.order}
        return Said(tiers, acceptable=sum(up[tier[0]] for tier in tiers), details=details)

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A row of marks for every response and aspect."""
        aspects = shown_words(options["aspects"], ASPECTS)
        return {
            "marks": [(value, label, f"choice.{value}") for value, label in marks(options)],
            "rows": [
                {
                    "letter": letter,
                    "aspects": [
                        {
                            "name": field(letter, number),
                            "label": aspect,
                            "value": values.get(field(letter, number)),
                        }
                        for number, aspect in enumerate(aspects)
                    ],
                    "thumb": thumb(letter) if options["thumbs"] else "",
                    "thumb_value": values.get(thumb(letter)),
                }
                for letter in shown.letters
            ],
            "thumbs": [(value, label, f"thumb.{value}") for value, label in THUMBS],
        }
