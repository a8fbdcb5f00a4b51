"""Checks at the boundary: convert once, refuse loudly, hand back read-only arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.errors import ShapeError

_ROWS_AT_A_TIME = 16_384


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view; the caller's own array stays writable."""
    view = array.view()
    view.flags.writeable = False
    return view


def vector(values: ArrayLike, name: str, dtype: Any, *, length: int | None = None) -> NDArray[Any]:
    """Return ``values`` as a read-only 1-d array of ``dtype``.

    Raises:
        ShapeError: it is not 1-d, not of ``length``, or does not fit ``dtype`` exactly.
    """
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(dtype)
    if array.ndim != 1 or (length is not None and len(array) != length):
        wanted = "(n,)" if length is None else f"({length},)"
        raise ShapeError(f"{name} must have shape {wanted}, got {array.shape}")
    return frozen(exact(array, name, dtype))


def pairs(values: ArrayLike, name: str, *, rows: int) -> NDArray[np.int64]:
    """Return row-index pairs as a read-only ``(n, 2)`` int64 array, every index in ``[0, rows)``.

    Raises:
        ShapeError: wrong shape, an index out of range, or a response paired with itself.
    """
    array = np.asarray(values)
    if array.size == 0:
        array = np.empty((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ShapeError(f"{name} must have shape (n, 2), got {array.shape}")
    array = exact(array, name, np.int64)
    within(array, name, rows=rows)
    if (array[:, 0] == array[:, 1]).any():
        raise ShapeError(f"{name} pairs a response with itself")
    return frozen(array)


def within(indices: NDArray[np.int64], name: str, *, rows: int) -> None:
    """Refuse indices outside ``[0, rows)``; negative ones would silently count from the end."""
    if indices.size and (indices.min() < 0 or indices.max() >= rows):
        raise ShapeError(f"{name} must lie in [0, {rows}), got {indices.min()}..{indices.max()}")


def exact(array: NDArray[Any], name: str, dtype: Any) -> NDArray[Any]:
    """Convert to ``dtype``, refusing a conversion that changes values."""
    if array.dtype == dtype:
        return array
    if array.dtype.kind not in "biuf":
        raise ShapeError(f"{name} must be numeric, got dtype {array.dtype}")
    with np.errstate(invalid="ignore"):
        converted = array.astype(dtype)
    if np.dtype(dtype).kind != "f" and not np.array_equal(converted, array):
        raise ShapeError(f"{name} does not fit {np.dtype(dtype)} without loss")
    return converted


def matrix(values: ArrayLike, name: str, *, width: int | None = None) -> NDArray[np.floating[Any]]:
    """Return a finite read-only ``(n, d)`` matrix; float16, 32 and 64 are kept as they are.

    Raises:
        ShapeError: not 2-d, not ``width`` wide, or it holds NaN or infinity.
    """
    array = np.asarray(values)
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        wanted = "(n, d)" if width is None else f"(n, {width})"
        raise ShapeError(f"{name} must have shape {wanted}, got {array.shape}")
    if array.dtype not in (np.float16, np.float32, np.float64):
        array = exact(array, name, np.float64)
    for start in range(0, len(array), _ROWS_AT_A_TIME):  # a mask of the whole would cost m*d bytes
        finite = np.isfinite(array[start : start + _ROWS_AT_A_TIME]).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise ShapeError(f"{name} has NaN or infinite values, first in row {row}")
    return frozen(array)
