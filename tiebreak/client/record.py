"""Reading what a campaign has, asked, was told and learnt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from tiebreak.client.errors import TimedOut
from tiebreak.client.http import InCampaign
from tiebreak.client.results import (
    Annotation,
    Annotator,
    Item,
    Metrics,
    ModelVersion,
    Query,
    Round,
    read,
)

ENDED = ("published", "failed")
POLL = 1.0  # seconds


class Record(InCampaign):
    """Lists are iterators: pages are fetched as they are needed."""

    def items(
        self, *, group: str | None = None, source: str | None = None, task: str | None = None
    ) -> Iterator[Item]:
        """The pool."""
        query = {"group": group, "source": source, "task": task}
        for row in self._site.pages("GET /campaigns/{slug}/items/", query, slug=self.slug):
            yield read(Item, row)

    def item(self, id: str) -> Item:  # noqa: A002
        """One item, by its id in the import."""
        where = "GET /campaigns/{slug}/items/{item}/"
        return read(Item, self._site.call(where, slug=self.slug, item=id))

    def queries(
        self,
        *,
        arm: str | None = None,
        round: int | None = None,  # noqa: A002
        acquisition: str | None = None,
        withdrawn: bool | None = None,
        to: str | None = None,
        reason: str | None = None,
    ) -> Iterator[Query]:
        """Questions that were put, the newest first; with `to` those for a person or the judge."""
        query = {
            "arm": arm,
            "round": round,
            "acquisition": acquisition,
            "withdrawn": withdrawn,
            "to": to,
            "reason": reason,
        }
        for row in self._site.pages("GET /campaigns/{slug}/queries/", query, slug=self.slug):
            yield read(Query, row)

    def query(self, id: int) -> Query:  # noqa: A002
        """One question."""
        where = "GET /campaigns/{slug}/queries/{id}/"
        return read(Query, self._site.call(where, slug=self.slug, id=id))

    def annotations(
        self,
        *,
        annotator: str | None = None,
        kind: str | None = None,
        outcome: str | None = None,
        query: int | None = None,
        since: datetime | str | None = None,
        standing: bool | None = None,
    ) -> Iterator[Annotation]:
        """Everything that was recorded, the newest first; with `standing` only what counts."""
        filters = {
            "annotator": annotator,
            "kind": kind,
            "outcome": outcome,
            "query": query,
            "since": since,
            "standing": standing,
        }
        for row in self._site.pages("GET /campaigns/{slug}/annotations/", filters, slug=self.slug):
            yield read(Annotation, row)

    def annotators(self) -> Iterator[Annotator]:
        """Pseudonyms with what they did."""
        for row in self._site.pages("GET /campaigns/{slug}/annotators/", slug=self.slug):
            yield read(Annotator, row)

    def rounds(self, *, state: str | None = None) -> Iterator[Round]:
        """Rounds, the newest first."""
        query = {"state": state}
        for row in self._site.pages("GET /campaigns/{slug}/rounds/", query, slug=self.slug):
            yield read(Round, row)

    def round(self, number: int) -> Round:
        """One round."""
        where = "GET /campaigns/{slug}/rounds/{number}/"
        return read(Round, self._site.call(where, slug=self.slug, number=number))

    def models(self, *, kind: str | None = None) -> Iterator[ModelVersion]:
        """Versions of the reward model, the newest first."""
        query = {"kind": kind}
        for row in self._site.pages("GET /campaigns/{slug}/models/", query, slug=self.slug):
            yield read(ModelVersion, row)

    def metrics(self) -> Metrics:
        """Counts, the learning curve on the holdout, the newest encoder card."""
        return read(Metrics, self._site.call("GET /campaigns/{slug}/metrics/", slug=self.slug))

    def wait_for_rounds(self, *, timeout: float = 600.0) -> Round | None:
        """Wait until no round is under way; returns the newest.

        Raises:
            TimedOut: one is still under way; it goes on.
        """
        began = time.monotonic()
        while True:
            newest = next(self.rounds(), None)
            if newest is None or newest.state in ENDED:
                return newest
            if time.monotonic() - began > timeout:
                raise TimedOut(f"round {newest.number} is {newest.state} after {timeout:.0f} s")
            time.sleep(POLL)
