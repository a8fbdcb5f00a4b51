"""Files in any format, taken in by a worker."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tiebreak.client.errors import ImportRefused, TimedOut
from tiebreak.client.http import Connection
from tiebreak.client.progress import Wish, progress
from tiebreak.client.results import named, read

ENDED = ("done", "refused", "failed", "cancelled")
CHECKED = "checked"
SLOWEST = 3.0  # seconds between two looks at an import


@dataclass(frozen=True)
class Import:
    """An import as it was when it was last looked at.

    Attributes:
        counts: Rows read, items, annotations, rejected, …
        shown: The first items, shortened: how the file is read.
        problems: What is wrong with the first bad rows.
    """

    id: str
    campaign: str
    name: str
    size: int
    sha256: str
    options: dict[str, Any]
    state: str
    format: str
    container: str
    counts: dict[str, Any]
    shown: list[Any]
    problems: list[Any]
    rejects_url: str | None = field(metadata=named("rejects"))
    error: str
    created_at: datetime
    finished_at: datetime | None
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def refresh(self) -> Import:
        """The import as it is now."""
        return read(Import, self._site.call("GET /imports/{id}/", id=self.id), _site=self._site)

    def wait(self, *, timeout: float = 3600.0, progress_bar: Wish = None) -> Import:
        """Wait until it is stored, or waits to be confirmed.

        Raises:
            ImportRefused: nothing was stored; the message names the first problems.
            TimedOut: not in this time; it goes on.
        """
        began, pause, now = time.monotonic(), 0.1, self
        with progress(progress_bar, f"{self.name} is read", unit="rows") as tell:
            while now.state not in (*ENDED, CHECKED):
                if time.monotonic() - began > timeout:
                    raise TimedOut(f"import {self.id} is {now.state} after {timeout:.0f} s")
                time.sleep(pause)
                pause = min(SLOWEST, 1.5 * pause)
                now = now.refresh()
                tell(int(now.counts.get("read", 0)), None)
        if now.state in ("refused", "failed", "cancelled"):
            raise ImportRefused(now.state, now.error, now.problems)
        return now

    def confirm(
        self,
        *,
        keep_good: bool | None = None,
        history: bool | None = None,
        strength_max: float | None = None,
    ) -> Import:
        """Have it stored after a look, or although some rows were bad."""
        wanted = {"keep_good": keep_good, "history": history, "strength_max": strength_max}
        body = {name: value for name, value in wanted.items() if value is not None}
        row = self._site.create("POST /imports/{id}/confirm/", body, id=self.id)
        return read(Import, row, _site=self._site)

    def cancel(self) -> None:
        """Stop it; nothing is stored.

        Raises:
            Conflict: it has ended.
        """
        self._site.call("DELETE /imports/{id}/", id=self.id, repeatable=False)

    def rejects(self) -> list[dict[str, Any]]:
        """The bad rows, and what is wrong in each; empty where none is."""
        if self.rejects_url is None:
            return []
        with self._site.stream("GET /imports/{id}/rejects/", id=self.id) as (response, _):
            return [json.loads(line) for line in response.read().splitlines()]
