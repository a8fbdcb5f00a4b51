"""What every encoder offers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Encoder(Protocol):
    """Turns texts into vectors; the same text always gives the same vector."""

    @property
    def key(self) -> str:
        """Names everything a vector depends on: weights, revision, truncation, text recipe."""

    @property
    def dim(self) -> int:
        """Width of a vector."""

    def encode(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Return one vector a text, shape ``(n, dim)``, finite; no texts give ``(0, dim)``."""
