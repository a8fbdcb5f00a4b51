"""What a native annotation states about the responses of its item: order, line, edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from annotator.forms import EDITED, Edit
from annotator.models import Annotation

Outcome = Annotation.Outcome
Tiers = list[list[int]]
OVERALL, ACCEPTABLE = "overall", "acceptable"
LOWER_IS_BETTER = ("penalty", "error")


@dataclass(frozen=True)
class Stated:
    """An annotation as it is recorded; without an order it is kept and teaches nothing.

    Attributes:
        tiers: The weak order in response ids; `EDITED` stands for what an edit made.
        acceptable: How many tiers are good enough.
        uncompared: Whether responses of one tier were left uncompared rather than found level.
        edit: The rewrite that stands in the order.
        outcome: Of the annotation.
    """

    tiers: Tiers | None = None
    acceptable: int | None = None
    uncompared: bool = False
    edit: Edit | None = None
    outcome: Outcome = Outcome.OTHER


def stated(said: Mapping[str, Any], places: Mapping[int, int], texts: Sequence[str]) -> Stated:
    """What an annotation states, where it is clear.

    A ranking, a choice or a tie is the order; where there is none, the ratings are: by the
    criterion `overall` if it is there and otherwise by the first; less is better where its name
    speaks of a penalty or errors. `ratings.acceptable` draws the line of good enough, unless a
    response above it is worse than one below. An edit is better than its original.

    Args:
        said: The annotation.
        places: Response id of each position.
        texts: Text of each position.
    """
    tiers = weak_order(said, places)
    picked = tiers is not None and not _ranked(said) and len(places) > 2
    found = Stated(tiers=tiers or _by_ratings(said, places), uncompared=picked or _left_open(said))
    return _with_edit(_with_line(found, _marks(said, places)), said, places, texts)


def weak_order(said: Mapping[str, Any], places: Mapping[int, int]) -> Tiers | None:
    """The tiers of a ranking, a choice or a tie, in response ids; None where there is none."""
    choice = said.get("choice")
    if _ranked(said):
        return _tiers(
            {n: -rank for n, rank in enumerate(said["ranking"]) if rank is not None}, places
        )
    if choice == "tie":
        return [sorted(places.values())]
    if isinstance(choice, int):
        return [[places[choice]], [pk for i, pk in sorted(places.items()) if i != choice]]
    return None


def _ranked(said: Mapping[str, Any]) -> bool:
    return any(rank is not None for rank in said.get("ranking") or [])


def _left_open(said: Mapping[str, Any]) -> bool:
    """Whether an export of ours says that tiers of several say nothing of their inside."""
    details = (said.get("meta") or {}).get("details")
    return isinstance(details, dict) and bool(details.get("uncompared"))


def _tiers(value: Mapping[int, float], places: Mapping[int, int]) -> Tiers:
    return [
        [places[n] for n in sorted(value) if value[n] == this]
        for this in sorted(set(value.values()), reverse=True)
    ]


def _numbers(said: Mapping[str, Any], name: str, responses: int) -> dict[int, float]:
    """The ratings by one criterion, by position; none where they are not one for each response."""
    values = (said.get("ratings") or {}).get(name)
    if not isinstance(values, list) or len(values) != responses:
        return {}
    return {
        n: value
        for n, value in enumerate(values)
        if isinstance(value, int | float) and (name == ACCEPTABLE or not isinstance(value, bool))
    }


def _by_ratings(said: Mapping[str, Any], places: Mapping[int, int]) -> Tiers | None:
    names = [name for name in said.get("ratings") or {} if name != ACCEPTABLE]
    if not names:
        return None
    name = OVERALL if OVERALL in names else names[0]
    sign = -1 if any(word in name.lower() for word in LOWER_IS_BETTER) else 1
    value = {n: sign * mark for n, mark in _numbers(said, name, len(places)).items()}
    return _tiers(value, places) if len(value) > 1 else None


def _marks(said: Mapping[str, Any], places: Mapping[int, int]) -> dict[int, bool]:
    """Which responses are good enough, where it is said with 1 or 0."""
    values = _numbers(said, ACCEPTABLE, len(places))
    return {places[n]: bool(mark) for n, mark in values.items() if mark in (0, 1)}


def _with_line(found: Stated, marks: Mapping[int, bool]) -> Stated:
    if found.tiers is not None:
        good = [{marks.get(pk) for pk in tier} for tier in found.tiers]
        above = next((n for n, said in enumerate(good) if said != {True}), len(good))
        clear = bool(marks) and all(said == {False} for said in good[above:])
        outcome = Outcome.TIE if len(found.tiers) == 1 else Outcome.PREFERENCE
        return replace(found, acceptable=above if clear else None, outcome=outcome)
    tiers = [[pk for pk in marks if marks[pk] is good] for good in (True, False)]
    tiers = [tier for tier in tiers if tier]
    if not tiers:
        return found
    outcome = Outcome.PREFERENCE if len(tiers) > 1 else Outcome.OTHER
    above = int(any(marks.values()))
    if not above and len(marks) > 1:
        outcome = Outcome.NEITHER
    return Stated(tiers, acceptable=above, uncompared=len(marks) > 1, outcome=outcome)


def _with_edit(
    found: Stated, said: Mapping[str, Any], places: Mapping[int, int], texts: Sequence[str]
) -> Stated:
    """The order with an edit above its original, where it is clear who else is below it."""
    given = said.get("edit") or {}
    place, text = given.get("response"), given.get("text")
    if type(place) is not int or place not in places or not isinstance(text, str):
        return found
    of, tiers = places[place], found.tiers
    if not text.strip():
        return found
    if text.strip() == texts[place].strip():  # looked at, and left as it is
        alone = Stated([[of]], acceptable=1, outcome=Outcome.OTHER)
        return alone if tiers is None else found
    if tiers is not None and tiers[0] != [of]:
        return found
    edit = Edit(of, text)
    above = found.acceptable + 1 if found.acceptable else None
    return replace(
        found,
        tiers=[[EDITED], *(tiers or [[of]])],
        acceptable=above,
        edit=edit,
        outcome=Outcome.PREFERENCE,
    )
