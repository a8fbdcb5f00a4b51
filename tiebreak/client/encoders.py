"""Encoders that were trained on a campaign's answers."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from tiebreak.client.errors import TimedOut
from tiebreak.client.http import Connection
from tiebreak.client.results import read

ENDED = ("promoted", "not_promoted", "failed", "cancelled")
MEASURED = ("done", "failed")
SLOWEST = 15.0  # seconds between two looks at a training


@dataclass(frozen=True)
class TrainingEstimate:
    """What a training would take, as it was last read.

    `figures` has labels, folds, epochs, `memory` (bytes) and `duration` (steps, tokens, seconds,
    each low and high; None where memory is too small). `error` says why there are none.
    """

    id: int
    campaign: str
    method: str
    plan: dict[str, Any]
    state: str
    figures: dict[str, Any]
    error: str
    created_at: datetime
    finished_at: datetime | None
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def refresh(self) -> TrainingEstimate:
        """Read it again."""
        row = self._site.call("GET /encoder-estimates/{id}/", id=self.id)
        return read(TrainingEstimate, row, _site=self._site)

    def wait(self, *, timeout: float = 600.0) -> TrainingEstimate:
        """Wait until it was measured, or could not be: `state` says.

        Raises:
            TimedOut: not in this time; it goes on.
        """
        began, now = time.monotonic(), self
        while now.state not in MEASURED:
            passed = time.monotonic() - began
            if passed > timeout:
                raise TimedOut(f"estimate {self.id} is {now.state} after {passed:.0f} s")
            time.sleep(0.5)
            now = now.refresh()
        return now


@dataclass(frozen=True)
class Encoder:
    """One fine-tuning as it was last read, and what became of it.

    `gate` has the figures of the new and the old model on the holdout, `reason` in a sentence why
    it is used or not.
    """

    id: int
    campaign: str
    number: int
    base: str
    base_version: int | None
    method: str
    plan: dict[str, Any]
    state: str
    detail: str
    error: str
    reason: str
    record: dict[str, Any]
    gate: dict[str, Any]
    in_use: bool
    key: str
    annotations_seen: int
    comparisons: int
    trigger: str
    created_at: datetime
    finished_at: datetime | None
    promoted_at: datetime | None
    rolled_back_at: datetime | None
    download_url: str | None = field(default=None, metadata={"key": "download"})
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    def refresh(self) -> Encoder:
        """Read it again."""
        return self._read(self._site.call("GET /encoders/{id}/", id=self.id))

    def _read(self, row: dict[str, Any]) -> Encoder:
        return read(Encoder, row, _site=self._site)

    def wait(self, *, timeout: float = 24 * 3600.0) -> Encoder:
        """Wait until it has ended, however it did: `state` says.

        Raises:
            TimedOut: not in this time; it goes on.
        """
        began, pause, now = time.monotonic(), 0.5, self
        while now.state not in ENDED:
            passed = time.monotonic() - began
            if passed > timeout:
                raise TimedOut(f"encoder version {self.number} is {now.state} after {passed:.0f} s")
            time.sleep(pause)
            pause = min(SLOWEST, 1.5 * pause)
            now = now.refresh()
        return now

    def cancel(self) -> Encoder:
        """Stop the training; what is in use stays so.

        Raises:
            Conflict: it has ended.
        """
        return self._read(self._site.create("POST /encoders/{id}/cancel/", id=self.id))

    def use(self) -> Encoder:
        """Use it again from the next round on.

        Raises:
            Conflict: it was never promoted, or is in use.
        """
        return self._read(self._site.create("POST /encoders/{id}/use/", id=self.id))

    def roll_back(self) -> Encoder:
        """Use the version before, or the campaign's own encoder, from the next round on.

        Raises:
            Conflict: it is not in use.
        """
        return self._read(self._site.create("POST /encoders/{id}/roll-back/", id=self.id))

    def download(self, to: str | Path = ".") -> Path:
        """Download the trained model into a folder: a Hugging Face folder in a tar archive.

        Raises:
            Invalid: there is none: it has not ended, or came to nothing.
        """
        target = Path(to) / f"{self.campaign}-encoder-{self.number}.tar"
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.part")
        where = "GET /encoders/{id}/download/"
        with self._site.stream(where, id=self.id) as (response, _), half.open("wb") as file:
            shutil.copyfileobj(response, file)
        return half.replace(target)
