"""What became of the questions that people were shown: answers, skips and seconds."""

from __future__ import annotations

import numpy as np

from annotator.models import Annotation, Campaign, QueryResponse
from annotator.querysets import CHECKS
from learning.answering import Events, pair_features
from worker.textindex import TextIndex

JUDGED = frozenset({"preference", "tie", "neither", "other"})
REFUSED = frozenset({"skip", "flag"})


def events(campaign: Campaign, index: TextIndex) -> Events:
    """One event for each person and pair, as things stand; imported history is left out.

    Its skips were never recorded, and its times were taken on other pages. What was taken back
    is no event, and what checks a person is none either: a repeat is answered faster.
    """
    shown = (
        Annotation.objects.filter(campaign=campaign, annotator__kind="human")
        .exclude(via=Annotation.Via.IMPORT)
        .exclude(query__arm__in=CHECKS)
        .current()
        .filter(outcome__in=JUDGED | REFUSED)
    )
    said = list(shown.order_by("pk").values_list("query_id", "outcome", "active_ms"))
    members: dict[int, list[int]] = {}
    asked = QueryResponse.objects.filter(query_id__in=shown.values("query_id"))
    for query, response in asked.order_by("pk").values_list("query_id", "response_id"):
        members.setdefault(query, []).append(response)
    kept = [row for row in said if len(members[row[0]]) == 2]
    pairs = np.array([members[query] for query, _, _ in kept], np.int64).reshape(-1, 2)
    rows = index.rows(pairs.ravel()).reshape(-1, 2)
    known = (rows >= 0).all(axis=1)
    seconds = [np.nan if ms is None else ms / 1000 for _, _, ms in kept]
    return Events(
        features=pair_features(index.surface, rows[known]),
        answered=np.array([outcome in JUDGED for _, outcome, _ in kept], bool)[known],
        seconds=np.array(seconds, np.float64)[known],
    )
