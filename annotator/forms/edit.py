"""`edit`: rewrite a response until it is good; what was changed, and why, is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from .base import (
    EDITED,
    Edit,
    Options,
    Outcome,
    Part,
    PartInput,
    Said,
    Shown,
    Tiers,
    WordsField,
    not_one_of,
    position,
    shown_words,
)

REASONS = {
    "incorrect": later("incorrect"),
    "incomplete": later("incomplete"),
    "unclear": later("unclear"),
    "too long": later("too long"),
    "tone": later("tone"),
    "format": later("format"),
    "unsafe": later("unsafe"),
}
NOW = [
    ("edit", later("The edited one is better")),
    ("same", later("They are equally good now")),
    ("other", later("The other one is better still")),
]


class EditOptions(forms.Form):
    """What a campaign can choose."""

    reasons = WordsField(
        initial=list(REASONS),
        required=False,
        help_text="Why something was edited: chips to choose from.",
    )
    unchanged = forms.BooleanField(
        initial=True,
        required=False,
        help_text="A box “nothing to change”: the response is good enough as it is.",
    )


class EditInput(PartInput):
    """Which response, its new text, why, and how it compares with the other one now."""

    unchanged = forms.BooleanField(required=False)
    edit_text = forms.CharField(required=False, strip=False, max_length=1_000_000)

    def __init__(self, shown: Shown, options: Options, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.shown, self.choices = shown, options
        self.fields["edit_of"] = forms.ChoiceField(
            choices=[(letter, letter) for letter in shown.letters],
            required=len(shown.order) > 1,
            error_messages={
                "required": _("Choose the response to edit."),
                "invalid_choice": not_one_of(shown.letters),
            },
        )
        self.fields["edit_reasons"] = forms.MultipleChoiceField(
            choices=[(reason, reason) for reason in options["reasons"]],
            required=False,
            error_messages={"invalid_choice": _("“%(value)s” is not one of the reasons.")},
        )
        self.fields["edit_now"] = forms.ChoiceField(choices=NOW, required=False)

    def clean(self) -> dict[str, Any]:
        """An edit changes something, and leaves something."""
        clean = super().clean() or self.cleaned_data
        letter = clean.get("edit_of") or self.shown.letters[0]
        clean["edit_of"] = letter
        if self.errors:
            return clean
        if clean["unchanged"]:
            if not self.choices["unchanged"]:
                self.add_error("unchanged", _("This campaign wants an edit."))
            return clean
        original = self.shown.texts[self.shown.letters.index(letter)]
        text = unix(clean["edit_text"])
        if not text.strip():
            self.add_error("edit_text", _("The edited response is empty."))
        elif text.strip() == unix(original).strip():
            said = _("Nothing was changed.")
            if self.choices["unchanged"]:
                said += " " + _("If the response is good as it is, choose “Nothing to change”.")
            self.add_error("edit_text", said)
        clean["edit_text"] = text
        return clean


def unix(text: str) -> str:
    """Browsers send line ends as CR LF; responses have what they were imported with."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Rewrite(Part):
    """A rewrite; the edit is better than the original, and a new response."""

    name = "edit"
    label = later("rewrite a response")
    question = later("Edit the response until you would send it")
    help = later("The changes are marked as you type. Say why, and what is better now.")
    template = "annotate/forms/edit.html"
    least, most = 1, 10
    options = EditOptions

    def inputs(self, data: Mapping[str, Any], *, shown: Shown, options: Options) -> PartInput:
        """The fields that it reads of what was sent."""
        return EditInput(shown, options, data)

    def parse(
        self, data: Mapping[str, Any], *, shown: Shown, options: Options, so_far: Said
    ) -> Said:
        """`edited > original`, put into the order that came before."""
        clean = self.inputs(data, shown=shown, options=options).read()
        of = position(clean["edit_of"], shown)
        if clean["unchanged"]:
            alone = None if so_far.tiers else ((of,),)
            return Said(alone, acceptable=1 if alone else None, details={"unchanged": of})
        now = clean["edit_now"]
        details = {"of": of, "reasons": clean["edit_reasons"], "now": now or None}
        if so_far.tiers is None:
            tiers = self._alone(of, now, shown)
            others = len(shown.order) - 1
            details |= {"uncompared": True} if others > 1 or (others and now == "edit") else {}
        else:
            tiers = self._after(of, now, shown, so_far.tiers)
        return Said(
            tiers, outcome=Outcome.PREFERENCE, edit=Edit(of, clean["edit_text"]), details=details
        )

    def _alone(self, of: int, now: str, shown: Shown) -> Tiers:
        """The order of an edit that nothing came before; what was not said is left out."""
        others = tuple(pk for pk in shown.order if pk != of)
        if now == "edit":
            return ((EDITED,), (of, *others))
        if now == "same":
            return ((EDITED, *others), (of,))
        return (others, (EDITED,), (of,)) if now == "other" else ((EDITED,), (of,))

    def _after(self, of: int, now: str, shown: Shown, before: Tiers) -> Tiers:
        """The order that came before, with the edit in its place.

        Raises:
            InvalidAnswer: it is not said where the edit stands, or against the order before.
        """
        place = next((n for n, tier in enumerate(before) if of in tier), len(before))
        if place == 0 and len(before[0]) == 1:  # it was the best already
            if now in ("same", "other"):
                letter = shown.letters[shown.order.index(of)]
                said = _("You put %(letter)s first, and the edit makes it better still.") % {
                    "letter": letter
                }
                EditInput.refuse("edit_now", said)
            return ((EDITED,), *before)
        if not now and len(shown.order) > 1:
            EditInput.refuse("edit_now", _("Which one is better now?"))
        if now == "edit":
            return ((EDITED,), *before)
        if now == "same":
            top = tuple(pk for pk in before[0] if pk != of)
            rest = ((of,),) if of in before[0] else ()
            return ((*top, EDITED), *rest, *before[1:])
        if of in before[0]:  # tied with the best: the others stay above the edit
            top = tuple(pk for pk in before[0] if pk != of)
            return (top, (EDITED,), (of,), *before[1:])
        return (*before[:place], (EDITED,), *before[place:])

    def context(
        self, *, shown: Shown, options: Options, values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The text as far as it is written, and the chips."""
        chosen = values.get("edit_reasons") or []
        several = len(shown.order) > 1
        return {
            "of": values.get("edit_of") or ("" if several else "A"),
            "letters": shown.letters,
            "several": several,
            "text": values.get("edit_text") or "",
            "originals": shown.texts,
            "reasons": [
                {"value": reason, "label": label, "on": reason in chosen}
                for reason, label in zip(
                    options["reasons"], shown_words(options["reasons"], REASONS), strict=True
                )
            ],
            "now": NOW if several else [],
            "now_value": values.get("edit_now"),
            "unchanged": options["unchanged"],
            "unchanged_chosen": bool(values.get("unchanged")),
        }
