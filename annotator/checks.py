"""Reads about checks of people: keys, practice, the test, and for researchers gold and repeats."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from annotator.answer_words import LETTERS, Told, in_words
from annotator.models import Annotation, Annotator, Assignment, Campaign, GoldAnswer, Membership
from annotator.services.quality import (
    Expected,
    advice,
    agrees,
    chance_below,
    same_again,
    slip_rate,
    wilson,
)

PRACTICE, QUALIFICATION = GoldAnswer.Purpose.PRACTICE, GoldAnswer.Purpose.QUALIFICATION
OPEN = Assignment.State.OPEN
Said = tuple[Sequence[Sequence[int]] | None, int | None]


def expected(key: GoldAnswer) -> Expected:
    """The key as the rules read it."""
    return Expected(key.tiers, {int(pk): value for pk, value in key.good.items()})


def as_expected(key: GoldAnswer, said: Annotation) -> bool:
    """Whether an answer meets its key; a skip or a flag never does."""
    if said.outcome in (Annotation.Outcome.SKIP, Annotation.Outcome.FLAG):
        return False
    return agrees(expected(key), tiers=said.tiers, acceptable=said.acceptable)


def expected_words(key: GoldAnswer, order: Sequence[int]) -> list[str]:
    """The expected answer in words, in the letters of a page."""
    name = {pk: LETTERS[place] for place, pk in enumerate(order)}
    tiers = [sorted(name[pk] for pk in tier) for tier in key.tiers or []]
    said = []
    if len(tiers) == 1:
        said.append(_("%(letters)s equally good") % {"letters": _listed(tiers[0])})
    elif len(order) == 2 and tiers:
        better, worse = tiers[0][0], tiers[1][0]
        said.append(_("%(better)s better than %(worse)s") % {"better": better, "worse": worse})
    elif tiers:
        said.append(" > ".join(" = ".join(tier) for tier in tiers))
    for value, words in ((True, _("good enough: %(letters)s")), (False, _("not: %(letters)s"))):
        these = sorted(name[int(pk)] for pk, good in key.good.items() if good is value)
        if these:
            said.append(words % {"letters": ", ".join(these)})
    return said


def _listed(letters: Sequence[str]) -> str:
    both = {"first": ", ".join(letters[:-1]), "last": letters[-1]}
    return _("%(first)s and %(last)s") % both


# --- practice and the test ----------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where somebody is in a practice round or a test.

    Attributes:
        purpose: `practice` or `qualification`.
        number: Of the question on the page, from 1.
        total: How many there are.
    """

    purpose: str
    number: int
    total: int

    @property
    def last(self) -> bool:
        """Whether no question comes after it."""
        return self.number >= self.total


def place(*, annotator: Annotator, purpose: str) -> Place:
    """Which question of a practice round or test is on the page. One query."""
    done = _closed(annotator, OuterRef("query_id"))
    keys = list(
        _keys(annotator.campaign_id, purpose)
        .annotate(done=Exists(done))
        .values_list("done", "query__flagged_at", "query__withdrawn")
    )
    closed = sum(1 for answered, _flagged, _withdrawn in keys if answered)
    left = sum(1 for answered, *held in keys if not answered and not any(held))
    return Place(purpose, closed + 1, closed + left)


def place_after(*, annotator: Annotator, purpose: str) -> Place:
    """The same for the question that was answered last. One query."""
    found = place(annotator=annotator, purpose=purpose)
    return Place(purpose, max(1, found.number - 1), found.total)


def _keys(campaign_id: int, purpose: str) -> QuerySet[GoldAnswer]:
    return GoldAnswer.objects.filter(campaign_id=campaign_id, active=True, purpose=purpose)


def _closed(annotator: Annotator, query: OuterRef) -> QuerySet[Assignment]:
    return Assignment.objects.filter(annotator=annotator, query_id=query).exclude(state=OPEN)


@dataclass(frozen=True)
class Feedback:
    """What a practice answer is followed by."""

    assignment: Assignment
    skipped: bool
    right: bool
    said: list[str]
    expected: list[str]
    explanation: str


def feedback(*, assignment_id: UUID, user: User) -> Feedback | None:
    """How an answer of a practice round compares with its key; None without. Three queries."""
    found = (
        Assignment.objects.of_person(user)
        .filter(pk=assignment_id, query__arm=PRACTICE)
        .select_related("query", "annotator__campaign")
        .exclude(state=OPEN)
        .first()
    )
    if found is None:
        return None
    said = Annotation.objects.filter(assignment=found).current().first()
    key = GoldAnswer.objects.filter(query_id=found.query_id, active=True).first()
    if said is None or key is None:
        return None
    order = found.display_order
    told = Told(
        forms=(found.query.form, *found.query.parts.get("follow_ups", ())),
        order=order,
        outcome=said.outcome,
        tiers=said.tiers,
        acceptable=said.acceptable,
        strength=said.strength,
        rationale=said.rationale,
        details=said.details,
        options=found.query.parts.get("options", {}),
    )
    return Feedback(
        assignment=found,
        skipped=said.outcome in (Annotation.Outcome.SKIP, Annotation.Outcome.FLAG),
        right=as_expected(key, said),
        said=in_words(told),
        expected=expected_words(key, order),
        explanation=key.explanation,
    )


@dataclass(frozen=True)
class Result:
    """How a test went."""

    right: int
    total: int
    wanted: int

    @property
    def passed(self) -> bool:
        """Whether that is enough."""
        return self.right >= self.wanted


def result(*, annotator: Annotator) -> Result:
    """Answers to the test against the keys that are active now. Two queries.

    Skipped and flagged questions are not as expected; those whose key was retired do not count.
    """
    keys = {
        key.query_id: key
        for key in _keys(annotator.campaign_id, QUALIFICATION).filter(
            Exists(_closed(annotator, OuterRef("query_id"))), query__withdrawn=False
        )
    }
    answers = Annotation.objects.filter(annotator=annotator, query_id__in=keys).current()
    right = sum(as_expected(keys[said.query_id], said) for said in answers)
    return Result(right, len(keys), enough(annotator.campaign, len(keys)))


def enough(campaign: Campaign, total: int) -> int:
    """How many of so many answers must be as expected."""
    return math.ceil(campaign.qualification_pass * total - 1e-9)


def to_ask(*, campaign: Campaign) -> list[str]:
    """Names of the researchers of a campaign. One query."""
    roles = (Membership.Role.OWNER, Membership.Role.RESEARCHER)
    people = campaign.memberships.filter(role__in=roles).select_related("user")
    return [m.user.get_full_name() or m.user.get_username() for m in people.order_by("pk")]


# --- for researchers ----------------------------------------------------------------------


@dataclass
class Attention:
    """What gold and repeats say about one person."""

    annotator: Annotator
    gold: int = 0
    right: int = 0
    repeats: int = 0
    same: int = 0

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the share of gold answers as expected."""
        return wilson(self.right, self.gold)

    @property
    def chance_below(self) -> float:
        """Chance that fewer than seven in ten of this person's answers are as expected."""
        return chance_below(self.right, self.gold)

    @property
    def advice(self) -> str:
        """`look`, `coach`, or nothing."""
        return advice(self.right, self.gold)

    @property
    def slip_rate(self) -> float | None:
        """How often they slip, by how often they differ from themselves."""
        return slip_rate(self.repeats - self.same, self.repeats)


def attention(*, campaign: Campaign, keys: Sequence[GoldAnswer]) -> list[Attention]:
    """One line for each person who was asked gold or repeats. Two queries at most."""
    found: dict[int, Attention] = {}
    checks = Annotation.objects.filter(campaign=campaign, query__arm__in=("gold", "repeat"))
    checks = checks.standing().select_related("annotator", "query").order_by("annotator_id", "pk")
    answers = list(checks.defer("rationale", "extra", "details"))
    by_query = {key.query_id: key for key in keys if key.purpose == GoldAnswer.Purpose.GOLD}
    versions = _versions(campaign, answers)
    for said in answers:
        line = found.setdefault(said.annotator_id, Attention(said.annotator))
        if said.query_id in by_query:
            line.gold += 1
            line.right += as_expected(by_query[said.query_id], said)
        again = _same_again(said, versions)
        if again is not None:
            line.repeats += 1
            line.same += bool(again)
    return [line for line in found.values() if line.gold or line.repeats]


Versions = Mapping[tuple[int, int | None], list[Annotation]]


def _versions(campaign: Campaign, answers: Sequence[Annotation]) -> Versions:
    """What was said to repeats and to what they repeat, by person and query, the oldest first."""
    twice = [(said.query_id, said.query.repeat_of_id) for said in answers]
    wanted = {pk for query, first in twice if first for pk in (query, first)}
    said = Annotation.objects.filter(campaign=campaign, query_id__in=wanted)
    found: dict[tuple[int, int | None], list[Annotation]] = defaultdict(list)
    for one in said.defer("rationale", "extra", "details").order_by("pk"):
        found[one.annotator_id, one.query_id].append(one)
    return found


def _same_again(said: Annotation, versions: Versions) -> bool | None:
    """Whether a repeat was answered like the first time; None if there is nothing to compare.

    What stood when it was shown is compared with what was said to it before any correction. Both
    answers are in the person's list, and could be made to agree afterwards.
    """
    if said.query.repeat_of_id is None:
        return None
    chain = versions[said.annotator_id, said.query_id]
    by_pk: dict[int | None, Annotation] = {one.pk: one for one in chain}
    while (before := by_pk.get(said.supersedes_id)) and before.outcome != "undone":
        said = before
    shown = min(one.shown_at for one in chain if one.shown_at)
    first = versions[said.annotator_id, said.query.repeat_of_id]
    stood = [one for one in first if one.outcome != "undone" and one.recorded_at <= shown]
    if not stood:
        return None
    return same_again((stood[-1].tiers, stood[-1].acceptable), (said.tiers, said.acceptable))
