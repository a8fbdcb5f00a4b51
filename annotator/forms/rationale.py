"""The rationale: tags, free text, and marked passages, asked for as often as a campaign wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later
from django.utils.translation import ngettext

from .base import Options, Part, PartInput, Said, Shown, WordsField

TAGS = [
    *("correct", "complete", "clear", "concise", "follows instructions", "good tone", "safe"),
    *("incorrect", "incomplete", "confusing", "too long", "ignores instructions", "bad tone"),
    "unsafe",
]
ASK = [
    ("optional", "optional"),
    ("never", "never asked for"),
    ("always", "required"),
    ("sampled", "required for a share of the questions"),
    ("extreme", "required when the preference is as strong as can be"),
]
MOST_MARKS = 100
STRONGEST = 3


class RationaleOptions(forms.Form):
    """What a campaign can choose."""

    ask = forms.ChoiceField(choices=ASK, initial="optional", help_text="When a reason is needed.")
    share = forms.FloatField(
        initial=0.2,
        min_value=0.0,
        max_value=1.0,
        help_text="Share of the questions that need a reason, with “required for a share”.",
    )
    tags = WordsField(initial=[], required=False, help_text="Tags to choose from, as chips.")
    shortest = forms.IntegerField(
        initial=1,
        min_value=1,
        max_value=2000,
        help_text="Characters that a required reason needs, unless a tag is chosen.",
    )
    highlights = forms.BooleanField(
        initial=False,
        required=False,
        help_text="Let people mark passages of the responses, each with a tag.",
    )


class RationaleInput(PartInput):
    """Free text, tags, and marks as JSON."""

    rationale = forms.CharField(required=False, max_length=20_000, strip=True)

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.shown, self.choices = shown, options
        self.fields["tags"] = forms.MultipleChoiceField(
            choices=[(tag, tag) for tag in options["tags"]],
            required=False,
            error_messages={"invalid_choice": _("“%(value)s” is not one of the tags.")},
        )
        self.fields["highlights"] = forms.CharField(required=False, max_length=100_000)

    def clean_highlights(self) -> list[dict[str, Any]]:
        """Marks as `{response, start, end, tag}`: characters of the response as it is stored."""
        sent = self.cleaned_data["highlights"]
        if not sent:
            return []
        if not self.choices["highlights"]:
            raise forms.ValidationError(_("This campaign takes no marked passages."))
        try:
            marks = json.loads(sent)
        except (ValueError, RecursionError):
            marks = None
        if not isinstance(marks, list) or len(marks) > MOST_MARKS:
            said = _("Expected a list of at most %(most)s marks.") % {"most": MOST_MARKS}
            raise forms.ValidationError(said)
        return [self._mark(mark) for mark in marks]

    def _mark(self, mark: Any) -> dict[str, Any]:
        if not isinstance(mark, dict):
            raise forms.ValidationError(_("A mark is not {response, start, end, tag}."))
        letter, tag = mark.get("response"), mark.get("tag") or ""
        start: Any = mark.get("start")
        end: Any = mark.get("end")
        if not isinstance(letter, str) or len(letter) != 1 or letter not in self.shown.letters:
            said = _("A mark is in response “%(letter)s”, which is not shown.")
            raise forms.ValidationError(said % {"letter": str(letter)[:20]})
        at = self.shown.letters.index(letter)
        longest = len(self.shown.texts[at])
        whole = type(start) is int and type(end) is int
        if not whole or not 0 <= start < end <= longest:
            said = _(
                "A mark in %(letter)s runs from %(start)s to %(end)s; the response ends at "
                "%(longest)s."
            )
            named = {"letter": letter, "start": str(start)[:20], "end": str(end)[:20]}
            raise forms.ValidationError(said % {**named, "longest": longest})
        if tag and tag not in self.choices["tags"]:
            said = _("“%(value)s” is not one of the tags.")
            raise forms.ValidationError(said % {"value": str(tag)[:40]})
        return {"response": self.shown.order[at], "start": start, "end": end, "tag": tag}


class Rationale(Part):
    """Why: for people who read the data later, and for checks of attention."""

    name = "rationale"
    label = later("a reason")
    question = later("Why?")
    help = later("A few words, or tags.")
    template = "annotate/forms/rationale.html"
    least, most = 1, 10
    options = RationaleOptions

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return RationaleInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """The reason, if there is one; required as the campaign says."""
        if options["ask"] == "never":
            return Said()
        clean = self.inputs(data, shown=shown, options=options).read()
        text, tags = clean["rationale"], clean["tags"]
        if needed(options, lot=shown.lot, strength=so_far.strength) and not tags:
            shortest = options["shortest"]
            if len(text) < shortest:
                RationaleInput.refuse("rationale", _wanted(text, shortest, options))
        details = {"tags": tags, "highlights": clean["highlights"]}
        return Said(rationale=text, details={k: v for k, v in details.items() if v})

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What was written and chosen so far."""
        chosen = values.get("tags") or []
        ask = options["ask"]
        return {
            "asked": ask != "never",
            "required": needed(options, lot=shown.lot, strength=None),
            "when_extreme": ask == "extreme",
            "text": values.get("rationale") or "",
            "tags": [{"value": tag, "on": tag in chosen} for tag in options["tags"]],
            "marking": options["highlights"],
            "marks": values.get("highlights") or "",
        }


def needed(options: Options, *, lot: float, strength: int | None) -> bool:
    """Whether a reason is required of this answer."""
    if options["ask"] == "sampled":
        return bool(lot < options["share"])
    if options["ask"] == "extreme":
        return strength == STRONGEST
    return bool(options["ask"] == "always")


def _wanted(text: str, shortest: int, options: Options) -> str:
    if text:
        said = ngettext(
            "The reason has %(n)s character; it needs at least %(least)s.",
            "The reason has %(n)s characters; it needs at least %(least)s.",
            len(text),
        ) % {"n": len(text), "least": shortest}
    else:
        said = _("Say in a few words why; this question needs a reason.")
    return f"{said} {_('A tag does as well.')}" if options["tags"] else str(said)
