"""Exports: asked for, waited for, downloaded and checked."""

from __future__ import annotations

import gzip
import hashlib
import json
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from urllib3.exceptions import HTTPError

from tiebreak.client.errors import Corrupt, ExportFailed, TimedOut, Unreachable
from tiebreak.client.http import Connection, Waits
from tiebreak.client.progress import Tell, Wish, progress
from tiebreak.client.results import Difference, named, read

BLOCK = 256 * 1024
ENDED = ("ready", "failed", "cancelled")
SLOWEST = 3.0  # seconds between two looks at an export
PROVENANCE = "provenance.jsonl"


@dataclass(frozen=True)
class Export:
    """An export as it was when it was last looked at."""

    id: str
    campaign: str
    format: str
    options: dict[str, Any]
    state: str
    error: str
    manifest: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None
    download_url: str | None = field(default=None, metadata=named("download"))
    container: str = "jsonl"
    _site: Connection = field(repr=False, compare=False, kw_only=True)

    @property
    def parts(self) -> list[str]:
        """Files of a finished export, the rows first."""
        return list(self.manifest.get("files", {}))

    def refresh(self) -> Export:
        """The export as it is now."""
        return read(Export, self._site.call("GET /exports/{id}/", id=self.id), _site=self._site)

    def wait(self, *, timeout: float = 3600.0, progress_bar: Wish = None) -> Export:
        """Wait until it is built.

        Raises:
            ExportFailed: it could not be built.
            TimedOut: not in this time; it is still being built.
        """
        began, pause, now = time.monotonic(), 0.1, self
        with progress(progress_bar, f"{self.format} is built", unit="s") as tell:
            while now.state not in ENDED:
                passed = time.monotonic() - began
                if passed > timeout:
                    raise TimedOut(f"export {self.id} is {now.state} after {passed:.0f} s")
                tell(int(passed), None)
                time.sleep(pause)
                pause = min(SLOWEST, 1.5 * pause)
                now = now.refresh()
        if now.state != "ready":
            raise ExportFailed(now.error or f"the export was {now.state}")
        return now

    def cancel(self) -> None:
        """Stop one that is being built.

        Raises:
            Conflict: it has ended.
        """
        self._site.call("DELETE /exports/{id}/", id=self.id, repeatable=False)

    def difference(self, older: Export) -> Difference:
        """Rows that came, went or changed since an older export."""
        query = {"with": older.id}
        row = self._site.call("GET /exports/{id}/difference/", id=self.id, query=query)
        return read(Difference, row)

    def download(self, to: str | Path = ".", part: str = "", *, progress_bar: Wish = None) -> Path:
        """Download one file of a finished export into a folder; what is there is checked, not sent.

        A download that breaks off is taken up where it was, also by another call later: what is
        there lies beside as `.NAME.….part`.

        Args:
            to: The folder.
            part: One of `parts`; the rows where it is empty.

        Raises:
            Corrupt: what came does not have the checksum of the manifest.
            Unreachable: nothing came for too long.
        """
        part = part or self.parts[0]
        about = self.manifest["files"][part]
        name = f"{self.campaign}-{self.format}-{part}".replace("/", "-")
        target = Path(to) / name
        if target.exists() and _sha256(target) == about["sha256"]:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{name}.{about['sha256'][:12]}.part")
        with progress(progress_bar, name, unit="B") as tell:
            for _ in range(2):  # what lay there from before may be broken
                self._fetch(part, partial, about["bytes"], tell)
                if _sha256(partial) == about["sha256"]:
                    return partial.replace(target)
                partial.unlink()
        raise Corrupt(f"{name} of export {self.id} does not have the checksum of its manifest")

    def download_all(self, to: str | Path = ".", *, progress_bar: Wish = None) -> list[Path]:
        """Download every file, the rows first."""
        return [self.download(to, part, progress_bar=progress_bar) for part in self.parts]

    def _fetch(self, part: str, into: Path, size: int, tell: Tell) -> None:
        """Append to a file until it has its size, or the site says that there is no more."""
        waits = Waits(self._site.patience)
        into.touch()
        while (have := into.stat().st_size) < size:
            try:
                self._append(part, into, have, size, tell)
                return
            except HTTPError as error:  # broken off
                if into.stat().st_size > have:
                    waits.restart()
                if not waits.sleep():
                    raise Unreachable(f"the download of {part} stopped: {error}") from error

    def _append(self, part: str, into: Path, have: int, size: int, tell: Tell) -> None:
        where = "GET /exports/{id}/download/"
        query = {"part": part}
        with (
            self._site.stream(where, id=self.id, query=query, start=have) as (response, start),
            into.open("r+b") as file,
        ):
            file.seek(start)
            file.truncate()
            while block := response.read1(BLOCK):  # what is there: nothing is lost with the rest
                file.write(block)
                tell(file.tell(), size)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a downloaded file: JSON Lines, compressed or not, or one JSON list.

    Raises:
        ValueError: it is another kind of file.
    """
    if path.name.endswith(".jsonl.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    if path.suffix == ".json":
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return found
    raise ValueError(f"{path.name}: expected JSON Lines or JSON; open this file with its library")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
