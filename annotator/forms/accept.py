"""`accept`: is each response good enough? After a ranking: where the line runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import Options, Outcome, Part, PartInput, Said, Shown

YES_NO = [("yes", later("Good enough")), ("no", later("Not good enough"))]


def field(letter: str) -> str:
    """The field that says whether a response is good enough."""
    return f"good-{letter}"


class AcceptInput(PartInput):
    """Yes or no for each response."""

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        for letter in shown.letters:
            self.fields[field(letter)] = forms.ChoiceField(
                choices=YES_NO,
                error_messages={
                    "required": _("%(letter)s: is it good enough?") % {"letter": letter},
                    "invalid_choice": _("%(letter)s: expected yes or no, got “%(value)s”.")
                    % {"letter": letter, "value": "%(value)s"},
                },
            )


class Accept(Part):
    """The line of good enough."""

    name = "accept"
    label = later("good enough or not")
    question = later("Which responses are good enough?")
    help = later("Good enough: you would send it as it is.")
    card = "annotate/forms/accept_card.html"
    least, most = 1, 10

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return AcceptInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """Two tiers with the line between them; an order that came before keeps its tiers."""
        clean = self.inputs(data, shown=shown, options=options).read()
        pairs = zip(shown.letters, shown.order, strict=True)
        good = frozenset(pk for letter, pk in pairs if clean[field(letter)] == "yes")
        bad = tuple(pk for pk in shown.order if pk not in good)
        above = tuple(pk for pk in shown.order if pk in good)
        alone = len(shown.order) > 1 and so_far.tiers is None  # it alone says what is better
        return Said(
            tuple(tier for tier in (above, bad) if tier),
            acceptable=1 if above else 0,
            good=good,
            outcome=_outcome(above, bad) if alone else None,
            details={"uncompared": True} if alone else {},
        )

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Two buttons a response."""
        return {
            "rows": [
                {"letter": letter, "name": field(letter), "value": values.get(field(letter))}
                for letter in shown.letters
            ],
            "choices": [(value, label, f"good.{value}") for value, label in YES_NO],
        }


def _outcome(above: tuple[int, ...], bad: tuple[int, ...]) -> Outcome:
    """Where all are good, nothing was compared: that is no tie."""
    if not above:
        return Outcome.NEITHER
    return Outcome.PREFERENCE if bad else Outcome.OTHER
