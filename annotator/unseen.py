"""Characters that nobody sees and that make a text read as another one: dropped, or shown as codes.

Bidirectional embeddings and isolates reorder what is read, zero-width characters split words, tag
characters hide whole messages. Marks of direction (U+200E, U+200F, U+061C) only nudge a neighbour
and stay; so do joiners beside characters that are joined, and the tags of a flag.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
# Below U+0250 no script joins letters.
JOINER = "(?<![\u0250-\U0010ffff])[\u200c\u200d](?![\u0250-\U0010ffff])"
CONTROL = (
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u180e\u200b\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
UNSEEN = re.compile(f"(?P<flag>{FLAG})|(?P<run>(?:{CONTROL}|{JOINER})+)")
# As the browser reads it, a line break is one character; stored texts may have two.
WRITTEN = re.compile(f"(?P<flag>{FLAG})|(?P<run>(?:{CONTROL}|{JOINER})+)|\r")
MOST_BADGES = 5000
LISTED = 4


def dropped(text: str) -> str:
    """The text without them, and with line ends of one kind."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return UNSEEN.sub(lambda found: found["flag"] or "", lines)


def count(text: str) -> int:
    """How many of them a text has."""
    return sum(len(found["run"] or "") for found in UNSEEN.finditer(text))


def written(text: str) -> SafeString:
    """A text exactly as it is, with each run of such characters as a badge of their codes.

    A badge keeps what it stands for in `data-raw`, so that places in the page can be counted in
    characters of the text. Nothing of it reaches the lines, where it would still reorder them.
    """
    pieces: list[str] = []
    at = badges = 0
    for found in WRITTEN.finditer(text):
        if found["flag"]:
            continue
        pieces.append(escape(text[at : found.start()]))
        at = found.end()
        badges += 1
        if found[0] == "\r" and text[at : at + 1] == "\n":
            pieces.append(_badge("\r", ""))
        elif badges > MOST_BADGES:  # a text of little else: one sign each
            pieces.append("\n" if found[0] == "\r" else "\ufffd" * len(found[0]))
        else:
            pieces.append(_badge(found[0], "\n" if found[0] == "\r" else _label(found[0])))
    pieces.append(escape(text[at:]))
    return mark_safe("".join(pieces))  # noqa: S308 - every piece is escaped


def _badge(raw: str, label: str) -> str:
    # The parser would make a line feed of a carriage return, also inside an attribute.
    kept = "".join(f"&#x{ord(char):X};" for char in raw)
    if not label.strip():
        return f'<span class="unseen" data-raw="{kept}">{label}</span>'
    title = escape(", ".join(dict.fromkeys(map(_name, raw[:LISTED]))))
    return (  # characters have English names
        f'<span class="unseen badge" lang="en" data-raw="{kept}" title="{title}">{label}</span>'
    )


def _label(raw: str) -> str:
    codes = " ".join(f"U+{ord(char):04X}" for char in raw[:LISTED])
    return codes if len(raw) <= LISTED else f"{codes} … ({len(raw)})"


@lru_cache(maxsize=256)
def _name(char: str) -> str:
    return unicodedata.name(char, "control character").lower()
