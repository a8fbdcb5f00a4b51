"""Several parts as one question: asked one after the other, answered as one weak order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as later

from annotator.errors import InvalidAnswer, InvalidInput

from .accept import Accept
from .base import EDITED, Answer, Options, Outcome, Part, PartInput, Said, Shown, Tiers, Timing
from .best_worst import BestWorst
from .compare import Compare
from .edit import Rewrite
from .rank import Rank
from .rate import Rate
from .rationale import Rationale

FORMS: dict[str, Part] = {
    part.name: part for part in (Compare(), Rank(), BestWorst(), Rate(), Accept(), Rewrite())
}
RATIONALE = Rationale()
PARTS: dict[str, Part] = {**FORMS, RATIONALE.name: RATIONALE}
ASIDE = {"skip": later("Skip"), "flag": later("Flag a problem")}
LONGEST_TIMING_MS = 2_147_483_647


@dataclass(frozen=True)
class Step:
    """One part with the options a campaign chose."""

    part: Part
    options: Options


def sequence(names: Sequence[str], chosen: Mapping[str, Options]) -> tuple[Step, ...]:
    """The steps of a question, the rationale last; options left out are the defaults."""
    steps = (
        Step(PARTS[name], defaults(name) | dict(chosen.get(name, {})))
        for name in (*names, RATIONALE.name)
    )
    return tuple(_without_line(step) if Accept.name in names else step for step in steps)


def _without_line(step: Step) -> Step:
    """A comparison does not ask what `accept` asks about each response."""
    off = {name: False for name in ("neither", "both_good") if name in step.options}
    return Step(step.part, dict(step.options) | off)


def defaults(name: str) -> dict[str, Any]:
    """The options of a part where a campaign chose nothing."""
    return {name: field.initial for name, field in PARTS[name].options.base_fields.items()}


def checked(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from the defaults.

    Raises:
        InvalidInput: an option is unknown or has a value that it cannot have.
    """
    known = PARTS[name].options.base_fields
    if unknown := sorted(set(given) - set(known)):
        listed = ", ".join(known) or "none"
        raise InvalidInput(f"{name}: there is no option {unknown[0]!r}; there are: {listed}")
    usual = defaults(name)
    form = PARTS[name].options({**usual, **given})
    if not form.is_valid():
        field, said = next(iter(form.errors.items()))
        raise InvalidInput(f"{name}, {field}: {' '.join(str(s) for s in said)}")
    return {key: value for key, value in form.cleaned_data.items() if value != usual[key]}


def sizes(names: Sequence[str]) -> tuple[int, int]:
    """Least and most responses that all of these forms can be asked about."""
    parts = [FORMS[name] for name in names]
    return max(part.least for part in parts), min(part.most for part in parts)


class TimingInput(PartInput):
    """What the browser measured."""

    first_action_ms = forms.IntegerField(required=False, min_value=0, max_value=LONGEST_TIMING_MS)
    active_ms = forms.IntegerField(required=False, min_value=0, max_value=LONGEST_TIMING_MS)


class AsideInput(PartInput):
    """A skip or a flag: a flag goes to a researcher, who needs a reason."""

    choice = forms.ChoiceField(choices=list(ASIDE.items()))
    rationale = forms.CharField(required=False, max_length=20_000, strip=True)

    def clean(self) -> dict[str, Any]:
        """A flag says why."""
        clean = super().clean() or self.cleaned_data
        if clean.get("choice") == "flag" and not clean.get("rationale"):
            self.add_error("rationale", _("Say in a few words what is wrong, then flag again."))
        return clean


def parse(data: Mapping[str, Any], *, steps: Sequence[Step], shown: Shown) -> tuple[Answer, Timing]:
    """Validate what was sent for all parts, and put it together.

    Raises:
        InvalidAnswer: with the messages of every part, by field.
    """
    timing = Timing(**TimingInput(data).read())
    if data.get("choice") in ASIDE:
        clean = AsideInput(data).read()
        return Answer(Outcome(clean["choice"]), rationale=clean["rationale"]), timing
    errors: dict[str, list[str]] = {}
    so_far, details = Said(), dict[str, Any]()
    for step in steps:
        try:
            said = step.part.parse(data, shown=shown, options=step.options, so_far=so_far)
            so_far = joined(so_far, said, shown)
        except InvalidAnswer as error:
            errors |= error.fields
            continue
        if said.details:
            details[step.part.name] = dict(said.details)
    if errors:
        raise InvalidAnswer(errors)
    return _answer(so_far, details), timing


def joined(so_far: Said, said: Said, shown: Shown) -> Said:
    """What is known after one more part. The first order stands; later ones may extend it."""
    tiers, acceptable = so_far.tiers, so_far.acceptable
    if said.edit is not None or tiers is None:
        tiers = said.tiers
    if said.good is not None and so_far.tiers is not None:
        acceptable = line(so_far.tiers, said.good, shown)
    elif said.edit is not None and so_far.tiers is not None:
        acceptable = _line_with_edit(tiers, so_far)
    elif acceptable is None and tiers == said.tiers:
        acceptable = said.acceptable
    return Said(
        tiers=tiers,
        acceptable=acceptable,
        strength=so_far.strength if so_far.strength is not None else said.strength,
        outcome=said.outcome if said.edit is not None else so_far.outcome or said.outcome,
        edit=said.edit or so_far.edit,
        rationale=said.rationale or so_far.rationale,
    )


def _line_with_edit(tiers: Tiers | None, before: Said) -> int | None:
    """How many tiers are good enough once the edit has joined them; None where nobody said so.

    An edit goes on until the person would send it: on top it is good enough. Above a response
    that is, it is, too.
    """
    line, order = before.acceptable, tiers or ()
    place = next(n for n, tier in enumerate(order) if EDITED in tier)
    if line is None or (place >= line and order[0] != (EDITED,)):
        return None
    return line + len(order) - len(before.tiers or ())


def line(tiers: Tiers, good: frozenset[int], shown: Shown) -> int:
    """How many tiers are good enough, when the line must run between tiers.

    Raises:
        InvalidAnswer: a response is good enough and one that was put above it is not.
    """
    ranked = [tier for tier in tiers if any(pk in shown.order for pk in tier)]
    above = 0
    for number, tier in enumerate(ranked, start=1):
        if all(pk in good for pk in tier) and above == number - 1:
            above = number
        elif any(pk in good for pk in tier):
            name = shown.letters[shown.order.index(next(pk for pk in tier if pk in good))]
            said = _(
                "%(letter)s is good enough, and something that you put level with it or above it "
                "is not."
            ) % {"letter": name}
            raise InvalidAnswer({f"good-{name}": [said]})
    return above


def _answer(said: Said, details: dict[str, Any]) -> Answer:
    if any(part.get("uncompared") for part in details.values()):
        details["uncompared"] = True  # tiers of several say nothing about their inside
    return Answer(
        outcome=said.outcome or _outcome(said.tiers),
        tiers=said.tiers,
        acceptable=said.acceptable,
        strength=said.strength,
        rationale=said.rationale,
        edit=said.edit,
        details=details,
    )


def _outcome(tiers: Tiers | None) -> Outcome:
    if tiers is None or sum(len(tier) for tier in tiers) < 2:
        return Outcome.OTHER
    return Outcome.TIE if len(tiers) == 1 else Outcome.PREFERENCE
