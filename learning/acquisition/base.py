"""The one signature of all acquisition functions, and how their options are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from learning.data import Context, Pool, Posterior, Selection
from learning.errors import ConfigError


@dataclass(frozen=True, slots=True)
class NoConfig:
    """For functions without options."""


class Select(Protocol):
    """Chooses up to ``batch`` eligible pairs.

    Pure: the same arguments and generator state give the same picks. Swapping the sides of
    any pair changes nothing. Fewer eligible pairs than ``batch`` are all returned.
    """

    def __call__(
        self,
        pool: Pool,
        posterior: Posterior,
        context: Context,
        batch: int,
        *,
        rng: np.random.Generator,
        config: Any,
    ) -> Selection:
        """Return the picks, best first."""


@dataclass(frozen=True, slots=True)
class Method:
    """An acquisition function with what people need to choose it.

    Attributes:
        name: Name in the registry, in configurations and in every stored query.
        summary: One paragraph for a researcher: what it looks for, when it helps, when not.
        diagnostic: It is there to be compared with, not to label with.
        config_type: Frozen dataclass of its options; every one has a default, and its
            ``__post_init__`` raises ``ValueError`` for values out of range.
        select: The function.
    """

    name: str
    summary: str
    diagnostic: bool
    config_type: type[Any]
    select: Select

    def parse_config(self, given: Mapping[str, Any] | None = None) -> Any:
        """Return options from plain JSON values, missing ones at their defaults.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range.
        """
        kinds = {item.name: item.type for item in fields(self.config_type)}
        options: dict[str, Any] = {}
        for option, value in dict(given or {}).items():
            if option not in kinds:
                known = ", ".join(sorted(kinds)) or "none"
                raise ConfigError(f"{self.name} has no option {option!r}; it has: {known}")
            options[option] = _as_kind(value, kinds[option], f"{self.name}.{option}")
        try:
            return self.config_type(**options)
        except ValueError as error:
            raise ConfigError(f"{self.name}: {error}") from error


def _as_kind(value: Any, kind: Any, where: str) -> Any:
    """Check a JSON value against an annotation: ``int``, ``float``, ``bool`` or ``str``."""
    name = kind if isinstance(kind, str) else kind.__name__
    right: dict[str, tuple[type, ...]] = {
        "int": (int,),
        "float": (int, float),
        "bool": (bool,),
        "str": (str,),
    }
    convert: Any = float if name == "float" else right[name][0]
    a_switch = isinstance(value, bool) and name != "bool"  # True is an int to Python
    if a_switch or not isinstance(value, right[name]):
        raise ConfigError(f"{where} must be {name}, got {value!r}")
    return convert(value)


def top(
    score: NDArray[np.float64],
    pool: Pool,
    batch: int,
    *,
    rng: np.random.Generator,
    **info: Any,
) -> Selection:
    """Pick the eligible pairs with the highest scores, equal scores in random order.

    Args:
        score: Larger is better, shape ``(N,)``, no NaN.
        pool: Says which pairs may be asked.
        batch: How many to pick at most.
        rng: Breaks ties; without it the order of import would decide.
        info: Facts to keep with the selection.
    """
    masked = np.where(pool.eligible, score, -np.inf)
    candidates = pool.candidates
    order = np.lexsort((rng.random(len(candidates)), -masked[candidates]))
    picked = candidates[order[: max(batch, 0)]]
    return Selection(indices=picked, gain=masked[picked], score=masked, info=info)
