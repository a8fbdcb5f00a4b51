"""All routing policies by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from learning.errors import ConfigError
from learning.routing.policies import (
    all_human,
    all_judge,
    guaranteed,
    judge_confidence,
    learned,
    random_mix,
)
from learning.routing.policies.base import Policy

POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        all_human.METHOD,
        all_judge.METHOD,
        random_mix.METHOD,
        judge_confidence.METHOD,
        learned.METHOD,
        guaranteed.METHOD,
    )
}
DEFAULT_POLICY: Final = "learned"


def get(name: str = DEFAULT_POLICY) -> Policy:
    """Return a routing policy.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in POLICIES:
        raise ConfigError(f"unknown policy {name!r}; there are {', '.join(sorted(POLICIES))}")
    return POLICIES[name]
