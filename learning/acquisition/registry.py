"""All acquisition functions by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from learning.acquisition import entropy, random
from learning.acquisition.base import Method
from learning.errors import ConfigError

METHODS: Final[Mapping[str, Method]] = {
    method.name: method for method in (random.METHOD, entropy.METHOD)
}


def get(name: str) -> Method:
    """Return an acquisition function.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in METHODS:
        raise ConfigError(f"unknown acquisition {name!r}; there are {', '.join(sorted(METHODS))}")
    return METHODS[name]
