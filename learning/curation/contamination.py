"""Whether rows hold passages of a benchmark, or of any other file that they should not hold.

A run of thirteen words in common, case and punctuation aside, is a match; documents that are
shorter but have at least eight words match as a whole. Runs that occur in more than ten documents
of the file are common phrases and do not count.

Source:
    Brown et al. (2020), arXiv:2005.14165, appendix C.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from learning.curation._finding import Finding, count, worst
from learning.curation._words import Hashes, Vocabulary, grams, words
from learning.errors import BadFile

RUN: Final = 13  # words
SHORTEST: Final = 8  # of a document that matches as a whole
COMMON: Final = 10  # documents
MOST_TEXT: Final = 500_000_000  # characters of the file
NAME: Final = "contamination"
_AT_A_TIME: Final = 1000  # rows


def contamination(rows: Iterable[str], documents: Iterable[str]) -> Finding:
    """Find rows that share a passage with the documents.

    Args:
        rows: Everything that a row holds as one text; they are gone through once.
        documents: What they should not hold.

    Returns:
        The rows with a match, which leaving out takes. The score of an example is the share of
        its runs of words that match; its note is the passage.
    """
    vocabulary = Vocabulary()
    known, texts = _runs(documents, vocabulary)
    found: list[int] = []
    scores: list[float] = []
    notes: list[str] = []
    start, left = 0, iter(rows)
    while part := list(islice(left, _AT_A_TIME)):
        for row, share, passage in _matches(part, known, vocabulary):
            found.append(start + row)
            scores.append(share)
            notes.append(passage)
        start += len(part)
    return Finding(
        name=NAME,
        rows=len(found),
        of=start,
        sentence=_sentence(len(found), texts),
        examples=worst(found, scores, notes),
        drop=np.array(found, np.int64),
        figures={"documents": texts, "words": RUN, "shortest": SHORTEST},
    )


def _runs(documents: Iterable[str], vocabulary: Vocabulary) -> tuple[dict[int, Hashes], int]:
    """Hashes by the length of the run, ascending, without common phrases; and how many texts."""
    parts: dict[int, list[Hashes]] = {}
    texts = 0
    for text in documents:
        texts += 1
        numbers = vocabulary(text)
        size = min(len(numbers), RUN)
        if size >= SHORTEST:
            parts.setdefault(size, []).append(np.unique(grams(numbers, size)))
    known = {}
    for size, runs in parts.items():
        values, times = np.unique(np.concatenate(runs), return_counts=True)
        # A whole document that is there often is one that was copied, not a phrase.
        known[size] = values[times <= COMMON] if size == RUN else values
    return known, texts


def _matches(
    texts: Sequence[str], known: dict[int, Hashes], vocabulary: Vocabulary
) -> Iterator[tuple[int, float, str]]:
    """Row, share of its runs that match, and the passage, of rows with a match; all texts of a
    batch in one array, runs that reach over the end of a text left out."""
    each = [vocabulary(text) for text in texts]
    numbers = np.concatenate(each) if each else np.empty(0, np.uint64)
    sizes = np.array([len(one) for one in each], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    owner = np.repeat(np.arange(len(each)), sizes)
    best: dict[int, tuple[float, int, Any]] = {}
    for size in sorted(known, reverse=True):
        hits = _hits(grams(numbers, size), known[size])
        hits &= owner[: len(hits)] == owner[size - 1 :]
        for row in np.unique(owner[: len(hits)][hits]).tolist():
            own = hits[starts[row] : starts[row + 1] - size + 1]
            share = float(own.mean())
            if row not in best or share > best[row][0]:
                best[row] = share, size, own
    for row, (share, size, own) in sorted(best.items()):
        yield row, share, _passage(texts[row], own, size)


def _hits(runs: Hashes, among: Hashes) -> NDArray[np.bool_]:
    if not len(among) or not len(runs):
        return np.zeros(len(runs), bool)
    at = np.minimum(np.searchsorted(among, runs), len(among) - 1)
    return np.asarray(among[at] == runs)


def _passage(text: str, hits: Any, size: int) -> str:
    """The words of the longest unbroken match."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hits.astype(np.int8), [0]])))
    starts, stops = edges[::2], edges[1::2]
    longest = int((stops - starts).argmax())
    found = words(text)[starts[longest] : stops[longest] + size - 1]
    return " ".join(found[:40]) + (" …" if len(found) > 40 else "")


def _sentence(rows: int, texts: int) -> str:
    where = f"the {count(texts, 'document')} of the file"
    if not rows:
        return f"No row shares a run of {RUN} words with {where}."
    has = "shares" if rows == 1 else "share"
    return f"{count(rows, 'row')} {has} a run of {RUN} words, or a whole short text, with {where}."


# --- the file -------------------------------------------------------------------------------


def read_documents(path: Path) -> Iterator[str]:
    """Documents of a file: every JSON line is one, with all its texts; otherwise, what blank
    lines separate. Names that end in ``.gz`` are unpacked.

    Raises:
        BadFile: it is not UTF-8, damaged, too long, or has no text at all.
    """
    found = False
    try:
        for text in _documents(path):
            found = True
            yield text
    except UnicodeDecodeError as error:
        raise BadFile(f"{path.name}: it is not UTF-8: {error.reason}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{path.name}: it cannot be read: {error}") from error
    if not found:
        raise BadFile(f"{path.name}: there is no text in it")


def _documents(path: Path) -> Iterator[str]:
    packed = path.name.endswith(".gz")
    opened: Any = gzip.open if packed else open
    paragraph: list[str] = []
    length = 0
    with opened(path, "rt", encoding="utf-8-sig") as lines:
        for line in lines:
            length += len(line)
            if length > MOST_TEXT:
                raise BadFile(f"{path.name}: more than {MOST_TEXT:,} characters")
            record = _record(line)
            if record is not None or not line.strip():
                yield from _whole(paragraph)
                paragraph = []
            if record:
                yield record
            elif record is None and line.strip():
                paragraph.append(line)
        yield from _whole(paragraph)


def _whole(paragraph: list[str]) -> Iterator[str]:
    if paragraph:
        yield " ".join(paragraph)


def _record(line: str) -> str | None:
    """All texts of a JSON object or list; None where the line is none."""
    if line.lstrip()[:1] not in ("{", "[", '"'):
        return None
    try:
        return "\n".join(_strings(json.loads(line)))
    except (ValueError, RecursionError):
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)
