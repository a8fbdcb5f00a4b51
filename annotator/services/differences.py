"""What lies between two exports: rows added, removed and changed, and what was chosen otherwise."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from annotator.errors import InvalidInput
from annotator.models import Snapshot
from annotator.services.export_files import PROVENANCE
from annotator.services.snapshots import find_part, store

EXAMPLES = 20  # ids of each kind that are named
SAME = ("campaign", "format")
TOLD = ("container", "code_version", "guidelines_version", "model_round", "newest_answer")
Lines = Callable[[], IO[bytes]]


@dataclass
class Difference:
    """Rows by the id of their question; a question's second row is `ID/2`.

    Attributes:
        added, removed, changed, same: How many rows.
        examples: Ids of the first rows of each kind.
        options: What differs, as (old, new) by name.
    """

    added: int = 0
    removed: int = 0
    changed: int = 0
    same: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)
    options: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def note(self, kind: str, name: str) -> None:
        """Remember one row of a kind."""
        listed = self.examples.setdefault(kind, [])
        if len(listed) < EXAMPLES:
            listed.append(name)

    @property
    def nothing(self) -> bool:
        """Whether they are the same."""
        return not (self.added or self.removed or self.changed)


def compare(*, old: Snapshot, new: Snapshot, rows: bool = True) -> Difference:
    """Compare two finished snapshots of one campaign in one format.

    Args:
        rows: Whether rows are compared, too: that reads both provenances.

    Raises:
        InvalidInput: one is not ready, or they are of different campaigns or formats.
    """
    parts = [find_part(snapshot=one, part=PROVENANCE) for one in (old, new)]
    for name in SAME:
        if old.manifest[name] != new.manifest[name]:
            raise InvalidInput(
                f"exports of different {name}s have nothing to compare: "
                f"{old.manifest[name]} and {new.manifest[name]}"
            )
    found = Difference()
    if rows:
        found = compare_rows(*(lambda key=part.key: store().open(key) for part in parts))
    was, is_ = ({**one.manifest["options"], **_told(one)} for one in (old, new))
    found.options = {
        name: (was.get(name), is_.get(name))
        for name in dict.fromkeys((*was, *is_))
        if was.get(name) != is_.get(name)
    }
    return found


def _told(snapshot: Snapshot) -> dict[str, Any]:
    return {name: snapshot.manifest.get(name) for name in TOLD}


def compare_rows(old: Lines, new: Lines) -> Difference:
    """Compare two provenances. Of the old one sixteen bytes a row are kept, and no text."""
    found = Difference()
    with old() as stream:
        before = {_key(name): row for name, row in _named(stream)}
    with new() as stream:
        for name, row in _named(stream):
            was = before.pop(_key(name), None)
            if was is None:
                found.added += 1
                found.note("added", name)
            elif was != row:
                found.changed += 1
                found.note("changed", name)
            else:
                found.same += 1
    found.removed = len(before)
    if before:
        with old() as stream:
            for name, _ in _named(stream):
                if _key(name) in before:
                    found.note("removed", name)
                    if len(found.examples["removed"]) == min(EXAMPLES, found.removed):
                        break
    return found


def _named(stream: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Name and checksum of each row; a question's rows follow each other."""
    times: Counter[str] = Counter()
    for line in stream:
        about = json.loads(line)
        name = about["id"]
        if name not in times:
            times.clear()
        times[name] += 1
        number = times[name]
        if "row" not in about:
            raise InvalidInput("an export from before this version says nothing of its rows")
        yield (name if number == 1 else f"{name}/{number}"), int(about["row"], 16)


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def find(name: str) -> Snapshot | Path:
    """A snapshot by its id, or the provenance beside a file.

    Raises:
        InvalidInput: there is neither.
    """
    try:
        snapshot = Snapshot.objects.select_related("campaign").filter(pk=UUID(name)).first()
    except ValueError:
        snapshot = None
    if snapshot is not None:
        return snapshot
    for path in (Path(f"{name}.{PROVENANCE}"), Path(name)):
        if path.is_file():
            return path
    raise InvalidInput(f"{name!r} is neither the id of an export nor a file")
