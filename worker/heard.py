"""What judges said, as arrays, beside what people said of the same questions.

A judge is measured on the random stratum alone: the random arm, a random sample of the imported
history, and what the router drew for its audit. What a router sent to people *because* the judge
seemed wrong says nothing of the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.models import Annotation, Campaign, Item, Judge, Judgement, Query, Route
from annotator.services import routes
from learning.data import Comparisons
from learning.routing.data import Signs
from learning.routing.error import ErrorModel, HumanError, fit_error, human_error, slip_rate
from learning.routing.source import Labels
from learning.surface import NAMES
from worker.derive import Tiers, derive
from worker.space import Space
from worker.store import Ints

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEWEST: Final = 5  # questions with a tag before it is looked at by itself
MOST_TAGS: Final = 50
LEAST_DOUBT: Final = 0.05  # about what a judge put in order, however steady it is


@dataclass(frozen=True)
class Heard:
    """What judges put before something else, each with its own chance of being wrong.

    Attributes:
        comparisons: One or several a question, shape ``(n,)``.
        rate: The chance that it is wrong, in [0, 1), shape ``(n,)``.
        query: Query id, shape ``(n,)``.
        drawn: Queries that are in a judge's random stratum.
        human: The chance that one person's answer is wrong.
    """

    comparisons: Comparisons
    rate: Doubles
    query: Ints
    drawn: Ints
    human: float

    @classmethod
    def nothing(cls) -> Heard:
        """Nobody was asked."""
        none = np.empty(0, np.int64)
        return cls(Comparisons.none(), np.empty(0), none, none, 0.0)

    def __len__(self) -> int:
        return len(self.comparisons)

    def beside(self, people: Comparisons, query: Ints) -> Labels:
        """People's answers to these queries, then the judges'."""
        n, m = len(people), len(self)
        asked = np.concatenate([query, self.query])
        return Labels(
            comparisons=people.joined(self.comparisons),
            epsilon=np.concatenate([np.full(n, self.human), self.rate]),
            question=asked,
            human=np.repeat([True, False], [n, m]),
            audit=np.isin(asked, self.drawn),
        )


def heard(campaign: Campaign, found: Space) -> Heard:
    """All that the campaign's judges put before something else, question by question.

    Their ties and what they call good enough are left out: people draw both lines elsewhere. Of
    held-out prompts they are asked nothing.
    """
    asked = list(campaign.judges.all())
    if not asked:  # most campaigns: then people's answers need not be looked through
        return Heard.nothing()
    human = people_error(campaign)
    tables = [judged(campaign, judge, found) for judge in asked]
    parts = [_said_by(table, found, human, table.signs.answered) for table in tables]
    comparisons = Comparisons.none()
    for one, _, _ in parts:
        comparisons = comparisons.joined(one)
    none = np.empty(0, np.int64)
    return Heard(
        comparisons=comparisons,
        rate=np.concatenate([np.empty(0), *(rate for _, rate, _ in parts)]),
        query=np.concatenate([none, *(query for _, _, query in parts)]),
        drawn=np.concatenate([none, *(table.query[table.drawn] for table in tables)]),
        human=human.value,
    )


def of_judge(table: Table, found: Space, human: HumanError) -> Heard:
    """What one judge, as it is now, put before something else."""
    said = _said_by(table, found, human, table.signs.answered & table.current)
    return Heard(*said, drawn=table.query[table.drawn], human=human.value)


def _said_by(
    table: Table, found: Space, human: HumanError, which: Bools
) -> tuple[Comparisons, Doubles, Ints]:
    rows = np.flatnonzero(which)
    if not len(rows):
        return Comparisons.none(), np.empty(0), np.empty(0, np.int64)
    rates = error_model(table, human).predict(table.signs.subset(rows))
    said = [
        (one.left, one.right, one.weight, rate, table.query[row])
        for row, rate in zip(rows.tolist(), rates.tolist(), strict=True)
        for one in derive(table.tiers[row], uncompared=True)
    ]
    columns = np.array(said, np.float64).reshape(-1, 5)
    left, right = found.index.rows(columns[:, :2].astype(np.int64).reshape(-1)).reshape(-1, 2).T
    known = (left >= 0) & (right >= 0)
    turn = (np.arange(len(columns)) % 2).astype(bool)  # so that "left" carries no meaning
    made = Comparisons.of(
        np.where(turn, right, left)[known],
        np.where(turn, left, right)[known],
        np.where(turn, -1, 1)[known],
        weight=columns[known, 2],
    )
    return made, columns[known, 3], columns[known, 4].astype(np.int64)


@dataclass(frozen=True)
class Table:
    """Questions about two responses or more that the judge was asked, as arrays.

    Of more than two, its best and its worst stand for the question.

    Attributes:
        query: Query id, ascending, shape ``(n,)``.
        pairs: Rows of the space, shape ``(n, 2)``.
        tiers: The judge's weak order in response ids; empty where it gave none.
        prompt: Prompt id, shape ``(n,)``.
        signs: What the judge said and what the question is like.
        names: Of the tags in `signs`.
        safety: Has a tag that is people's alone, shape ``(n,)``.
        related: The judge is related to the author of a response, shape ``(n,)``.
        pool: Drawn from everything: the random arm and a sample of the history, ``(n,)``.
        drawn: In the random stratum: these, and the router's audit, shape ``(n,)``.
        place: Order in which the judge was asked, shape ``(n,)``.
        current: Said by the judge as it is now, shape ``(n,)``.
        waits: Nobody was told to answer it yet, shape ``(n,)``.
        wrong: Share of what people decided in it that contradicts the judge, in [0, 1]; NaN where
            they decided nothing that it did; shape ``(n,)``.
    """

    query: Ints
    pairs: Ints
    tiers: tuple[Tiers, ...]
    prompt: Ints
    signs: Signs
    names: tuple[str, ...]
    safety: Bools
    related: Bools
    pool: Bools
    drawn: Bools
    place: Ints
    current: Bools
    waits: Bools
    wrong: Doubles

    @property
    def audit(self) -> Bools:
        """What the judge is measured on: drawn at random, and decided by both."""
        return np.asarray(self.drawn & self.current & self.signs.answered & ~np.isnan(self.wrong))

    @property
    def watched(self) -> Doubles:
        """Errors on questions drawn from everything, in the order in which it was asked."""
        rows = np.flatnonzero(self.audit & self.pool)
        return np.asarray(self.wrong[rows[np.argsort(self.place[rows])]])


def error_model(table: Table, human: HumanError) -> ErrorModel:
    """Where the judge is wrong, from the random stratum alone."""
    audit = table.audit
    return fit_error(table.signs.subset(audit), table.wrong[audit], human=human.value)


def people_error(campaign: Campaign) -> HumanError:
    """How often one person's answer is not what people agree on, from doubly answered pairs."""
    by_query: dict[int, list[tuple[int, ...]]] = {}
    for query, tiers in _said(campaign).values_list("query_id", "tiers").iterator(10_000):
        if sum(len(tier) for tier in tiers or ()) == 2:
            first = tuple(tiers[0]) if len(tiers) == 2 else ()
            by_query.setdefault(query, []).append(first)
    twice = [found[:2] for found in by_query.values() if len(found) > 1]
    signs = np.array(
        [[0 if not one else (1 if one == max(pair) else -1) for one in pair] for pair in twice],
        np.int8,
    ).reshape(-1, 2)
    return human_error(signs[:, 0], signs[:, 1])


def _said(campaign: Campaign) -> Any:
    people = Annotation.objects.filter(campaign=campaign, annotator__kind="human")
    return people.labels().order_by("pk")


def judged(campaign: Campaign, judge: Judge, found: Space) -> Table:
    """Everything that this judge was asked about two responses or more."""
    asked = Judgement.objects.filter(judge=judge, query__withdrawn=False).order_by("query_id")
    fields = ("query_id", "order", "p", "inconsistent", "disagreement", "related")
    more = ("query__prompt_id", "annotation__tiers", "pk", "created_at")
    rows = [_Row(*row) for row in asked.values_list(*fields, *more).iterator(chunk_size=10_000)]
    rows = [row for row in rows if len(row.order) > 1]
    ends = np.array([row.pair for row in rows], np.int64).reshape(-1)
    pairs = found.index.rows(ends).reshape(-1, 2)
    known = np.flatnonzero((pairs >= 0).all(axis=1))
    rows, pairs = [rows[at] for at in known], pairs[known]
    query = np.array([row.query for row in rows], np.int64)
    tags = tags_of(campaign, query)
    matrix, names = tag_matrix(tags)
    pool, drawn, waits = _stratum(campaign, query)
    return Table(
        query=query,
        pairs=pairs,
        tiers=tuple(row.tiers or () for row in rows),
        prompt=np.array([row.prompt for row in rows], np.int64),
        signs=Signs.of(
            np.array([row.probability for row in rows], np.float64),
            inconsistent=np.array([row.inconsistent for row in rows], np.bool_),
            tags=matrix,
            length_gap=_length_gap(found, pairs),
            similarity=_similarity(found, pairs),
        ),
        names=names,
        safety=np.array([bool({*campaign.people_only} & {*one}) for one in tags], np.bool_),
        related=np.array([row.related for row in rows], np.bool_),
        pool=pool,
        drawn=drawn,
        place=np.array([row.place for row in rows], np.int64),
        current=np.array([row.said_at >= judge.measured_from for row in rows], np.bool_),
        waits=waits,
        wrong=_wrong(campaign, rows),
    )


@dataclass(frozen=True)
class _Row:
    """One judgement as it is stored."""

    query: int
    order: list[int]
    p: float | None
    inconsistent: bool
    disagreement: float
    related: bool
    prompt: int
    tiers: Tiers | None
    place: int
    said_at: datetime

    @property
    def pair(self) -> tuple[int, int]:
        """The two responses, or the judge's best and worst of more."""
        if len(self.order) == 2 or not self.tiers:
            return self.order[0], self.order[1]
        return self.tiers[0][0], self.tiers[-1][-1]

    @property
    def probability(self) -> float:
        """That the first of the pair is better; NaN where the judge did not say.

        Of more than two responses, that a pair stands as the judge put it: its two display orders
        slip as two people would.
        """
        if len(self.order) == 2:
            return np.nan if self.p is None else self.p
        if not self.tiers or len(self.tiers) < 2:
            return np.nan
        return float(1.0 - np.maximum(slip_rate(self.disagreement), LEAST_DOUBT))

    @property
    def above(self) -> dict[tuple[int, int], bool]:
        """For every pair that the judge decided, whether the smaller id is above."""
        tiers: Tiers = self.tiers or []
        if len(self.order) == 2 and self.p is not None and self.p != 0.5:
            first = self.order if self.p > 0.5 else self.order[::-1]
            tiers = [[first[0]], [first[1]]]
        return decided(tiers)


def decided(tiers: Tiers) -> dict[tuple[int, int], bool]:
    """For every pair in different tiers, smaller id first, whether the smaller is above."""
    found = {}
    for upper, lower in combinations(tiers, 2):
        for a in upper:
            for b in lower:
                found[min(a, b), max(a, b)] = a < b
    return found


def _length_gap(found: Space, pairs: Ints) -> Doubles:
    chars = found.index.surface[:, NAMES.index("log_chars")].astype(np.float64)
    return np.asarray(chars[pairs[:, 0]] - chars[pairs[:, 1]])


def _similarity(found: Space, pairs: Ints) -> Doubles:
    left, right = (found.embedded[pairs[:, side]].astype(np.float64) for side in (0, 1))
    size = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / np.maximum(size, 1e-12))


def tags_of(campaign: Campaign, query: Ints) -> list[tuple[str, ...]]:
    """The tags of each question: its item's subset, and meta.tags."""
    items = Query.objects.filter(pk__in=query.tolist()).values_list("pk", "item_id")
    item_of = dict(items)
    wanted = Item.objects.filter(campaign=campaign, pk__in={pk for pk in item_of.values() if pk})
    said = {pk: _tags(extra) for pk, extra in wanted.values_list("pk", "extra")}
    return [said.get(item_of.get(int(pk)) or 0, ()) for pk in query]


def _tags(extra: Mapping[str, Any]) -> tuple[str, ...]:
    meta = extra.get("meta")
    given = meta.get("tags") if isinstance(meta, dict) else None
    tags = [extra.get("subset"), *(given if isinstance(given, list) else [])]
    return tuple(dict.fromkeys(tag for tag in tags if isinstance(tag, str) and tag))


def tag_matrix(tags: Sequence[tuple[str, ...]]) -> tuple[Doubles, tuple[str, ...]]:
    """Membership in the tags that are common enough to be looked at, shape ``(n, t)``."""
    count = Counter(tag for one in tags for tag in one)
    names = tuple(sorted(tag for tag, n in count.most_common(MOST_TAGS) if n >= FEWEST))
    matrix = np.array([[tag in one for tag in names] for one in tags], np.float64)
    return matrix.reshape(len(tags), len(names)), names


def _stratum(campaign: Campaign, query: Ints) -> tuple[Bools, Bools, Bools]:
    """Drawn from everything; drawn at random by whomever; waiting for a decision."""
    arms = [Query.Arm.RANDOM, Query.Arm.IMPORTED]
    everything = Query.objects.filter(campaign=campaign, arm__in=arms)
    audit = Route.objects.filter(query__campaign=campaign, audit=True)
    pool = np.isin(query, list(everything.values_list("pk", flat=True)))
    drawn = pool | np.isin(query, list(audit.values_list("query_id", flat=True)))
    waiting = list(routes.unrouted(campaign).values_list("pk", flat=True))
    return pool, drawn, np.isin(query, waiting)


def _wrong(campaign: Campaign, rows: Sequence[_Row]) -> Doubles:
    """Of what people decided about the judge's pairs, the share that it put the other way."""
    judge = {row.query: row.above for row in rows}
    against: Counter[int] = Counter()
    total: Counter[int] = Counter()
    said = _said(campaign).filter(query_id__in=list(judge), outcome="preference")
    for query, tiers in said.values_list("query_id", "tiers").iterator(chunk_size=10_000):
        for pair, above in decided(tiers or []).items():
            if pair in judge[query]:
                total[query] += 1
                against[query] += judge[query][pair] != above
    share = [against[row.query] / total[row.query] if total[row.query] else np.nan for row in rows]
    return np.array(share, np.float64)
