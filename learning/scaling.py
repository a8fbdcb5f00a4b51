"""Putting embeddings and surface features on one scale, so that one prior suits all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning import _checks
from learning.errors import NotEnoughData, ShapeError

_TINY = 1e-6  # below what float16 embeddings can carry
_PAIRS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Standardizer:
    """Centre and scale of every column of ``[embedding | surface]``.

    Attributes:
        mean: Shape ``(d,)``; drops out of every difference, and keeps numbers small.
        scale: Shape ``(d,)``, positive, ``inf`` for a column without variation (it becomes 0).
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def __post_init__(self) -> None:
        mean = _checks.vector(self.mean, "mean", np.float64)
        scale = _checks.vector(self.scale, "scale", np.float64, length=len(mean))
        if not np.isfinite(mean).all() or not (scale > 0).all():
            raise ShapeError("mean must be finite and scale positive")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "scale", scale)

    @classmethod
    def fit(
        cls,
        embeddings: NDArray[np.floating[Any]],
        surface: NDArray[np.floating[Any]] | None,
        pairs: ArrayLike,
    ) -> Standardizer:
        """Measure centre and scale on candidate pairs.

        Each block is scaled so that a typical pair differs by 1 in it (root mean square of the
        norm): the embedding by one number, which keeps its geometry, the surface features each
        by its own. Heads then need one prior, and a prior precision of 1 means a prior margin
        variance of about 1 logit^2 a block. Only pairs matter, because only differences reach
        a head; how prompts differ from each other would drown how responses do.

        Args:
            embeddings: One row a response, shape ``(m, e)``.
            surface: Surface features of the same responses, shape ``(m, s)``, or ``None``.
            pairs: Candidate pairs as rows, shape ``(N, 2)``; at most 20 000, evenly spread,
                are looked at.

        Raises:
            NotEnoughData: there are no pairs.
            ShapeError: shapes disagree, or a value is NaN or infinite.
        """
        embeddings = _checks.matrix(embeddings, "embeddings")
        rows = _checks.pairs(pairs, "pairs", rows=len(embeddings))
        if not len(rows):
            raise NotEnoughData("features cannot be scaled without candidate pairs")
        left, right = rows[:: max(1, len(rows) // _PAIRS)].T
        spread = _mean_square(embeddings, left, right)
        whole = np.sqrt(spread.sum())
        mean, scale = [_centre(embeddings)], [np.full(len(spread), _or_inf(whole))]
        if surface is not None:
            surface = _checks.matrix(surface, "surface")
            each = np.sqrt(_mean_square(surface, left, right))
            varying = max(1, int((each > _TINY).sum()))
            mean.append(_centre(surface))
            scale.append(_or_inf(each) * np.sqrt(varying))
        return cls(mean=np.concatenate(mean), scale=np.concatenate(scale))

    def transform(
        self, embeddings: NDArray[np.floating[Any]], surface: NDArray[np.floating[Any]] | None
    ) -> NDArray[np.float32]:
        """Return ``([embeddings | surface] - mean) / scale``, shape ``(m, d)``, float32.

        Raises:
            ShapeError: the widths do not add up to ``d``.
        """
        blocks = [embeddings] if surface is None else [embeddings, surface]
        width = sum(block.shape[1] for block in blocks)
        if width != len(self.mean):
            raise ShapeError(f"expected {len(self.mean)} columns, got {width}")
        out = np.empty((len(embeddings), width), dtype=np.float32)
        start = 0
        for block in blocks:
            part = slice(start, start + block.shape[1])
            # Not one expression over everything: that would hold a second, float64 copy.
            np.subtract(block, self.mean[part].astype(np.float32), out=out[:, part])
            out[:, part] *= (1.0 / self.scale[part]).astype(np.float32)
            start = part.stop
        return out

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return both vectors by name, for safetensors or npz."""
        return {"mean": self.mean, "scale": self.scale}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Standardizer:
        """Undo :meth:`to_arrays`.

        Raises:
            ShapeError: one is missing or they disagree.
        """
        if absent := {"mean", "scale"} - set(arrays):
            raise ShapeError(f"a stored standardizer lacks {', '.join(sorted(absent))}")
        return cls(mean=arrays["mean"], scale=arrays["scale"])


def _mean_square(
    values: NDArray[np.floating[Any]], left: NDArray[np.int64], right: NDArray[np.int64]
) -> NDArray[np.float64]:
    if int(max(left.max(), right.max())) >= len(values):
        raise ShapeError(f"pairs point beyond the {len(values)} rows of surface features")
    difference = values[left].astype(np.float64) - values[right]
    return np.asarray(np.square(difference).mean(axis=0))


def _centre(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    return np.asarray(values.mean(axis=0, dtype=np.float64))


def _or_inf(scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace scales of (nearly) constant columns by infinity: they become 0, not huge."""
    return np.where(scale > _TINY, scale, np.inf)
