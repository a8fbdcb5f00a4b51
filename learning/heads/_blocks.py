"""Block-diagonal matrices over responses: one block for each connected part of a graph.

Responses are mostly compared within their prompt, so that the curvature of their effects
falls into many small blocks. Blocks of similar size are stacked and handled together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm
from scipy.linalg.lapack import dlauum, dtrtri
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from learning.heads._laplace import Array

_LARGE = 32  # blocks from here on are not padded, and handled one by one


@dataclass(frozen=True, slots=True)
class Stack:
    """Blocks of one padded size.

    Attributes:
        items: Item of every place, ``k`` where there is none, shape ``(blocks, size)``.
        first: Where its numbers begin in the flat array of all blocks.
    """

    items: NDArray[np.int64]
    first: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the matrices."""
        count, size = self.items.shape
        return count, size, size

    def of(self, flat: Array) -> Array:
        """Return its matrices in a flat array of all blocks, a view."""
        return flat[self.first : self.first + int(np.prod(self.shape))].reshape(self.shape)


class Blocks:
    """The connected parts of ``k`` items that comparisons link.

    Args:
        left: Item on the left of each comparison, -1 for none, shape ``(n,)``.
        right: Item on the right, likewise.
        k: Number of items.
    """

    def __init__(self, left: NDArray[np.int64], right: NDArray[np.int64], k: int) -> None:
        self.k = k
        linked = (left >= 0) & (right >= 0)
        links = (np.ones(int(linked.sum())), (left[linked], right[linked]))
        _, part = connected_components(coo_array(links, shape=(k, k)), directed=False)
        size = np.bincount(part, minlength=1)
        padded = np.where(size < _LARGE, 2 ** np.ceil(np.log2(size)).astype(int), size)
        order = np.argsort(part, kind="stable")
        place = np.empty(k, dtype=np.int64)  # of each item in its part
        place[order] = np.arange(k) - np.repeat(np.cumsum(size) - size, size)
        self.stacks: list[Stack] = []
        row = np.empty(k, dtype=np.int64)  # where the item's row begins in the flat array
        self.total = 0
        for width in np.unique(padded):
            parts = np.flatnonzero(padded == width)
            mine = np.flatnonzero(padded[part] == width)
            nth = np.searchsorted(parts, part[mine])
            items = np.full((len(parts), width), k, dtype=np.int64)
            items[nth, place[mine]] = mine
            row[mine] = self.total + (nth * width + place[mine]) * width
            self.stacks.append(Stack(items, self.total))
            self.total += items.size * int(width)
        self._row, self._place = row, place
        self._ll = self._at(left, left)
        self._rr = self._at(right, right)
        self._lr = self._at(left, right)
        self._rl = self._at(right, left)

    def _at(self, one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
        """Position of a pair of items in the flat array, ``total`` where one is missing."""
        there = (one >= 0) & (other >= 0)
        return np.where(there, self._row[one] + self._place[other], self.total)

    def laplacian(self, weight: Array) -> Array:
        """Return ``sum_i weight_i (e_l - e_r)(e_l - e_r)^T`` over comparisons, flat."""
        places = np.concatenate([self._ll, self._rr, self._lr, self._rl])
        values = np.concatenate([weight, weight, -weight, -weight])
        summed = np.bincount(places, weights=values, minlength=self.total + 1)
        return summed[: self.total].astype(np.float64, copy=False)

    def differences(self, flat: Array) -> Array:
        """Return ``(e_l - e_r)^T M (e_l - e_r)`` of every comparison, ``(n,)``."""
        padded = np.append(flat, 0.0)
        crossed = padded[self._lr] + padded[self._rl]
        return np.asarray(padded[self._ll] + padded[self._rr] - crossed)

    def whitener(self, flat: Array, ridge: float) -> Array:
        """Return ``W`` with ``W^T W = (M + ridge I)^-1``, lower triangular blocks, flat."""
        found = np.empty(self.total)
        for stack in self.stacks:
            matrices = stack.of(flat) + ridge * np.eye(stack.items.shape[1])
            lower = np.linalg.cholesky(matrices)
            there = stack.items < self.k
            inverse = _inverse(np.asarray(lower, dtype=np.float64))
            stack.of(found)[...] = inverse * (there[:, :, None] & there[:, None, :])
        return found

    def gram(self, flat: Array) -> Array:
        """Return ``M^T M`` for lower triangular ``M``, flat."""
        found = np.empty(self.total)
        for stack in self.stacks:
            stack.of(found)[...] = _gram(stack.of(flat))
        return found

    def times(self, flat: Array, values: Array, *, transposed: bool = False) -> Array:
        """Return ``M values`` or ``M^T values`` for values ``(k, c)``."""
        padded = np.concatenate([values, np.zeros((1, values.shape[1]))])
        found = np.empty_like(padded)
        for stack in self.stacks:
            matrices = stack.of(flat)
            found[stack.items] = (matrices.transpose(0, 2, 1) if transposed else matrices) @ padded[
                stack.items
            ]
        return found[: self.k]

    def diagonal(self, flat: Array) -> Array:
        """Return the diagonal, ``(k,)``."""
        return np.asarray(flat[self._row + self._place])

    def dense(self, flat: Array) -> Array:
        """Return the matrix, ``(k, k)``."""
        found = np.zeros((self.k + 1, self.k + 1))
        for stack in self.stacks:
            found[stack.items[:, :, None], stack.items[:, None, :]] = stack.of(flat)
        return found[: self.k, : self.k]


# Small matrices take one call for the whole stack, large ones half the work in one call each.


def _inverse(lower: Array) -> Array:
    """Invert lower triangular matrices ``(c, m, m)``."""
    if lower.shape[1] < _LARGE:
        return np.tril(np.linalg.inv(lower))
    return np.stack([dtrtri(matrix, lower=1)[0] for matrix in lower])


def _gram(lower: Array) -> Array:
    """Return ``L^T L`` for lower triangular matrices ``(c, m, m)``."""
    if lower.shape[1] < _LARGE:
        return np.asarray(lower.transpose(0, 2, 1) @ lower)
    halves = np.stack([np.tril(dlauum(matrix, lower=1)[0]) for matrix in lower])
    return np.asarray(halves + np.tril(halves, -1).transpose(0, 2, 1))


def _times(lower: Array, values: Array, *, transposed: bool) -> Array:
    """Return ``L v`` or ``L^T v`` for lower triangular ``(c, m, m)`` and values ``(c, m, r)``."""
    if lower.shape[1] < _LARGE:
        return np.asarray((lower.transpose(0, 2, 1) if transposed else lower) @ values)
    pairs = zip(lower, values, strict=True)
    # A transposed matrix is in the order that BLAS wants, hence upper and the other way round.
    return np.stack([dtrmm(1.0, one.T, v, trans_a=not transposed) for one, v in pairs])
