"""Texts as numbers: words, and hashes of runs of words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_WORD: Final = re.compile(r"\w+")
_SPREAD: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_FOLD: Final = np.uint64(0x94D049BB133111EB)
EDGE: Final = 1  # stands before the first and behind the last word


def words(text: str) -> list[str]:
    """Words in lower case, without punctuation; texts that look the same have the same."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


class Vocabulary:
    """Numbers for words, from 2 on, in the order in which they come."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}

    def __call__(self, text: str) -> NDArray[np.uint64]:
        """The words of a text as numbers."""
        known = self._number
        found = [known.setdefault(word, len(known) + 2) for word in words(text)]
        return np.array(found, np.uint64)


def mixed(values: Hashes) -> Hashes:
    """Scatter 64-bit numbers (the finaliser of splitmix64): a bijection."""
    values = (values ^ (values >> np.uint64(30))) * _MIX
    values = (values ^ (values >> np.uint64(27))) * _FOLD
    return np.asarray(values ^ (values >> np.uint64(31)))


def grams(numbers: Hashes, size: int) -> Hashes:
    """A hash for every run of ``size`` words, in order; none in shorter texts."""
    length = len(numbers) - size + 1
    if length <= 0:
        return np.empty(0, np.uint64)
    found = np.zeros(length, np.uint64)
    for offset in range(size):
        found = mixed(found * _SPREAD + numbers[offset : offset + length] + _SPREAD)
    return found


def shingles(texts: Iterable[str], size: int, most: int) -> Iterator[Hashes]:
    """For every text the distinct hashes of its runs of words, ascending, the smallest ``most``.

    Runs reach over both ends, so that texts of one word have some as well.
    """
    vocabulary = Vocabulary()
    edge = np.full(size - 1, EDGE, np.uint64)
    for text in texts:
        numbers = np.concatenate([edge, vocabulary(text), edge])
        yield np.unique(grams(numbers, size))[:most]
