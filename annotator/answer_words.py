"""What somebody answered, in words: "A better than B, clearly", "B > A = D; E unranked".

Responses go by the letters under which that person saw them. Nothing here says where a question
came from, or what anybody else answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from annotator.forms.edit import REASONS
from annotator.forms.rate import ASPECTS

LETTERS: Final = "ABCDEFGHIJ"
FIRST_LINE = 140  # characters
# By how many strengths the row had: what each is called.
CLEARLY: Final[Mapping[int, tuple[str, ...]]] = {
    1: ("",),
    2: ("slightly", "clearly"),
    3: ("slightly", "clearly", "much"),
}


@dataclass(frozen=True)
class Told:
    """One recorded answer, as far as words need it.

    Attributes:
        forms: What was asked, in order: the form and those that followed it.
        order: Response ids as shown, A first.
        outcome, tiers, acceptable, strength, rationale, details: As in `Annotation`.
        options: By form, those in which the question differed from the defaults.
    """

    forms: Sequence[str]
    order: Sequence[int]
    outcome: str
    tiers: Sequence[Sequence[int]] | None = None
    acceptable: int | None = None
    strength: int | None = None
    rationale: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def chose(self, form: str, option: str) -> bool:
        """Whether the campaign has words of its own there, which nobody translates."""
        return option in self.options.get(form, {})

    def name(self, response: int) -> str:
        """The letter of a response; of one that an edit made, the letter it was made from."""
        if response in self.order:
            return LETTERS[self.order.index(response)]
        edited = self.details.get("edit", {}).get("of")
        if edited in self.order:
            return _("%(letter)s edited") % {"letter": LETTERS[self.order.index(edited)]}
        return "?"

    @property
    def asked_order(self) -> list[list[int]]:
        """The weak order over what was shown, without what an edit added."""
        tiers = [[pk for pk in tier if pk in self.order] for tier in self.tiers or []]
        return [tier for tier in tiers if tier]

    @property
    def good(self) -> list[int]:
        """What of it is above the line of good enough."""
        above = (self.tiers or [])[: self.acceptable or 0]
        return [pk for tier in above for pk in tier if pk in self.order]

    def names(self, responses: Sequence[int]) -> list[str]:
        """Letters in the order of the page; an edit behind them."""
        return sorted((self.name(pk) for pk in responses), key=lambda said: (len(said) > 1, said))


def in_words(told: Told) -> list[str]:
    """One phrase for each thing that was asked and answered, the most important first."""
    if told.outcome == "skip":
        return [_("Skipped")]
    if told.outcome == "flag":
        return [_("Flagged: %(reason)s") % {"reason": told.rationale or "–"}]
    if told.outcome == "undone":
        return [_("Taken back")]
    phrases = ORDER[told.forms[0]](told) if told.forms[0] in ORDER else []
    phrases += [phrase for form in told.forms if form in SAY for phrase in SAY[form](told)]
    return phrases or [_("Answered")]


def _compare(told: Told) -> list[str]:
    part = told.details.get("compare", {})
    found = []
    for aspect, winner in part.get("aspects", {}).items():
        said = _("equal") if winner == "tie" else told.name(winner)
        found.append(f"{aspect}: {said}")
    if part.get("confidence"):
        sure = {1: _("a guess"), 2: _("fairly sure"), 3: _("sure")}
        found.append(sure.get(part["confidence"], ""))
    return [phrase for phrase in found if phrase]


def _compared(told: Told) -> list[str]:
    """Of the two that were compared; an edit that came later is told by itself."""
    tiers = told.asked_order
    if len(tiers) < 2:
        said = _("A and B equally good")
        if told.acceptable is not None and "accept" not in told.forms:
            said = _("Both are good") if told.good else _("Neither is good enough")
        return [said]
    names = {"better": told.name(tiers[0][0]), "worse": told.name(tiers[1][0])}
    said, strength = _("%(better)s better than %(worse)s") % names, _strength(told)
    return [f"{said}, {strength}" if strength else said]


def _strength(told: Told) -> str:
    part = told.details.get("compare", {})
    level, levels = part.get("level", told.strength), part.get("levels", 3)
    named = CLEARLY.get(levels, ())
    word = named[level - 1] if level and level <= len(named) else ""
    return {"slightly": _("slightly"), "clearly": _("clearly"), "much": _("much")}.get(word, "")


def _rank(told: Told) -> list[str]:
    """B > A = D > C."""
    none = told.acceptable is not None and not told.good and "accept" not in told.forms
    if none and len(told.asked_order) < 2:
        return [_("None of them is good enough")]
    chain = " > ".join(" = ".join(told.names(tier)) for tier in told.asked_order)
    unranked = told.details.get("rank", {}).get("unranked", [])
    found = [chain]
    if unranked:
        found.append(_("%(letters)s unranked") % {"letters": ", ".join(told.names(unranked))})
    return [*found, _("none of them is good enough")] if none else found


def _best_worst(told: Told) -> list[str]:
    tiers = told.asked_order
    if len(tiers) < 2:
        return []
    names = {"best": told.name(tiers[0][0]), "worst": told.name(tiers[-1][0])}
    return [_("%(best)s best, %(worst)s worst") % names]


def _rate(told: Told) -> list[str]:
    part = told.details.get("rate", {})
    own = {} if told.chose("rate", "aspects") else ASPECTS
    found = [
        f"{own.get(aspect, aspect)}: {_marks(told, marks)}"
        for aspect, marks in part.get("ratings", {}).items()
    ]
    for thumb, said in (("up", _("%(letters)s good")), ("down", _("%(letters)s bad"))):
        these = [int(pk) for pk, given in part.get("thumbs", {}).items() if given == thumb]
        if these:
            found.append(said % {"letters": ", ".join(told.names(these))})
    return found


def _marks(told: Told, marks: Mapping[str, int]) -> str:
    named = sorted((told.name(int(pk)), mark) for pk, mark in marks.items())
    return ", ".join(f"{letter} {mark}" for letter, mark in named)


def _accept(told: Told) -> list[str]:
    good = told.good
    if told.acceptable is None:
        return []
    if len(told.order) == 1:
        return [_("Good enough") if good else _("Not good enough")]
    said = _("%(good)s of %(all)s good enough") % {"good": len(good), "all": len(told.order)}
    return [f"{said}: {', '.join(told.names(good))}" if good else said]


def _edit(told: Told) -> list[str]:
    part = told.details.get("edit", {})
    if "unchanged" in part:
        letter = {"letter": told.name(part["unchanged"])}
        return [_("Nothing to change in %(letter)s") % letter]
    if "of" not in part:
        return []
    now = {
        "edit": _("it is the better one now"),
        "same": _("they are equally good now"),
        "other": _("the other one is still better"),
    }
    said = _("Edited %(letter)s") % {"letter": told.name(part["of"])}
    own = {} if told.chose("edit", "reasons") else REASONS
    reasons = ", ".join(str(own.get(reason, reason)) for reason in part.get("reasons") or [])
    found = [f"{said} ({reasons})" if reasons else said]
    return [*found, now[part["now"]]] if part.get("now") in now else found


# The order is that of the form that came first; the others tell what they asked besides.
ORDER: Final[Mapping[str, Callable[[Told], list[str]]]] = {
    "compare": _compared,
    "rank": _rank,
    "best_worst": _best_worst,
}
SAY: Final[Mapping[str, Callable[[Told], list[str]]]] = {
    "compare": _compare,
    "rate": _rate,
    "accept": _accept,
    "edit": _edit,
}


def verdict(told: Told) -> str:
    """The button of `compare` that says this; empty where none does."""
    tiers = told.asked_order
    if len(told.order) != 2 or not tiers:
        return ""
    if len(tiers) == 1:
        if told.acceptable is None or "accept" in told.forms:
            return "tie"
        return "both" if told.good else "neither"
    level = told.details.get("compare", {}).get("level") or told.strength or 1
    return f"{'ab'[told.order.index(tiers[0][0])]}{level}"


def first_line(text: str) -> str:
    """The first line that says something, shortened."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = " ".join(line.split())
    return line if len(line) <= FIRST_LINE else f"{line[: FIRST_LINE - 1].rstrip()}…"
