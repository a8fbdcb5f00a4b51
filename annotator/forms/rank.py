"""`rank`: three to ten responses in tiers, best first; some may stay unranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import LETTERS, Options, Outcome, Part, PartInput, Said, Shown, tiers_by


class RankOptions(forms.Form):
    """What a campaign can choose."""

    ties = forms.BooleanField(
        initial=True, required=False, help_text="Several responses may share a place."
    )
    unranked = forms.BooleanField(
        initial=True,
        required=False,
        help_text="Responses may stay in the tray: not worth a place, or not to be judged.",
    )
    all_wrong = forms.BooleanField(
        initial=True, required=False, help_text="A box “none of them is good enough”."
    )


def field(letter: str) -> str:
    """The field with the place of a response."""
    return f"rank-{letter}"


class RankInput(PartInput):
    """A place for each response, 1 is best; empty is unranked."""

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.shown, self.choices = shown, options
        most = len(shown.order)
        for letter in shown.letters:
            said = _("%(letter)s: expected a place from 1 to %(most)s") % {
                "letter": letter,
                "most": most,
            }
            self.fields[field(letter)] = forms.IntegerField(
                required=False,
                min_value=1,
                max_value=most,
                error_messages={"invalid": said, "min_value": said, "max_value": said},
            )
        self.fields["all_wrong"] = forms.BooleanField(required=False)

    def clean(self) -> dict[str, Any]:
        """Foreign responses, missing places, and ties where there must be none."""
        clean = super().clean() or self.cleaned_data
        foreign = sorted(
            name
            for name in self.data
            if name.startswith("rank-") and name not in self.fields and self.data[name]
        )
        if foreign:
            raise forms.ValidationError(
                _("“%(name)s” is not one of these responses: %(known)s.")
                % {"name": foreign[0], "known": ", ".join(self.shown.letters)}
            )
        places = {x: clean[field(x)] for x in self.shown.letters if clean.get(field(x))}
        missing = [x for x in self.shown.letters if x not in places]
        if self.errors:
            return clean
        if clean.get("all_wrong") and not places:
            if not self.choices["all_wrong"]:
                raise forms.ValidationError(_("This campaign wants a ranking of the responses."))
            return clean
        if missing and not self.choices["unranked"]:
            raise forms.ValidationError(
                _("Give every response a place; missing: %(missing)s.")
                % {"missing": listed(missing)}
            )
        if len(places) < 2:
            raise forms.ValidationError(_("Give at least two responses a place."))
        shared = [x for x in places if list(places.values()).count(places[x]) > 1]
        if shared and not self.choices["ties"]:
            raise forms.ValidationError(
                _("%(shared)s share a place; give each its own.") % {"shared": listed(shared)}
            )
        return clean


def listed(letters: list[str]) -> str:
    """A, B and C."""
    if len(letters) == 1:
        return letters[0]
    return _("%(some)s and %(last)s") % {"some": ", ".join(letters[:-1]), "last": letters[-1]}


class Rank(Part):
    """Tiers by dragging, by arrow keys or by number."""

    name = "rank"
    label = later("rank three to ten responses")
    question = later("Rank the responses, best first")
    help = later(
        "Drag the letters, move them with the arrow keys, or type places: all three do the same. "
        "Equal places are a tie; what stays in the tray is unranked."
    )
    template = "annotate/forms/rank.html"
    card = "annotate/forms/rank_card.html"
    least, most = 3, 10
    options = RankOptions

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return RankInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """Equal places share a tier; numbers may be skipped."""
        del so_far
        clean = self.inputs(data, shown=shown, options=options).read()
        places = {
            pk: -clean[field(letter)]
            for letter, pk in zip(shown.letters, shown.order, strict=True)
            if clean[field(letter)]
        }
        if not places:
            unordered = {"uncompared": True}
            return Said((shown.order,), acceptable=0, outcome=Outcome.NEITHER, details=unordered)
        unranked = [pk for pk in shown.order if pk not in places]
        return Said(
            tiers_by(places, shown.order),
            acceptable=0 if clean["all_wrong"] else None,
            details={"unranked": unranked} if unranked else {},
        )

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The places given so far."""
        return {
            "places": [
                {
                    "letter": letter,
                    "name": field(letter),
                    "value": values.get(field(letter)) or "",
                }
                for letter in shown.letters
            ],
            "tiers": range(1, len(shown.order) + 1),
            "most": len(shown.order),
            "all_wrong": options["all_wrong"],
            "all_wrong_chosen": bool(values.get("all_wrong")),
            "letters": LETTERS,
        }
