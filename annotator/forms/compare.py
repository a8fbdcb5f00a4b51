"""`compare`: which of two responses is better, and how clearly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from annotator.errors import InvalidAnswer

from .base import Answer, Outcome, Timing

# Value sent, label, strength. A is the response shown first (left, or on top on a phone).
SCALE = [
    ("a3", "A is much better", 3),
    ("a2", "A is clearly better", 2),
    ("a1", "A is slightly better", 1),
    ("tie", "They are equally good", 0),
    ("b1", "B is slightly better", 1),
    ("b2", "B is clearly better", 2),
    ("b3", "B is much better", 3),
]
OTHER = [
    ("neither", "Neither is good enough"),
    ("skip", "Skip"),
    ("flag", "Flag a problem"),
]
CHOICES = [(value, label) for value, label, _ in SCALE] + OTHER
LONGEST_TIMING_MS = 2_147_483_647


class CompareInput(forms.Form):
    """What the compare form may send."""

    choice = forms.ChoiceField(
        choices=CHOICES,
        error_messages={
            "required": "Choose one of the buttons first.",
            "invalid_choice": "“%(value)s” is not one of the answers: "
            + ", ".join(value for value, _ in CHOICES)
            + ".",
        },
    )
    rationale = forms.CharField(required=False, max_length=20_000, strip=True)
    first_action_ms = forms.IntegerField(required=False, min_value=0, max_value=LONGEST_TIMING_MS)
    active_ms = forms.IntegerField(required=False, min_value=0, max_value=LONGEST_TIMING_MS)

    def clean(self) -> dict[str, Any]:
        """A flag goes to a researcher, who needs a reason."""
        cleaned = super().clean() or {}
        if cleaned.get("choice") == "flag" and not cleaned.get("rationale"):
            self.add_error("rationale", "Say in a few words what is wrong, then flag again.")
        return cleaned


class Compare:
    """Two responses, a mirrored strength scale, and the outcomes that are no preference."""

    name = "compare"
    template = "annotate/forms/compare.html"

    def parse(
        self, data: Mapping[str, object], *, display_order: Sequence[int]
    ) -> tuple[Answer, Timing]:
        """Turn the button pressed into a weak order over response ids."""
        form = CompareInput(data)
        if not form.is_valid():
            raise InvalidAnswer(
                {name: [str(e) for e in errs] for name, errs in form.errors.items()}
            )
        clean = form.cleaned_data
        timing = Timing(clean["first_action_ms"], clean["active_ms"])
        return self._answer(clean["choice"], clean["rationale"], display_order), timing

    def _answer(self, choice: str, rationale: str, display_order: Sequence[int]) -> Answer:
        first, second = display_order
        both = ((first, second),)
        if choice in ("skip", "flag"):
            return Answer(Outcome(choice), rationale=rationale)
        if choice == "neither":
            return Answer(Outcome.NEITHER, both, acceptable=0, rationale=rationale)
        if choice == "tie":
            return Answer(Outcome.TIE, both, rationale=rationale)
        tiers = ((first,), (second,)) if choice[0] == "a" else ((second,), (first,))
        return Answer(Outcome.PREFERENCE, tiers, strength=int(choice[1]), rationale=rationale)
