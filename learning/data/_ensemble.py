"""Small networks side by side: their mean is the reward, their spread the uncertainty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from learning import _checks
from learning.data._belief import Belief, Floats, blocks, shrink, working_dtype
from learning.errors import ShapeError

_SCALARS = ("scale", "tie", "strength_slope", "log_evidence", "n_comparisons")
_ROWS_AT_A_TIME: Final = 1_024  # hidden layers of 20 members then take a few megabytes


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """``K`` networks with two hidden layers of ``H`` rectified units, stacked.

    Attributes:
        first: Shape ``(d, K, H)``; all are float32.
        first_bias: Shape ``(K, H)``.
        second: Shape ``(K, H, H)``.
        second_bias: Shape ``(K, H)``.
        last: Shape ``(K, H)``; no bias, which would cancel in every difference.
    """

    first: NDArray[np.float32]
    first_bias: NDArray[np.float32]
    second: NDArray[np.float32]
    second_bias: NDArray[np.float32]
    last: NDArray[np.float32]

    def __post_init__(self) -> None:
        for item in fields(self):
            values = np.asarray(getattr(self, item.name), dtype=np.float32)
            if not np.isfinite(values).all():
                raise ShapeError(f"{item.name} has NaN or infinite values")
            object.__setattr__(self, item.name, _checks.frozen(values))
        if self.first.ndim != 3:
            raise ShapeError(f"first must be (d, K, H), got {self.first.shape}")
        d, k, h = self.first.shape
        for name, shape in self.shapes(d, k, h).items():
            if getattr(self, name).shape != shape:
                raise ShapeError(f"{name} must be {shape}, got {getattr(self, name).shape}")

    @staticmethod
    def shapes(d: int, k: int, h: int) -> dict[str, tuple[int, ...]]:
        """Return the shape of every array of ``k`` networks of width ``h`` on ``d`` features."""
        return {
            "first": (d, k, h),
            "first_bias": (k, h),
            "second": (k, h, h),
            "second_bias": (k, h),
            "last": (k, h),
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def rewards(self, phi: Floats) -> Floats:
        """Return every network's reward of responses ``(m, d)``; shape ``(m, K)``."""
        d, k, h = self.first.shape
        first, bias, second, second_bias, last = (
            values.astype(phi.dtype, copy=False) for values in self.arrays().values()
        )
        found = np.empty((len(phi), k), dtype=phi.dtype)
        for part in blocks(len(phi), _ROWS_AT_A_TIME):
            hidden = phi[part] @ first.reshape(d, k * h) + bias.reshape(k * h)
            np.maximum(hidden, 0.0, out=hidden)
            deeper = hidden.reshape(-1, k, h).transpose(1, 0, 2) @ second  # (K, m, H)
            deeper += second_bias[:, None, :]
            np.maximum(deeper, 0.0, out=deeper)
            found[part] = (deeper @ last[:, :, None])[:, :, 0].T
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble(Belief):
    """The rewards of ``K`` networks as a Gaussian of rank ``K``.

    A whitened coordinate is a member's deviation from the mean over ``sqrt(K - 1)``, so that
    covariances are the sample covariances over members. Prediction needs numpy alone.

    Attributes:
        networks: The members.
        scale: Factor on all their rewards, positive.
        mix: What conditioning has made of the coordinates, shape ``(K, K)``; the identity
            unless given.
    """

    networks: Networks
    scale: float = 1.0
    mix: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.scale < np.inf or not self.tie >= 0:
            raise ShapeError("scale must be positive and tie at least 0")
        if self.members < 2:
            raise ShapeError("an ensemble has at least two members")
        if self.mix is not None:
            mix = _checks.matrix(self.mix, "mix", width=self.members)
            if len(mix) != self.members:
                raise ShapeError(f"mix must be square, got {mix.shape}")
            object.__setattr__(self, "mix", mix)

    @property
    def members(self) -> int:
        """Number of networks."""
        return int(self.networks.first.shape[1])

    @property
    def width(self) -> int:
        """Number of features of a response."""
        return int(self.networks.first.shape[0])

    @property
    def rank(self) -> int:
        """Number of columns of a whitened row."""
        return self.members

    def respond(
        self, features: Floats, rows: NDArray[np.int64], *, dtype: Any = None
    ) -> tuple[Floats, Floats]:
        """See :meth:`Belief.respond`."""
        phi = features[rows].astype(working_dtype(features, dtype), copy=False)
        rewards = self.networks.rewards(phi)
        rewards *= self.scale
        mean = rewards.mean(axis=1)
        rewards -= mean[:, None]
        rewards /= np.sqrt(self.members - 1)
        if self.mix is not None:
            rewards = rewards @ self.mix.astype(phi.dtype)
        return mean, rewards

    def condition(self, z: Floats, weight: NDArray[np.float64]) -> Self:
        """See :meth:`Belief.condition`."""
        root = shrink(z, weight)
        return replace(self, mix=root if self.mix is None else self.mix @ root)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """See :meth:`Belief.to_arrays`."""
        arrays: dict[str, NDArray[Any]] = {
            name: np.array([getattr(self, name)], dtype=np.float64) for name in _SCALARS
        }
        mix = np.eye(self.members) if self.mix is None else self.mix
        cuts = np.array(self.strength_cuts)
        return {**self.networks.arrays(), "mix": mix, "strength_cuts": cuts, **arrays}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Ensemble:
        """Undo :meth:`to_arrays`.

        Raises:
            ShapeError: an array is missing or has the wrong shape.
        """
        names = [item.name for item in fields(Networks)]
        if absent := {*names, "mix", "strength_cuts", *_SCALARS} - set(arrays):
            raise ShapeError(f"a stored ensemble lacks {', '.join(sorted(absent))}")
        scalars: dict[str, Any] = {name: float(np.ravel(arrays[name])[0]) for name in _SCALARS}
        scalars["n_comparisons"] = int(scalars["n_comparisons"])
        low, high = (float(cut) for cut in arrays["strength_cuts"])
        networks = Networks(**{name: arrays[name] for name in names})
        return cls(networks, mix=arrays["mix"], strength_cuts=(low, high), **scalars)
