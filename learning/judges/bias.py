"""How a judge errs, against people: sides, own kin, and kinds of questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.errors import NotEnoughData, ShapeError
from learning.judges.controls import Control
from learning.judges.quality import Quality, agreements, probabilities, share
from learning.judges.related import related
from learning.judges.verdict import Verdict
from learning.metrics import Estimate, bootstrap_interval

Doubles = NDArray[np.float64]
_ALWAYS: Final = 0.9  # share of one side, at the lower end of its interval


@dataclass(frozen=True, slots=True)
class Position:
    """Whether a judge prefers a side.

    Attributes:
        first: Share of decided calls that chose what was shown first; one half is fair. The
            interval is over questions.
        consistent: Share of questions with two decided calls that chose the same response
            in both orders, with its Wilson interval.
        calls: Decided calls.
        always: ``first`` or ``second`` for a judge who hardly ever says anything else.
    """

    first: Estimate
    consistent: Estimate
    calls: int
    always: str = ""


@dataclass(frozen=True, slots=True)
class SelfPreference:
    """Whether a judge favours responses of its own kin more than people do.

    Attributes:
        dbg: Mean of P_judge(own preferred) - P_people(own preferred) over questions with one
            response of the judge's kin and one of somebody else's; with its interval.
        judge, people: How often each prefers the kin's response.
        questions: Such questions.
    """

    dbg: Estimate
    judge: float
    people: float
    questions: int


@dataclass(frozen=True, slots=True)
class TagAgreement:
    """How often a judge agrees with people on one kind of questions."""

    tag: str
    n: int
    agreement: Estimate


@dataclass(frozen=True, slots=True)
class BiasReport:
    """Everything that is known of one judge; what is None could not be measured.

    Attributes:
        judge: Its name.
        raw: As it says itself, both orders averaged.
        calibrated: The same after calibration on other prompts.
        position, controls, self_preference: See there.
        tags: Sorted, the worst first.
        notes: What could not be measured, and why.
    """

    judge: str
    raw: Quality
    calibrated: Quality
    position: Position | None
    controls: tuple[Control, ...]
    self_preference: SelfPreference | None
    tags: tuple[TagAgreement, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def position(
    chosen: ArrayLike, *, rng: np.random.Generator, clusters: ArrayLike | None = None
) -> Position:
    """Measure whether a judge prefers a side.

    Args:
        chosen: 1 where a call chose what was shown first, 0 where the second, NaN where it
            chose neither; shape ``(n, 2)``, a column for each display order. A fair judge has
            one of each in a row; one who never looks has two of the same.
        rng: For the bootstrap.
        clusters: Prompt of each question, shape ``(n,)``; each its own where left out.

    Raises:
        NotEnoughData: no call was decided.
        ShapeError: not ``(n, 2)`` of 0, 1 and NaN.
    """
    made = np.asarray(chosen, dtype=np.float64)
    if made.ndim != 2 or made.shape[1] != 2 or not np.isin(made[~np.isnan(made)], (0, 1)).all():
        raise ShapeError("chosen must be (n, 2) of 0, 1 and NaN")
    unit = np.arange(len(made)) if clusters is None else np.asarray(clusters)
    decided = ~np.isnan(made)
    calls = int(decided.sum())
    if not calls:
        raise NotEnoughData("the judge decided no call")
    _, member = np.unique(unit, return_inverse=True)
    flat, owner = made[decided], np.broadcast_to(member[:, None], made.shape)[decided]
    first = Estimate(float(flat.mean()), *bootstrap_interval(flat, owner, rng=rng))
    pairs = made[decided.all(axis=1)]
    same = share(float((pairs[:, 0] != pairs[:, 1]).sum()), len(pairs))
    return Position(first, same, calls, _always(flat))


def shown_first(one: Verdict, other: Verdict, order: Sequence[int]) -> tuple[float, float]:
    """Return a row for `position`: what two verdicts on two responses chose, by side.

    Args:
        one: The verdict with the responses shown in ``order``.
        other: The verdict with them shown the other way round.
        order: Number of the response shown first, then of the other.
    """
    first, second = order
    return _side(one, first), _side(other, second)


def self_preference(
    judge: ArrayLike,
    people: ArrayLike,
    *,
    clusters: ArrayLike,
    rng: np.random.Generator,
) -> SelfPreference:
    """Measure whether a judge favours its own kin: DBG.

    People's own preference is subtracted, so a judge whose kin really is better is not blamed.

    Args:
        judge: P_judge(own preferred), both orders averaged, shape ``(n,)``.
        people: Share of people who prefer it, ties as one half, shape ``(n,)``.
        clusters: Prompt of each question, shape ``(n,)``.
        rng: For the bootstrap.

    Raises:
        NotEnoughData: there is no question with one response of the judge's kin.

    Source:
        arXiv:2506.02592 (EMNLP 2025).
    """
    judge, people = probabilities(judge, "judge"), probabilities(people, "people")
    if len(judge) != len(people):
        raise ShapeError(f"{len(judge)} probabilities for {len(people)} answers")
    if not len(judge):
        raise NotEnoughData("no question has one response of the judge's kin")
    gap = judge - people
    dbg = Estimate(float(gap.mean()), *bootstrap_interval(gap, np.asarray(clusters), rng=rng))
    return SelfPreference(dbg, float(judge.mean()), float(people.mean()), len(gap))


def kin(judge: str, authors: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """Return which response of a question is of the judge's kin: 0, 1, or -1 for none or both.

    Args:
        judge: Its name.
        authors: Names of the two responses' generators, empty where unknown.

    Returns:
        Shape ``(n,)``.
    """
    made = np.full(len(authors), -1, dtype=np.int64)
    for row, (first, second) in enumerate(authors):
        ours = related(judge, first), related(judge, second)
        known = bool(first.strip() and second.strip())
        if known and ours[0] != ours[1]:
            made[row] = 0 if ours[0] else 1
    return made


def by_tag(p: ArrayLike, y: ArrayLike, tags: Sequence[Sequence[str]]) -> tuple[TagAgreement, ...]:
    """Return how often judge and people agree, for each tag, the worst first.

    Args:
        p: P_judge(first preferred), shape ``(n,)``.
        y: Share of people who prefer it, ties as one half, shape ``(n,)``.
        tags: Tags of each question.
    """
    agreed = agreements(probabilities(p, "p"), probabilities(y, "y"))
    if len(tags) != len(agreed):
        raise ShapeError(f"{len(tags)} lists of tags for {len(agreed)} questions")
    rows: dict[str, list[float]] = {}
    for one, names in zip(agreed.tolist(), tags, strict=True):
        for name in dict.fromkeys(names):
            rows.setdefault(name, []).append(one)
    found = [
        TagAgreement(tag, len(all_), share(sum(all_), len(all_))) for tag, all_ in rows.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.agreement.value, one.tag)))


def _side(said: Verdict, first: int) -> float:
    if len(said.tiers) != 2:
        return float("nan")
    return float(said.tiers[0] == (first,))


def _always(chosen: Doubles) -> str:
    for name, count in (("first", chosen.sum()), ("second", len(chosen) - chosen.sum())):
        if share(float(count), len(chosen)).low > _ALWAYS:
            return name
    return ""
