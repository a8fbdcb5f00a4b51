"""A linear reward with a Gaussian over its weights, optionally one effect a response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.blas import dtrmm, strmm

from learning import _checks
from learning.data._belief import Belief, Floats, shrink, working_dtype
from learning.errors import ShapeError

_SCALARS = (
    "prior_precision",
    "item_precision",
    "tie",
    "strength_slope",
    "log_evidence",
    "n_comparisons",
)


def _nobody() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Posterior(Belief):
    """Weights ``theta ~ N(mean, L L^T)`` of the reward ``phi . theta + b[response]``.

    Attributes:
        theta: Posterior mean, shape ``(d + k,)``: weights of the ``d`` features, then the
            effects of the ``k`` responses in ``items``.
        factor: ``L`` with covariance ``L L^T``, shape ``(d + k, rank)``. Any such factor will
            do; multiplying with an upper triangular one takes half the time.
        prior_precision: The precision ``lambda`` of the feature weights, positive.
        items: Rows of the feature matrix that have an effect of their own, ascending, shape
            ``(k,)``; all others have the effect 0. Empty for a head without item effects.
        item_precision: The precision ``lambda_b`` of the effects, positive.
    """

    theta: NDArray[np.float64]
    factor: NDArray[np.float64]
    prior_precision: float
    items: NDArray[np.int64] = field(default_factory=_nobody, kw_only=True)
    item_precision: float = field(default=1.0, kw_only=True)
    _triangular: bool = field(init=False, repr=False, default=False)
    _single: tuple[Floats, Floats] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        theta = _checks.matrix(np.atleast_2d(np.asarray(self.theta)), "theta")
        if len(theta) != 1:
            raise ShapeError(f"theta must have shape (d,), got {np.shape(self.theta)}")
        factor = _checks.matrix(self.factor, "factor")
        if len(factor) != theta.shape[1]:
            raise ShapeError(f"factor must be ({theta.shape[1]}, rank), got {factor.shape}")
        if not (self.prior_precision > 0 and self.item_precision > 0 and self.tie >= 0):
            raise ShapeError("precisions must be positive and tie at least 0")
        items = _checks.vector(self.items, "items", np.int64)
        if len(items) > theta.shape[1] or (np.diff(items) <= 0).any() or (items < 0).any():
            raise ShapeError("items must be distinct rows in ascending order, one weight each")
        object.__setattr__(self, "theta", _checks.frozen(theta[0].astype(np.float64)))
        object.__setattr__(self, "factor", _checks.frozen(factor.astype(np.float64)))
        object.__setattr__(self, "items", items)
        square = factor.shape[0] == factor.shape[1] and not len(items)
        object.__setattr__(self, "_triangular", square and not np.tril(factor, -1).any())
        # Rounded once, not for every block of pairs: at 1 024 features that is half the time.
        single = (self.theta.astype(np.float32), self.factor.astype(np.float32))
        object.__setattr__(self, "_single", single)

    @property
    def dim(self) -> int:
        """Number of weights, item effects included."""
        return len(self.theta)

    @property
    def width(self) -> int:
        """Number of features of a response."""
        return len(self.theta) - len(self.items)

    @property
    def rank(self) -> int:
        """Number of columns of the factor."""
        return int(self.factor.shape[1])

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the weights, shape ``(dim, dim)``. Formed anew at each call."""
        return self.factor @ self.factor.T

    def reward(self, features: Floats) -> NDArray[np.float64]:
        """Return mean rewards in logits for features ``(m, width)``; shape ``(m,)``."""
        self.check_width(features)
        found = np.asarray(features @ self.theta[: self.width], dtype=np.float64)
        found[self.items] += self.theta[self.width :]
        return found

    def respond(
        self, features: Floats, rows: NDArray[np.int64], *, dtype: Any = None
    ) -> tuple[Floats, Floats]:
        """See :meth:`Belief.respond`."""
        phi = features[rows].astype(working_dtype(features, dtype), copy=False)
        return self._project(phi, self._effects(rows))

    def whiten(
        self, features: Floats, pairs: NDArray[np.int64], *, dtype: Any = None
    ) -> tuple[Floats, Floats]:
        """See :meth:`Belief.whiten`; responses or differences are projected, the fewer."""
        used, place = np.unique(pairs, return_inverse=True)
        if len(used) < len(pairs):
            left, right = place.reshape(-1, 2).T
            reward, spread = self.respond(features, used, dtype=dtype)
            return reward[left] - reward[right], spread[left] - spread[right]
        kind = working_dtype(features, dtype)
        x = features[pairs[:, 0]].astype(kind, copy=False)  # indexing has copied already
        x -= features[pairs[:, 1]]
        return self._project(x, self._effects(pairs[:, 0]), self._effects(pairs[:, 1]))

    def draw_rewards(
        self, features: Floats, rows: NDArray[np.int64], k: int, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """See :meth:`Belief.draw_rewards`; weights are drawn, so that no row is whitened."""
        drawn = self.theta[:, None] + self.factor @ rng.standard_normal((self.rank, k))
        kind = working_dtype(features)
        weights = drawn[: self.width].astype(kind)
        found = np.empty((len(rows), k))
        for part in self.blocks(len(rows)):
            found[part] = features[rows[part]].astype(kind, copy=False) @ weights
        place = self._effects(rows)
        with_effect = np.flatnonzero(place >= 0)
        found[with_effect] += drawn[self.width + place[with_effect]]
        return found

    def difference(self, features: Floats, pair: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return ``x`` with margin ``x . theta`` for one pair ``(2,)`` of rows; shape ``(dim,)``.

        What the online update takes: the differences of features and of effects.
        """
        self.check_width(features)
        left, right = pair
        x = np.zeros(self.dim)
        x[: self.width] = features[left].astype(np.float64) - features[right]
        for sign, at in zip((1.0, -1.0), self._effects(np.asarray(pair)), strict=True):
            if at >= 0:
                x[self.width + at] += sign
        return x

    def condition(self, z: Floats, weight: NDArray[np.float64]) -> Self:
        """See :meth:`Belief.condition`."""
        return replace(self, factor=self.factor @ shrink(z, weight))

    def draw(self, k: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw ``k`` weight vectors, shape ``(k, dim)``."""
        noise = rng.standard_normal((k, self.rank))
        return np.asarray(self.theta + noise @ self.factor.T)

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """See :meth:`Belief.to_arrays`."""
        arrays = {name: np.array([getattr(self, name)], dtype=np.float64) for name in _SCALARS}
        rest = {"strength_cuts": np.array(self.strength_cuts), "items": self.items.astype(float)}
        return {"theta": self.theta, "factor": self.factor, **rest, **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Posterior:
        """Undo :meth:`to_arrays`.

        Raises:
            ShapeError: an array is missing or has the wrong shape.
        """
        wanted = {"theta", "factor", "strength_cuts", "items", *_SCALARS}
        if absent := wanted - set(arrays):
            raise ShapeError(f"a stored posterior lacks {', '.join(sorted(absent))}")
        scalars: dict[str, Any] = {name: float(np.ravel(arrays[name])[0]) for name in _SCALARS}
        scalars["n_comparisons"] = int(scalars["n_comparisons"])
        low, high = (float(cut) for cut in arrays["strength_cuts"])
        return cls(
            theta=arrays["theta"],
            factor=arrays["factor"],
            items=arrays["items"],
            strength_cuts=(low, high),
            **scalars,
        )

    def _project(self, x: Floats, *places: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return ``x . theta`` and ``x L``, with the item effects at ``places`` (first minus
        second, -1 for none); weights are rounded to the dtype of ``x``."""
        theta, factor = self._single if x.dtype == np.float32 else (self.theta, self.factor)
        reward = x @ theta[: self.width]
        if self._triangular and len(x) > 1:
            # (x L)^T = L^T x^T: the transposes are in the order that BLAS wants, no copies, and
            # x, made here for this, is overwritten: fresh memory costs more than the product.
            product = dtrmm if x.dtype == np.float64 else strmm
            return reward, product(1.0, factor.T, x.T, lower=1, overwrite_b=1).T
        spread = x @ factor[: self.width]
        if len(self.items):
            for sign, place in zip((1, -1), places, strict=False):
                with_effect = np.flatnonzero(place >= 0)
                at = self.width + place[with_effect]
                reward[with_effect] += sign * theta[at]
                spread[with_effect] += sign * factor[at]
        return reward, spread

    def _effects(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place of each row in ``items``, -1 where it has no effect of its own."""
        if not len(self.items):
            return np.full(len(rows), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.items, rows), len(self.items) - 1)
        return np.where(self.items[at] == rows, at, -1)
