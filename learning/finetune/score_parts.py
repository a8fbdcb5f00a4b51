"""Work on a large file that goes on after a stop: what is computed is kept beside the output.

``OUT.parts/`` holds the values of the items that are done, bound to the model, the file and how
it is read, and the output as far as it is written. It goes when the output is whole.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final

from learning.errors import BadFile, ConfigError
from learning.finetune.score_writing import line, whole
from learning.replay.command import tell
from learning.replay.files import Item, read_rows

DONE: Final = "done.jsonl"
AT_ONCE: Final = 256  # items whose texts are in memory, and whose values are kept together

Row = dict[str, Any]
Compute = Callable[[Sequence[Item]], Sequence[Any]]
Written = Callable[[Row, Any], Mapping[str, Any]]


def write(file: Path, out: Path, bound: Mapping[str, Any], compute: Compute, row: Written) -> int:
    """Write a row for every item of a file, going on where an earlier run was stopped.

    The file is read through before anything is computed, so that a bad line is named at once.

    Args:
        file: Items.
        out: Where the rows go; there whole or not at all.
        bound: What the values depend on besides the file: what is kept for other work is not used.
        compute: Values of some items, one each; plain JSON without NaN. It must not depend on
            which items come together, but for those of one part.
        row: What is written, of a row as it came and its value.

    Returns:
        How many items there are.

    Raises:
        BadFile: the file cannot be read, or there is no item in it.
        ConfigError: the output cannot be written, or another run is writing it.
    """
    if out.exists() and out.samefile(file):
        raise ConfigError("--out must be another file than the one that is read")
    items = sum(1 for _ in read_rows(file))
    if not items:
        raise BadFile(f"{file}: there is no item in it")
    with _kept(out, {**bound, "sha256": _sha256(file), "items_a_part": AT_ONCE}) as parts:
        done = 0
        with whole(out, aside=parts.folder / "written") as stream:
            for part in chunks(read_rows(file)):
                values = parts.next()
                if values is None:
                    values = parts.add(compute([item for _, item in part]))
                if len(values) != len(part):
                    raise BadFile(f"{file} changed while it was read")
                for (came, _), value in zip(part, values, strict=True):
                    stream.write(line(row(came, value)))
                done += len(part)
                if done % (4 * AT_ONCE) == 0:
                    tell(f"{done:,} of {items:,} items")
        parts.forget()
    return items


def chunks(rows: Iterable[tuple[Row, Item]]) -> Iterator[list[tuple[Row, Item]]]:
    """Yield rows ``AT_ONCE`` at a time."""
    waiting = iter(rows)
    while part := list(islice(waiting, AT_ONCE)):
        yield part


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror or error}") from error


@dataclass(slots=True)
class _Parts:
    """Values that are done, one line for each part, after one that says what they are bound to."""

    out: Path
    folder: Path
    file: IO[bytes]
    left: int  # parts that an earlier run has left and that were not read yet
    some: bool = False  # whether anything was done, by an earlier run or this one

    def next(self) -> list[Any] | None:
        """The values of the next part, where they are there already."""
        if not self.left:
            return None
        self.left -= 1
        values: list[Any] = json.loads(self.file.readline())
        return values

    def add(self, values: Sequence[Any]) -> list[Any]:
        """Keep the values of a part, and return them."""
        found = list(values)
        text = json.dumps(found, allow_nan=False)
        try:
            _append(self.file, text)
        except OSError as error:
            raise _unwritable(self.out, error) from error
        self.some = True
        return found

    def forget(self) -> None:
        """Remove what was kept: the output has it all, or there is nothing."""
        (self.folder / DONE).unlink(missing_ok=True)
        with suppress(OSError):  # somebody's file is in it
            self.folder.rmdir()


@contextmanager
def _kept(out: Path, bound: Mapping[str, Any]) -> Iterator[_Parts]:
    """Open what an earlier run has left; what is bound to something else is dropped.

    Raises:
        ConfigError: it cannot be written, or another run is at it.
    """
    folder = out.with_name(f"{out.name}.parts")
    with ExitStack() as stack:
        try:
            folder.mkdir(exist_ok=True)
            file = stack.enter_context(_locked(folder / DONE, out))
            count = _begun(file, json.dumps(bound, sort_keys=True), folder)
        except OSError as error:
            raise _unwritable(out, error) from error
        parts = _Parts(out, folder, file, left=count, some=count > 0)
        if count:
            tell(f"{count * bound['items_a_part']:,} items are done already")
        try:
            yield parts
        finally:
            if not parts.some:
                parts.forget()


def _begun(file: IO[bytes], head: str, folder: Path) -> int:
    """Bring a file of parts to the first that is wanted; how many are left by an earlier run."""
    ends = _ends(file)
    file.seek(0)
    if not ends or file.readline().decode(errors="replace").rstrip("\n") != head:
        if len(ends) > 1:
            tell(f"{folder} is of another model, file or setting: it is begun anew")
        file.seek(0)
        file.truncate()
        _append(file, head)
        return 0
    file.truncate(ends[-1])
    file.seek(ends[0])
    return len(ends) - 1


@contextmanager
def _locked(path: Path, out: Path) -> Iterator[IO[bytes]]:
    """Open a file for one run at a time."""
    with path.open("ab"):  # it is there from now on
        pass
    with path.open("r+b") as file:
        busy = ConfigError(f"another run is writing {out}")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        if not path.exists() or os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            raise busy  # it has just ended, and removed the file
        yield file


def _ends(file: IO[bytes]) -> list[int]:
    """Where each line ends, up to the first that a stop, or a full disk, cut off."""
    ends: list[int] = []
    file.seek(0)
    while (text := file.readline()).endswith(b"\n"):
        try:
            json.loads(text)
        except ValueError:
            break
        ends.append(file.tell())
    return ends


def _append(file: IO[bytes], text: str) -> None:
    file.write(text.encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{out} cannot be written: {error.strerror or error}")
