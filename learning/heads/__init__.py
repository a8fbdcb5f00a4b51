"""Heads: what is trained on features. One file a head, one interface, one registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from learning.errors import ConfigError
from learning.heads._recurring import choose, recurrence, recurring
from learning.heads.base import Head
from learning.heads.ensemble import DeepEnsemble
from learning.heads.item_bt import ItemBT
from learning.heads.linear_bt import LinearBT, update

HEADS: Final[Mapping[str, Callable[[], Head]]] = {
    "linear_bt": LinearBT,
    "item_bt": ItemBT,
    "ensemble": DeepEnsemble,
}
DEFAULT_HEAD: Final = "linear_bt"
SUMMARIES: Final[Mapping[str, str]] = {
    "linear_bt": (
        "A linear reward on the features with an exact Gaussian posterior. Refitted in well "
        "under a second, calibrated from the first answers, and right in most campaigns."
    ),
    "item_bt": (
        "The linear reward plus an effect of its own for every response that recurs in several "
        "pairs. Choose it where responses are compared again and again, as in rankings: it "
        "learns what the features cannot see, and knows what they leave unexplained. How large "
        "effects are is estimated from the answers, so it hardly ever does worse. No gain where "
        "every response is seen in one pair; with thousands of recurring responses a round "
        "takes longer."
    ),
    "ensemble": (
        "Twenty small neural networks on the features; their disagreement is the uncertainty. "
        "Choose it where a linear reward is too simple and some hundred answers are in. A "
        "refit takes seconds rather than a fraction of one, less on a GPU, and with twenty "
        "members there are only twenty directions of doubt, so that batches of more than a "
        "few dozen questions are chosen less sharply than with a linear head."
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


__all__ = [
    "DEFAULT_HEAD",
    "HEADS",
    "SUMMARIES",
    "DeepEnsemble",
    "Head",
    "ItemBT",
    "LinearBT",
    "choose",
    "get",
    "recurrence",
    "recurring",
    "update",
]
