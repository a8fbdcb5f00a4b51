"""What people rated single responses with: their marks by aspect, on the training side alone.

The form `rate` keeps marks by aspect and response id; an import has them by aspect in the order of
its item's responses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Q
from numpy.typing import NDArray

from annotator.models import Annotation, Campaign, ItemResponse
from worker.store import Ints

MOST = 32  # aspects; of more those that were rated most
FAR = 1e9  # a mark beyond is a slip of an import
LINE = "acceptable"  # draws the line of good enough, which is no mark

Mark = tuple[str, int, float]  # aspect, response id, mark


@dataclass(frozen=True)
class Ratings:
    """Mean marks of responses.

    Attributes:
        aspects: Names, sorted, ``k`` of them.
        ids: Response ids, ascending, shape ``(r,)``; each was rated on some aspect.
        marks: Mean over people, NaN where nobody rated, shape ``(r, k)``, float32.
    """

    aspects: tuple[str, ...]
    ids: Ints
    marks: NDArray[np.float32]


def ratings(campaign: Campaign, ids: Ints) -> Ratings:
    """What people said of these responses in standing answers, never about held-out prompts.

    Each answer counts as one mark. Judges rate as well, but how wrong they are is known of their
    comparisons only.
    """
    wanted = set(ids.tolist())
    given = [one for one in _given(campaign) if one[1] in wanted]
    count = Counter(aspect for aspect, _, _ in given)
    aspects = tuple(sorted(name for name, _ in count.most_common(MOST)))
    rated = np.unique(np.array([pk for name, pk, _ in given if name in aspects], np.int64))
    total = np.zeros((len(rated), len(aspects)))
    times = np.zeros((len(rated), len(aspects)))
    column = {name: place for place, name in enumerate(aspects)}
    row = {int(pk): place for place, pk in enumerate(rated)}
    for name, pk, mark in given:
        if name in column:
            total[row[pk], column[name]] += mark
            times[row[pk], column[name]] += 1
    mean = np.divide(total, times, out=np.full(total.shape, np.nan), where=times > 0)
    return Ratings(aspects, rated, mean.astype(np.float32))


def _given(campaign: Campaign) -> Iterator[Mark]:
    """All marks; each answer's own."""
    people = Annotation.objects.filter(campaign=campaign, annotator__kind="human").labels()
    told = people.exclude(query__prompt__is_holdout=True).filter(
        Q(details__rate__has_key="ratings") | Q(extra__has_key="ratings")
    )
    places = _places(campaign) if told.filter(via=Annotation.Via.IMPORT).exists() else {}
    fields = ("via", "details__rate__ratings", "extra__ratings", "query__item_id")
    for via, own, came, item in told.values_list(*fields).iterator(chunk_size=10_000):
        if via == Annotation.Via.IMPORT:
            yield from _came(came, places.get(item, []))
        else:
            yield from _own(own)


def _places(campaign: Campaign) -> dict[int | None, list[int]]:
    """Response ids of each item, in its order."""
    found: dict[int | None, list[int]] = {}
    listed = ItemResponse.objects.filter(item__campaign=campaign).order_by("item_id", "position")
    for item, response in listed.values_list("item_id", "response_id").iterator(chunk_size=10_000):
        found.setdefault(item, []).append(response)
    return found


def _own(said: Mapping[str, Mapping[str, float]] | None) -> Iterator[Mark]:
    for aspect, marks in (said or {}).items():
        yield from ((aspect, int(pk), float(mark)) for pk, mark in marks.items())


def _came(said: Any, places: list[int]) -> Iterator[Mark]:
    """Of an import, whose ratings may be anything."""
    for aspect, marks in said.items() if isinstance(said, dict) else ():
        if aspect == LINE or not isinstance(marks, list) or len(marks) != len(places):
            continue
        for pk, mark in zip(places, marks, strict=True):
            number = isinstance(mark, int | float) and not isinstance(mark, bool)
            if number and abs(mark) <= FAR:
                yield aspect, pk, float(mark)
