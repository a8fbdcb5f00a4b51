"""Heads: what is trained on features. One file a head, one interface, one registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from learning.errors import ConfigError
from learning.heads.base import Head
from learning.heads.linear_bt import LinearBT, update

HEADS: Final[Mapping[str, Callable[[], Head]]] = {"linear_bt": LinearBT}
DEFAULT_HEAD: Final = "linear_bt"
SUMMARIES: Final[Mapping[str, str]] = {
    "linear_bt": (
        "A linear reward on the features with an exact Gaussian posterior. Refitted in well "
        "under a second, calibrated from the first answers, and right in most campaigns."
    ),
}


def get(name: str = DEFAULT_HEAD) -> Head:
    """Return a head with its default options.

    Raises:
        ConfigError: there is no head of that name.
    """
    if name not in HEADS:
        raise ConfigError(f"unknown head {name!r}; there are {', '.join(sorted(HEADS))}")
    return HEADS[name]()


__all__ = ["DEFAULT_HEAD", "HEADS", "SUMMARIES", "Head", "LinearBT", "get", "update"]
