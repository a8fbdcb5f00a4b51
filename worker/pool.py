"""What may be asked: the implicit pool of a campaign, generated from arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Final

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotator.forms import sizes
from annotator.models import Campaign, ItemResponse, Query, QueryResponse, Response
from annotator.querysets import CHECKS
from learning.sets import Groups, inside_pairs
from worker.textindex import TextIndex

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Group = tuple[int, int, list[int]]  # prompt, item (-1: none), response ids

CYCLES: Final = 3  # with `any`, a response is in twice as many pairs
CHUNK: Final = 10_000


@dataclass(frozen=True)
class Candidates:
    """Every pair that may be asked, or may be the seed of a set, whatever has become of it.

    Attributes:
        pairs: Rows of the text index, smaller first, unique, shape ``(n, 2)``. A response that is
            asked about by itself is paired with the line, row ``len(index.ids)``.
        prompt: Prompt id of each pair (of its first response), shape ``(n,)``.
        item: Item id the pair came from, -1 when from the prompt as a whole, shape ``(n,)``.
        holdout: Whether its prompt is reserved for testing, shape ``(n,)``.
        taken: Whether it was asked, or answered in imported history, shape ``(n,)``.
        pending: Whether it was asked and still waits for an answer, shape ``(n,)``.
        alone: Whether it is a response and the line, shape ``(n,)``.
        group: Group of responses it may grow in, -1 where it is the whole question, ``(n,)``.
        groups: These groups.
    """

    pairs: Ints
    prompt: Ints
    item: Ints
    holdout: Bools
    taken: Bools
    pending: Bools
    alone: Bools
    group: Ints
    groups: Groups


def candidates(campaign: Campaign, index: TextIndex) -> Candidates:
    """Generate the implicit pool. Pairs of equal texts are left out: nothing to compare.

    What an edit made is learnt from and not asked about.
    """
    made = _Maker(index, *shown(campaign))
    if campaign.candidates == Campaign.Candidates.ANY:
        table = _across(campaign, index, made)
    else:
        by_prompt = campaign.candidates == Campaign.Candidates.PROMPT
        found = _by_prompt(campaign) if by_prompt else _by_item(campaign)
        table = made.table(found)
    pairs, table = _distinct(table)
    queries = Query.objects.filter(campaign=campaign)
    labels = queries.exclude(arm__in=CHECKS)
    waiting = labels.filter(slots__state__in=["open", "leased"])
    held = campaign.prompts.filter(is_holdout=True).values_list("pk", flat=True)
    alone = pairs[:, 1] == len(index.ids)
    asked = _Asked(queries, index, sets=made.most > 2)
    return Candidates(
        pairs=pairs,
        prompt=table[:, 2],
        item=table[:, 3],
        holdout=np.isin(table[:, 2], np.fromiter(held, np.int64)),
        taken=asked.among(pairs, alone),
        pending=_Asked(waiting, index, sets=True).among(pairs, alone),
        alone=alone,
        group=table[:, 4],
        groups=made.groups(),
    )


def shown(campaign: Campaign) -> tuple[int, int, int]:
    """Least and most responses of a question, and how many the campaign wants (0: all)."""
    least, most = sizes((campaign.form, *campaign.follow_ups))
    wanted = min(max(campaign.set_size, least), most) if campaign.set_size else 0
    return least, most, wanted


class _Maker:
    """Turns groups of responses into pairs and remembers the groups that sets grow in."""

    def __init__(self, index: TextIndex, least: int, most: int, wanted: int) -> None:
        self.least, self.most, self.wanted = least, most, wanted
        self.line = len(index.ids)
        # Equal texts have equal numbers: two of them never stand in one set.
        digests = np.ascontiguousarray(index.digests).view("S16").reshape(-1)
        self.text = np.unique(digests, return_inverse=True)[1].reshape(-1)
        # Plain Python for the many small groups: an array for each would take longer to make.
        self.row = {pk: row for row, pk in enumerate(index.ids.tolist())}
        self.text_of = self.text.tolist()
        self.members: list[list[int]] = []
        self.sizes: list[int] = []

    def table(self, found: Iterator[Group]) -> Ints:
        """Row, row, prompt, item and group of every pair, shape ``(n, 5)``."""
        table = [
            (a, b, prompt, item, group)
            for prompt, item, ids in found
            for a, b, group in self._pairs(ids)
        ]
        return np.array(table, np.int64).reshape(-1, 5)

    def _pairs(self, ids: list[int]) -> Iterator[tuple[int, int, int]]:
        rows = sorted({self.row[pk] for pk in ids if pk in self.row})
        if self.most == 2:  # pairs alone: each copy of a text may stand for it
            for a, b in combinations(rows, 2):
                if self.text_of[a] != self.text_of[b]:
                    yield a, b, -1
            return
        rows = sorted({self.text_of[row]: row for row in reversed(rows)}.values())
        size = min(self.wanted or self.most, len(rows))
        if size < self.least or not size:
            return
        if size == 1:
            for row in rows:
                yield row, self.line, -1
            return
        group = -1
        if size > 2:
            group = len(self.members)
            self.members.append(rows)
            self.sizes.append(size)
        for a, b in combinations(rows, 2):
            yield a, b, group

    def groups(self) -> Groups:
        """The groups in which pairs grow."""
        if not self.members:
            return Groups.none()
        lengths = [len(rows) for rows in self.members]
        return Groups(
            rows=np.array(list(chain.from_iterable(self.members)), np.int64),
            start=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            size=np.array(self.sizes, np.int64),
        )


def _distinct(table: Ints) -> tuple[Ints, Ints]:
    """Each pair once, with the prompt and item in which it came first."""
    pairs = np.sort(table[:, :2], axis=1)
    pairs, first = np.unique(pairs, axis=0, return_index=True)
    return pairs, table[first]


def _by_item(campaign: Campaign) -> Iterator[Group]:
    places = ItemResponse.objects.filter(item__campaign=campaign).order_by("item_id", "position")
    fields = ("item__prompt_id", "item_id", "response_id")
    groups: dict[tuple[int, int], list[int]] = {}
    for prompt, item, response in places.values_list(*fields).iterator(chunk_size=CHUNK):
        groups.setdefault((prompt, item), []).append(response)
    for (prompt, item), responses in groups.items():
        yield prompt, item, responses


def _by_prompt(campaign: Campaign) -> Iterator[Group]:
    groups: dict[int, list[int]] = {}
    for prompt, response in _originals(campaign).values_list("prompt_id", "pk").iterator(CHUNK):
        groups.setdefault(prompt, []).append(response)
    for prompt, responses in groups.items():
        yield prompt, -1, responses


def _originals(campaign: Campaign) -> QuerySet[Response]:
    """The responses that were imported."""
    imported = Response.objects.filter(prompt__campaign=campaign, parent=None)
    return imported.order_by("prompt_id", "pk")


def _across(campaign: Campaign, index: TextIndex, made: _Maker) -> Ints:
    """Pairs of responses to different prompts on the same side of the holdout.

    Responses are put in a circle, in an order drawn from the campaign's seed and their ids, and
    each meets its neighbours: so all are in equally many pairs, few enough for a large pool. Some
    such orders together connect any two responses by few steps. A later import breaks only the
    pairs that it comes between.
    """
    if not made.least <= 2 <= made.most:
        return np.empty((0, 5), np.int64)
    fields = ("pk", "prompt_id", "prompt__is_holdout")
    found = list(_originals(campaign).values_list(*fields).iterator(chunk_size=CHUNK))
    every = np.array(found, np.int64).reshape(-1, 3)
    tables = []
    for held in (0, 1):
        side = every[every[:, 2] == held]
        rows = index.rows(side[:, 0])
        side, rows = side[rows >= 0], rows[rows >= 0]
        for cycle in range(CYCLES):
            order = np.argsort(_lots(side[:, 0], campaign.seed, cycle), kind="stable")
            after = np.roll(order, -1)
            keep = side[order, 1] != side[after, 1]
            keep &= made.text[rows[order]] != made.text[rows[after]]
            one, two = order[keep], after[keep]
            first = np.where(rows[one] < rows[two], one, two)
            none = np.full(len(one), -1)
            tables.append(np.stack([rows[one], rows[two], side[first, 1], none, none], axis=1))
    return np.concatenate(tables)


def _lots(ids: Ints, seed: int, cycle: int) -> NDArray[np.uint64]:
    """A number for each id that nothing but seed and cycle decides (splitmix64)."""
    x = ids.astype(np.uint64) + np.array([seed * CYCLES + cycle], np.uint64) * np.uint64(2**32)
    x = x * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))


class _Asked:
    """What some queries showed together.

    Args:
        queries: The queries.
        index: Where responses are.
        sets: Whether pairs count that stood in a larger set; a campaign that asks about pairs may
            ask for them once more.
    """

    def __init__(self, queries: QuerySet[Query], index: TextIndex, *, sets: bool) -> None:
        members = QueryResponse.objects.filter(query_id__in=queries.order_by().values("pk"))
        ordered = members.order_by("query_id", "response_id").values_list("query_id", "response_id")
        table = np.array(list(ordered.iterator(chunk_size=CHUNK)), np.int64).reshape(-1, 2)
        _, start, size = np.unique(table[:, 0], return_index=True, return_counts=True)
        rows = index.rows(table[:, 1])
        self.rows, self.base = rows, np.int64(len(index.ids) + 1)
        self.codes = [np.empty(0, np.int64)]
        for k in np.unique(size):
            if k >= 2 and (sets or k == 2):
                places = start[size == k][:, None] + np.arange(k)
                inside = inside_pairs(tuple(range(k)))
                pairs = np.sort(rows[places][:, inside].reshape(-1, 2), axis=1)
                self.codes.append(pairs[:, 0] * self.base + pairs[:, 1])

    def among(self, pairs: Ints, alone: Bools) -> Bools:
        """Which candidate pairs are in there; a response alone is, wherever it was shown."""
        found = np.isin(pairs[:, 0] * self.base + pairs[:, 1], np.concatenate(self.codes))
        return np.asarray(np.where(alone, np.isin(pairs[:, 0], self.rows), found))
