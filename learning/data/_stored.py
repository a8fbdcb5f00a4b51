"""Beliefs from stored arrays, whatever kind they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from numpy.typing import NDArray

from learning.data._ensemble import Ensemble
from learning.data._posterior import Posterior
from learning.errors import ShapeError

# By an array that this kind alone has.
_KINDS: Final[Mapping[str, type[Posterior] | type[Ensemble]]] = {
    "theta": Posterior,
    "first": Ensemble,
}


def belief_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Posterior | Ensemble:
    """Undo :meth:`Belief.to_arrays` of any kind of belief.

    Raises:
        ShapeError: the arrays are of no kind known here, or one is missing or has the wrong
            shape.
    """
    for name, kind in _KINDS.items():
        if name in arrays:
            return kind.from_arrays(arrays)
    known = ", ".join(kind.__name__ for kind in _KINDS.values())
    raise ShapeError(f"stored arrays of no known kind of belief ({known})")
