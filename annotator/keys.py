"""Keys of the workspace: what can be done with one, the defaults, and a person's own choice.

A key belongs to an action, not to a button: `choice.3` is the third choice of whatever group is
being answered. Keys are compared in lower case, and never fire while somebody types.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from annotator.errors import InvalidAnswer

CHOICE: Final = gettext_lazy("choice {n} of a row")
ANSWERS: Final[Mapping[str, tuple[str, str | Promise]]] = {
    **{f"choice.{n}": (str(n), format_lazy(CHOICE, n=n)) for n in range(1, 10)},
    "choice.10": ("0", format_lazy(CHOICE, n=10)),
    "choice.0": ("0", gettext_lazy("mark 0, on scales that begin with it")),
    "tie": ("t", gettext_lazy("equally good")),
    "neither": ("n", gettext_lazy("neither is good enough")),
    "both": ("y", gettext_lazy("both are good")),
    "good.yes": ("y", gettext_lazy("good enough")),
    "good.no": ("n", gettext_lazy("not good enough")),
    "thumb.up": ("u", gettext_lazy("thumbs up")),
    "thumb.down": ("d", gettext_lazy("thumbs down")),
    "wrong": ("x", gettext_lazy("none is good enough; nothing to change")),
    "skip": ("s", gettext_lazy("skip")),
    "flag": ("f", gettext_lazy("flag a problem")),
}
WRITING: Final[Mapping[str, tuple[str, str | Promise]]] = {
    "next": ("j", gettext_lazy("next row of choices")),
    "back": ("k", gettext_lazy("previous row of choices")),
    "reason": ("r", gettext_lazy("write a reason")),
    "edit": ("e", gettext_lazy("write in the edit")),
    "mark": ("m", gettext_lazy("mark the selected passage")),
}
LOOKING: Final[Mapping[str, tuple[str, str | Promise]]] = {
    "undo": ("z", gettext_lazy("undo the last answer")),
    "history": ("h", gettext_lazy("my answers")),
    "guidelines": ("g", gettext_lazy("guidelines")),
    "as_written": ("p", gettext_lazy("texts as they were written")),
    "differences": ("v", gettext_lazy("differences between the responses")),
    "scroll": ("l", gettext_lazy("scroll the responses together")),
}
GROUPS: Final = (
    (gettext_lazy("Answers"), ANSWERS),
    (gettext_lazy("Moving and writing"), WRITING),
    (gettext_lazy("Looking around"), LOOKING),
)
ACTIONS: Final[Mapping[str, tuple[str, str | Promise]]] = {**ANSWERS, **WRITING, **LOOKING}
DEFAULTS: Final[Mapping[str, str]] = {action: key for action, (key, _words) in ACTIONS.items()}
# Actions that are never offered on one page may share a key.
APART: Final = (
    {"choice.0", "choice.10"},
    {"both", "good.yes"},
    {"neither", "good.no"},
)


def keys_for(own: Mapping[str, str] | None) -> dict[str, str]:
    """Action to key: the defaults with a person's own keys over them."""
    return {**DEFAULTS, **{a: k for a, k in (own or {}).items() if a in DEFAULTS}}


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """A person's keys that differ from the defaults; an empty one is the default.

    Raises:
        InvalidAnswer: by action, what is wrong: no such action, not one visible character, or one
            key for two actions that can be on the same page.
    """
    own: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for action, sent in given.items():
        key = plain(sent)
        if action not in DEFAULTS:
            wrong[action] = [_("There is no action “%(action)s”.") % {"action": action[:40]}]
        elif key and not _is_one(key):
            wrong[action] = [
                _("Expected one visible character, got “%(key)s”.") % {"key": key[:20]}
            ]
        elif key and key != DEFAULTS[action]:
            own[action] = key
    for action, others in _clashes(keys_for(own)).items():
        listed = ", ".join(_("“%(action)s”") % {"action": ACTIONS[other][1]} for other in others)
        wrong.setdefault(action, []).append(_("The same key as %(others)s.") % {"others": listed})
    if wrong:
        raise InvalidAnswer(wrong)
    return own


def plain(key: str) -> str:
    """A key as browsers report it: composed, in lower case."""
    return unicodedata.normalize("NFC", key.strip().lower())


def _is_one(key: str) -> bool:
    """One character that can be seen and pressed: letter, digit or sign; no space, no control."""
    return len(key) == 1 and unicodedata.category(key)[0] in "LNPS"


def _clashes(keys: Mapping[str, str]) -> dict[str, list[str]]:
    """For each action, the others that its key would also fire."""
    return {
        action: others
        for action, key in keys.items()
        if (others := [o for o, taken in keys.items() if taken == key and _together(o, action)])
    }


def _together(one: str, other: str) -> bool:
    """Whether two actions can be offered on the same page."""
    return one != other and not any({one, other} <= group for group in APART)
