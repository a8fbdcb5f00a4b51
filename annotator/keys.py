"""Keys of the workspace: what can be done with one, the defaults, and a person's own choice.

A key belongs to an action, not to a button: `choice.3` is the third choice of whatever group is
being answered. Keys are compared in lower case, and never fire while somebody types.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from annotator.errors import InvalidInput

ACTIONS: Final[Mapping[str, tuple[str, str]]] = {
    **{f"choice.{n}": (str(n), f"choice {n}") for n in range(1, 10)},
    "choice.10": ("0", "choice 10"),
    "choice.0": ("0", "mark 0"),
    "tie": ("t", "equally good"),
    "neither": ("n", "neither is good enough"),
    "both": ("y", "both are good"),
    "good.yes": ("y", "good enough"),
    "good.no": ("n", "not good enough"),
    "thumb.up": ("u", "thumbs up"),
    "thumb.down": ("d", "thumbs down"),
    "wrong": ("x", "none is good enough, nothing to change"),
    "edit": ("e", "write in the edit"),
    "reason": ("r", "write a reason"),
    "mark": ("m", "mark the selected passage"),
    "next": ("j", "next group of choices"),
    "back": ("k", "previous group of choices"),
    "skip": ("s", "skip"),
    "flag": ("f", "flag a problem"),
    "undo": ("z", "undo the last answer"),
    "as_written": ("p", "texts as written"),
    "differences": ("v", "differences between the responses"),
    "scroll": ("l", "scroll responses together"),
    "guidelines": ("g", "guidelines"),
}
DEFAULTS: Final[Mapping[str, str]] = {action: key for action, (key, _) in ACTIONS.items()}
# Actions that are never offered on one page may share a key.
APART: Final = (
    {"choice.0", "choice.10"},
    {"both", "good.yes"},
    {"neither", "good.no"},
)
KEY: Final = re.compile(r"\S")  # one visible character


def keys_for(own: Mapping[str, str] | None) -> dict[str, str]:
    """Action to key: the defaults with a person's own keys over them."""
    return {**DEFAULTS, **{a: k for a, k in (own or {}).items() if a in DEFAULTS}}


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """A person's keys that differ from the defaults.

    Raises:
        InvalidInput: an unknown action, more than one character, or one key for two actions.
    """
    own: dict[str, str] = {}
    for action, key in given.items():
        if action not in DEFAULTS:
            raise InvalidInput(f"there is no action {action!r}")
        key = key.strip().lower()
        if not key:
            continue
        if not KEY.fullmatch(key):
            said = f"{ACTIONS[action][1]}: expected one character, got {key!r:.20}"
            raise InvalidInput(said)
        if key != DEFAULTS[action]:
            own[action] = key
    _refuse_clashes(keys_for(own))
    return own


def _refuse_clashes(keys: Mapping[str, str]) -> None:
    taken: dict[str, list[str]] = {}
    for action, key in keys.items():
        for other in taken.get(key, []):
            if not any({action, other} <= group for group in APART):
                raise InvalidInput(
                    f"{key.upper()} would be both “{ACTIONS[other][1]}” and “{ACTIONS[action][1]}”"
                )
        taken.setdefault(key, []).append(action)
