"""The encoder without a model: hashed words and characters, randomly projected.

Stateless, so nothing has to be fitted or shipped, and the same in every process. It sees
vocabulary and spelling, not meaning; it is what remains where no model may be installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from learning.text import RECIPE, well_formed

DIM: Final = 256
KEY: Final = f"hashed:1:words1-2+chars3-4:{DIM}:{RECIPE}"
_BUCKETS: Final = 2**14  # each for words and for characters
_SEED: Final = 20_240
_LONGEST: Final = 20_000  # characters


class HashedEncoder:
    """Signed hashing of word and character n-grams, ``log(1 + count)``, projected to 256."""

    key: ClassVar[str] = KEY
    dim: ClassVar[int] = DIM

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer  # 2.6 s; only when used

        shared = {"n_features": _BUCKETS, "norm": None, "alternate_sign": True}
        self._vectorizers: list[Any] = [
            HashingVectorizer(ngram_range=(1, 2), **shared),
            HashingVectorizer(analyzer="char_wb", ngram_range=(3, 4), **shared),
        ]
        self._projections = np.split(_signs(2 * _BUCKETS), 2)

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return unit vectors ``(n, 256)``; a text without words or characters gives zeros."""
        out = np.zeros((len(texts), DIM), dtype=np.float32)
        for start in range(0, len(texts), batch_size):
            batch = [well_formed(text[:_LONGEST]) for text in texts[start : start + batch_size]]
            rows = out[start : start + len(batch)]
            for vectorizer, projection in zip(self._vectorizers, self._projections, strict=True):
                counts = vectorizer.transform(batch)
                counts.data = np.sign(counts.data) * np.log1p(np.abs(counts.data))
                part = counts @ projection
                rows += part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12)
            rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return out


def _signs(rows: int) -> NDArray[np.float32]:
    """Return a fixed matrix of plus and minus one, shape ``(rows, DIM)``.

    Raw bits of the generator are the same in every numpy; its distributions need not be.
    """
    raw = np.random.PCG64(_SEED).random_raw(rows * DIM // 64).astype("<u8")
    bits = np.unpackbits(raw.view(np.uint8)).reshape(rows, DIM)
    return bits.astype(np.float32) * 2 - 1
