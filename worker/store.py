"""A campaign as arrays: what was answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import QuerySet
from numpy.typing import NDArray

from annotator.models import Annotation, Campaign, Response, Slot
from learning.data import Comparisons
from learning.sets import BLIND
from worker.derive import LINE, derive
from worker.textindex import TextIndex

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Outcome = Annotation.Outcome


@dataclass(frozen=True)
class Labels:
    """Comparisons with where they come from.

    Attributes:
        comparisons: Derived from the standing weak orders, shape ``(n,)`` each.
        query: Query id, shape ``(n,)``.
        prompt: Prompt id, shape ``(n,)``.
        holdout: Never train on these, shape ``(n,)``.
        control: From the random arm or from imported history, shape ``(n,)``.
        blind: Drawn without looking at the model: these, and what the policy's share drew while
            it was drawn at random, shape ``(n,)``.
        line: Between a response and the line of good enough, whose row is ``len(index.ids)``,
            shape ``(n,)``.
    """

    comparisons: Comparisons
    query: Ints
    prompt: Ints
    holdout: Bools
    control: Bools
    blind: Bools
    line: Bools


def count_annotations(campaign: Campaign) -> int:
    """How many annotations were ever recorded: the version of the data, by count."""
    return Annotation.objects.filter(campaign=campaign).count()


def waiting_queries(campaign: Campaign) -> int:
    """Queries that nobody has been given yet.

    What was skipped, or waits for a second person, does not count: it would keep fresh questions
    from the people who are here. It is served before them to whoever may still take it.
    """
    fresh = Slot.objects.filter(campaign=campaign).untouched()
    return fresh.values("query_id").distinct().count()


def says_good_enough(campaign: Campaign) -> bool:
    """Whether any standing answer says where the line of good enough is."""
    return _said(campaign).filter(acceptable__isnull=False).exists()


def _said(campaign: Campaign) -> QuerySet[Annotation]:
    """What people say now.

    Judges' annotations are left out: they have an error rate of their own, and the holdout is
    what people say.
    """
    return Annotation.objects.filter(campaign=campaign, annotator__kind="human").labels()


def labels(campaign: Campaign, index: TextIndex) -> Labels:
    """Comparisons from all standing answers; see `derive` for what one answer gives.

    `neither` says that all are below the line, not which is better. A strength is about the
    responses that were shown, not about what an edit made of them, nor about the line.
    """
    rows: list[tuple[int, int, int, float, int, int, bool, bool, bool, int]] = []
    fields = (
        *("tiers", "acceptable", "outcome", "strength", "details__uncompared"),
        *("via", "extra__ranking", "extra__choice"),
        *("query__prompt_id", "query__prompt__is_holdout", "query__arm"),
        *("query__acquisition", "query_id"),
    )
    for said in _said(campaign).order_by("pk").values_list(*fields).iterator(chunk_size=10_000):
        tiers, acceptable, outcome, strength, uncompared, via, ranking, choice = said[:8]
        prompt, holdout, arm, method, query = said[8:]
        picked = via == Annotation.Via.IMPORT and not ranking and choice is not None
        found = derive(
            tiers,
            acceptable=acceptable,
            ordered=outcome != Outcome.NEITHER,
            # A choice among several that was imported: the others were not compared.
            uncompared=bool(uncompared) or (picked and sum(map(len, tiers or [])) > 2),
        )
        control = arm in ("random", "imported")
        blind = control or method in BLIND
        rows += [(*one, strength or 0, prompt, holdout, control, blind, query) for one in found]
    made = Response.objects.filter(prompt__campaign=campaign, parent__isnull=False)
    return _as_labels(rows, index, np.fromiter(made.values_list("pk", flat=True), np.int64))


def _as_labels(rows: list[Any], index: TextIndex, edits: Ints) -> Labels:
    table = np.array(rows, np.float64).reshape(-1, 10)
    ids = table[:, :2].astype(np.int64)
    places = np.where(ids == LINE, len(index.ids), index.rows(ids.ravel()).reshape(-1, 2))
    # What is not in the index was not embedded; an item may repeat a response.
    known = (places >= 0).all(axis=1) & (places[:, 0] != places[:, 1])
    table, ids, (left, right) = table[known], ids[known], places[known].T
    line = (ids == LINE).any(axis=1)
    strong = (table[:, 2] != 0) & ~line & ~np.isin(ids, edits).any(axis=1)
    # Half of the comparisons are turned round, so that "left" carries no meaning.
    turn = (np.arange(len(table)) % 2).astype(bool)
    return Labels(
        comparisons=Comparisons.of(
            np.where(turn, right, left),
            np.where(turn, left, right),
            np.where(turn, -table[:, 2], table[:, 2]).astype(np.int8),
            strength=np.where(strong, table[:, 4], 0).astype(np.int8),
            weight=table[:, 3],
        ),
        query=table[:, 9].astype(np.int64),
        prompt=table[:, 5].astype(np.int64),
        holdout=table[:, 6].astype(bool),
        control=table[:, 7].astype(bool),
        blind=table[:, 8].astype(bool),
        line=line,
    )
