"""Addresses that are told what happens in a campaign."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tiebreak.client.errors import NotFound
from tiebreak.client.http import Connection
from tiebreak.client.results import Delivery, read


@dataclass(frozen=True)
class Webhook:
    """An address and what it is told of; `secret` is told once, when it is made."""

    id: int
    url: str
    events: tuple[str, ...]
    active: bool
    created_at: datetime
    secret: str = field(default="", repr=False)
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def change(
        self,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        active: bool | None = None,
    ) -> Webhook:
        """Another address, other events, or switched on or off."""
        wanted = {"url": url, "events": events and list(events), "active": active}
        body = {name: value for name, value in wanted.items() if value is not None}
        row = self._site.call("PATCH /webhooks/{id}/", id=self.id, body=body)
        return replace(read(Webhook, row, _site=self._site), secret=self.secret)

    def remove(self) -> None:
        """Remove it, with its log; it may be gone already."""
        try:
            self._site.call("DELETE /webhooks/{id}/", id=self.id)
        except NotFound:
            return

    def test(self) -> Delivery:
        """Send an event of type `test` now."""
        return read(Delivery, self._site.create("POST /webhooks/{id}/test/", id=self.id))

    def deliveries(
        self, *, state: str | None = None, event: str | None = None
    ) -> Iterator[Delivery]:
        """The log, the newest first."""
        query = {"state": state, "event": event}
        for row in self._site.pages("GET /webhooks/{id}/deliveries/", query, id=self.id):
            yield read(Delivery, row)

    def send_again(self, delivery: Delivery) -> Delivery:
        """Send one again, under the same id."""
        again = "POST /webhooks/{id}/deliveries/{delivery}/again/"
        return read(Delivery, self._site.create(again, id=self.id, delivery=delivery.id))
