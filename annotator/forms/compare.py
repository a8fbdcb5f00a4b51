"""`compare`: which of two responses is better, and how clearly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import Options, Outcome, Part, PartInput, Said, Shown, WordsField

SLIGHTLY = later("%(letter)s is slightly better")
CLEARLY = later("%(letter)s is clearly better")
LABELS = {
    1: [later("%(letter)s is better")],
    2: [SLIGHTLY, CLEARLY],
    3: [SLIGHTLY, CLEARLY, later("%(letter)s is much better")],
}
# What is stored, 1 to 3, for each level of the row.
STRENGTH: dict[int, list[int | None]] = {1: [None], 2: [1, 3], 3: [1, 2, 3]}
CONFIDENCE = [("1", later("A guess")), ("2", later("Fairly sure")), ("3", later("Sure"))]
ASPECT_STEPS = [("a", "A"), ("tie", "="), ("b", "B")]


class CompareOptions(forms.Form):
    """What a campaign can choose."""

    steps = forms.TypedChoiceField(
        choices=[
            (7, "7: three strengths each, and a tie"),
            (6, "6: three strengths each, no tie"),
            (5, "5: two strengths each, and a tie"),
            (4, "4: two strengths each, no tie"),
            (3, "3: A, tie or B"),
            (2, "2: A or B"),
        ],
        coerce=int,
        initial=7,
        help_text="Buttons in the row of strengths.",
    )
    neither = forms.BooleanField(
        initial=True, required=False, help_text="A button “neither is good enough”."
    )
    both_good = forms.BooleanField(
        initial=False, required=False, help_text="A button “both are good”."
    )
    aspects = WordsField(
        initial=[],
        required=False,
        most=8,
        help_text="Criteria compared one by one besides, such as helpful, truthful, harmless.",
    )
    confidence = forms.BooleanField(
        initial=False, required=False, help_text="Ask how sure the person is."
    )


@dataclass(frozen=True)
class Button:
    """One button of the row."""

    value: str
    label: str
    side: str  # a, b or tie
    strength: int  # 0 for the tie, then 1 to 3: how strong it looks
    marks: int
    action: str  # its name among the keys, or two


def scale(steps: int) -> list[Button]:
    """The mirrored row: A's buttons from the clearest on, the tie where there is one, B's."""
    levels, tie = steps // 2, steps % 2 == 1
    looks = {1: [2], 2: [1, 3], 3: [1, 2, 3]}[levels]

    def one(letter: str, level: int, place: int) -> Button:
        label = LABELS[levels][level - 1] % {"letter": letter}
        side = letter.lower()
        return Button(f"{side}{level}", label, side, looks[level - 1], level, f"choice.{place}")

    down, up = range(levels, 0, -1), range(1, levels + 1)
    left = [one("A", level, place) for place, level in enumerate(down, start=1)]
    level_with = Button("tie", _("They are equally good"), "tie", 0, 0, f"choice.{levels + 1} tie")
    middle = [level_with] if tie else []
    first = levels + tie + 1
    return [*left, *middle, *(one("B", level, place) for place, level in enumerate(up, first))]


def others(options: Options) -> list[tuple[str, str]]:
    """Outcomes beside the row that are an answer."""
    found = []
    if options["both_good"]:
        found.append(("both", _("Both are good")))
    if options["neither"]:
        found.append(("neither", _("Neither is good enough")))
    return found


def aspect_name(number: int) -> str:
    """Field of the aspect of this number; aspects may be called anything."""
    return f"aspect-{number}"


class CompareInput(PartInput):
    """What the form may send. `choice` is the button pressed; `verdict` the one chosen before."""

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        values = [(b.value, b.label) for b in scale(options["steps"])] + others(options)
        self.known = ", ".join(value for value, _ in values)
        self.fields["verdict"] = forms.ChoiceField(
            choices=values,
            error_messages={
                "required": _("Choose one of the buttons first."),
                "invalid_choice": _("“%(value)s” is not one of the answers: %(known)s.")
                % {"value": "%(value)s", "known": self.known},
            },
        )
        for number, aspect in enumerate(options["aspects"]):
            self.fields[aspect_name(number)] = forms.ChoiceField(
                choices=ASPECT_STEPS,
                error_messages={
                    "required": _("Which one is more %(aspect)s?") % {"aspect": aspect}
                },
            )
        if options["confidence"]:
            self.fields["confidence"] = forms.ChoiceField(
                choices=CONFIDENCE, error_messages={"required": _("How sure are you?")}
            )


class Compare(Part):
    """Two responses, a mirrored strength scale, and the outcomes that are no preference."""

    name = "compare"
    label = later("compare two responses")
    question = later("Which response is better?")
    help = later(
        "Choose along the row: the further out, the clearer. Nothing is chosen beforehand."
    )
    template = "annotate/forms/compare.html"
    least, most = 2, 2
    options = CompareOptions

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return CompareInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """Turn the button pressed into a weak order over response ids."""
        del so_far
        pressed = data.get("verdict") or data.get("choice")
        clean = self.inputs({**data, "verdict": pressed}, shown=shown, options=options).read()
        said = self._order(clean["verdict"], shown, options)
        details: dict[str, Any] = dict(said.details)
        if options["aspects"]:
            details["aspects"] = {
                aspect: self._winner(clean[aspect_name(number)], shown)
                for number, aspect in enumerate(options["aspects"])
            }
        if options["confidence"]:
            details["confidence"] = int(clean["confidence"])
        return Said(
            tiers=said.tiers,
            acceptable=said.acceptable,
            strength=said.strength,
            outcome=said.outcome,
            details=details,
        )

    def _order(self, verdict: str, shown: Shown, options: Options) -> Said:
        first, second = shown.order
        both = ((first, second),)
        if verdict == "neither":
            unordered = {"uncompared": True}  # both are bad: nobody said that they are level
            return Said(both, acceptable=0, outcome=Outcome.NEITHER, details=unordered)
        if verdict == "both":
            return Said(both, acceptable=1, outcome=Outcome.TIE)
        if verdict == "tie":
            return Said(both, outcome=Outcome.TIE)
        levels, level = options["steps"] // 2, int(verdict[1])
        tiers = ((first,), (second,)) if verdict[0] == "a" else ((second,), (first,))
        return Said(
            tiers,
            strength=STRENGTH[levels][level - 1],
            outcome=Outcome.PREFERENCE,
            details={"level": level, "levels": levels},
        )

    def _winner(self, value: str, shown: Shown) -> int | str:
        return "tie" if value == "tie" else shown.order["ab".index(value)]

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The row, the outcomes beside it, aspects and confidence with what was chosen."""
        del shown
        chosen = values.get("verdict") or values.get("choice")
        return {
            "scale": scale(options["steps"]),
            "others": others(options),
            "verdict": chosen,
            "aspects": [
                {
                    "name": aspect_name(number),
                    "label": aspect,
                    "steps": ASPECT_STEPS,
                    "value": values.get(aspect_name(number)),
                }
                for number, aspect in enumerate(options["aspects"])
            ],
            "confidence": CONFIDENCE if options["confidence"] else [],
            "sure": values.get("confidence"),
        }
