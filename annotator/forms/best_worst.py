"""`best_worst`: the best and the worst of three to six responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import Options, Part, PartInput, Said, Shown, not_one_of, position


class BestWorstInput(PartInput):
    """Two letters."""

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        choices = [(letter, letter) for letter in shown.letters]
        for name, wanted in (
            ("best", _("Choose the best response.")),
            ("worst", _("Choose the worst response.")),
        ):
            self.fields[name] = forms.ChoiceField(
                choices=choices,
                error_messages={
                    "required": wanted,
                    "invalid_choice": not_one_of(shown.letters),
                },
            )

    def clean(self) -> dict[str, Any]:
        """One response cannot be both."""
        clean = super().clean() or self.cleaned_data
        if clean.get("best") and clean.get("best") == clean.get("worst"):
            self.add_error(
                "worst",
                _("%(letter)s cannot be the best and the worst.") % {"letter": clean["best"]},
            )
        return clean


class BestWorst(Part):
    """Two choices that say most about a set: 2k - 3 of its pairs."""

    name = "best_worst"
    label = later("pick the best and the worst of three to six")
    question = later("Which one is best, and which one is worst?")
    help = later("Everything in between counts as between; its order is left open.")
    template = "annotate/forms/best_worst.html"
    least, most = 3, 6

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return BestWorstInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """Best, the rest together, worst."""
        del so_far
        clean = self.inputs(data, shown=shown, options=options).read()
        best, worst = position(clean["best"], shown), position(clean["worst"], shown)
        middle = tuple(pk for pk in shown.order if pk not in (best, worst))
        # The middle is one tier because its order was not asked for, not because it is level.
        return Said(((best,), middle, (worst,)), details={"uncompared": True})

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The letters with what is chosen."""
        return {
            "letters": [(letter, f"choice.{n}") for n, letter in enumerate(shown.letters, start=1)],
            "groups": [
                ("best", _("Best"), values.get("best")),
                ("worst", _("Worst"), values.get("worst")),
            ],
        }
