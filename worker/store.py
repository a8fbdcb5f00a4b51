"""A campaign as arrays: the pool, what was asked, and what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from django.db.models import Count, QuerySet
from numpy.typing import NDArray

from annotator.models import (
    Annotation,
    Campaign,
    ItemResponse,
    Query,
    QueryResponse,
    Response,
    Slot,
)
from learning.data import Comparisons
from worker.textindex import TextIndex

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Every pair that may be asked, whatever has become of it.

    Attributes:
        pairs: Rows of the text index, smaller first, unique, shape ``(n, 2)``.
        prompt: Prompt id of each pair, shape ``(n,)``.
        item: Item id the pair came from, -1 when from the prompt as a whole, shape ``(n,)``.
        holdout: Whether its prompt is reserved for testing, shape ``(n,)``.
        taken: Whether it was asked, or answered in imported history, shape ``(n,)``.
        pending: Whether it was asked and still waits for an answer, shape ``(n,)``.
    """

    pairs: Ints
    prompt: Ints
    item: Ints
    holdout: NDArray[np.bool_]
    taken: NDArray[np.bool_]
    pending: NDArray[np.bool_]


@dataclass(frozen=True)
class Labels:
    """Comparisons with where they come from.

    Attributes:
        comparisons: Derived from the standing weak orders, shape ``(n,)`` each.
        prompt: Prompt id, shape ``(n,)``.
        holdout: Never train on these, shape ``(n,)``.
        control: From the random arm or from imported history, shape ``(n,)``.
    """

    comparisons: Comparisons
    prompt: Ints
    holdout: NDArray[np.bool_]
    control: NDArray[np.bool_]


def count_annotations(campaign: Campaign) -> int:
    """How many annotations were ever recorded: the version of the data, by count."""
    return Annotation.objects.filter(campaign=campaign).count()


def candidates(campaign: Campaign, index: TextIndex) -> Candidates:
    """Generate the implicit pool. Pairs of equal texts are left out: nothing to compare."""
    raw = (
        _pairs_by_prompt(campaign) if campaign.candidates == "prompt" else _pairs_by_item(campaign)
    )
    table = np.array(raw, np.int64).reshape(-1, 4)  # response, response, prompt, item
    rows = np.sort(index.rows(table[:, :2].ravel()).reshape(-1, 2), axis=1)
    known = (rows >= 0).all(axis=1)
    rows, table = rows[known], table[known]
    differ = (index.digests[rows[:, 0]] != index.digests[rows[:, 1]]).any(axis=1)
    rows, table = rows[differ], table[differ]
    rows, first = np.unique(rows, axis=0, return_index=True)
    table = table[first]
    queries = Query.objects.filter(campaign=campaign)
    waiting = queries.filter(slots__state__in=["open", "leased"])
    held = set(campaign.prompts.filter(is_holdout=True).values_list("pk", flat=True))
    return Candidates(
        pairs=rows,
        prompt=table[:, 2],
        item=table[:, 3],
        holdout=np.isin(table[:, 2], np.fromiter(held, np.int64)),
        taken=_contained(rows, index, _pairs_of(queries)),
        pending=_contained(rows, index, _pairs_of(waiting)),
    )


def _pairs_by_item(campaign: Campaign) -> list[tuple[int, int, int, int]]:
    places = ItemResponse.objects.filter(item__campaign=campaign).order_by("item_id", "position")
    groups: dict[tuple[int, int], list[int]] = {}
    for item, prompt, response in places.values_list(
        "item_id", "item__prompt_id", "response_id"
    ).iterator(chunk_size=10_000):
        groups.setdefault((item, prompt), []).append(response)
    return [
        (a, b, prompt, item)
        for (item, prompt), responses in groups.items()
        for a, b in combinations(responses, 2)
    ]


def _pairs_by_prompt(campaign: Campaign) -> list[tuple[int, int, int, int]]:
    responses = Response.objects.filter(prompt__campaign=campaign).order_by("prompt_id", "pk")
    groups: dict[int, list[int]] = {}
    for prompt, response in responses.values_list("prompt_id", "pk").iterator(chunk_size=10_000):
        groups.setdefault(prompt, []).append(response)
    return [
        (a, b, prompt, -1)
        for prompt, members in groups.items()
        for a, b in combinations(members, 2)
    ]


def _pairs_of(queries: QuerySet[Query]) -> Ints:
    """Response ids of every pair that one of these queries put, shape (k, 2)."""
    pairs = (
        QueryResponse.objects.filter(query_id__in=queries.values("pk"))
        .order_by()
        .values("query_id")
        .annotate(size=Count("pk"))
        .filter(size=2)
    )
    members = QueryResponse.objects.filter(query_id__in=pairs.values("query_id"))
    ids = members.order_by("query_id", "response_id").values_list("response_id", flat=True)
    return np.fromiter(ids.iterator(chunk_size=10_000), np.int64).reshape(-1, 2)


def _contained(rows: Ints, index: TextIndex, asked: Ints) -> NDArray[np.bool_]:
    """Which candidate pairs are among the asked ones."""
    size = np.int64(max(len(index.ids), 1))
    asked_rows = np.sort(index.rows(asked.ravel()).reshape(-1, 2), axis=1)
    return np.isin(rows[:, 0] * size + rows[:, 1], asked_rows[:, 0] * size + asked_rows[:, 1])


def waiting_queries(campaign: Campaign) -> int:
    """Queries that nobody has been given yet.

    What was skipped, or waits for a second person, does not count: it would keep fresh questions
    from the people who are here. It is served before them to whoever may still take it.
    """
    fresh = Slot.objects.filter(campaign=campaign).untouched()
    return fresh.values("query_id").distinct().count()


def labels(campaign: Campaign, index: TextIndex) -> Labels:
    """Comparisons from all standing answers.

    A pair gives one comparison. A longer weak order gives one for every two responses in
    different tiers, each weighing 1/(k-1), so that one ranking of k responses does not outvote
    k-1 people. `neither` says that both are bad, not which is better: it gives none. Judges'
    annotations are left out: they have an error rate of their own, and the holdout is what
    people say.
    """
    rows: list[tuple[int, int, int, int, float, int, bool, bool]] = []
    standing = Annotation.objects.filter(campaign=campaign).standing()
    fields = ("tiers", "strength", "query__prompt_id", "query__prompt__is_holdout", "query__arm")
    ordered = standing.filter(annotator__kind="human").exclude(outcome__in=["neither", "other"])
    for tiers, strength, prompt, holdout, arm in ordered.order_by("pk").values_list(*fields):
        control = arm in ("random", "imported")
        for left, right, outcome, weight in derive(tiers):
            rows.append((left, right, outcome, strength or 0, weight, prompt, holdout, control))
    return _as_labels(rows, index)


def derive(tiers: list[list[int]]) -> list[tuple[int, int, int, float]]:
    """(left, right, outcome, weight) of one weak order, in response ids."""
    members = sum(len(tier) for tier in tiers)
    if members == 2 and len(tiers) == 1:
        return [(tiers[0][0], tiers[0][1], 0, 1.0)]
    return [
        (better, worse, 1, 1.0 / (members - 1))
        for upper, lower in combinations(tiers, 2)
        for better in upper
        for worse in lower
    ]


def _as_labels(rows: list[Any], index: TextIndex) -> Labels:
    table = np.array(rows, np.float64).reshape(-1, 8)
    left, right = index.rows(table[:, 0].astype(np.int64)), index.rows(table[:, 1].astype(np.int64))
    known = (left >= 0) & (right >= 0) & (left != right)  # an item may repeat a response
    table, left, right = table[known], left[known], right[known]
    # Half of the comparisons are turned round, so that "left" carries no meaning.
    turn = (np.arange(len(table)) % 2).astype(bool)
    outcome = np.where(turn, -table[:, 2], table[:, 2]).astype(np.int8)
    return Labels(
        comparisons=Comparisons.of(
            np.where(turn, right, left),
            np.where(turn, left, right),
            outcome,
            strength=np.where(outcome == 0, 0, table[:, 3]).astype(np.int8),
            weight=table[:, 4],
        ),
        prompt=table[:, 5].astype(np.int64),
        holdout=table[:, 6].astype(bool),
        control=table[:, 7].astype(bool),
    )
