"""Languages for tests: each message stands in ⟦brackets⟧, so that what nobody marked is outside."""

from __future__ import annotations

import gettext
import re
from html.parser import HTMLParser
from typing import Any

from django.utils.translation import trans_real

LEFT_TO_RIGHT, RIGHT_TO_LEFT = "eo", "he"  # Django knows them; nobody offers them
KEPT = re.compile(r"(%\(\w+\)[a-z]|%%?[a-z]|\{\w+\}|<[^>]+>|&#?\w+;)")
HEBREW = str.maketrans("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתךםןף")
READ = {"title", "aria-label", "aria-description", "placeholder", "alt"}
WORDS = re.compile(r"[A-Za-z]{2,}")
IN_DATA = re.compile(r"[A-Z][a-z]|[A-Za-z]{2,} [A-Za-z]{2,}")
NAMES = {"Tiebreak", "Esc", "UTC", "ada", "ruth"}  # the same in all languages


class Pseudo(gettext.NullTranslations):
    """A catalogue that has everything; from right to left, in Hebrew letters that say nothing."""

    def __init__(self, language: str) -> None:
        super().__init__()
        self.language = language

    def to_language(self) -> str:
        """As Django's own catalogues say it."""
        return self.language

    def gettext(self, message: str) -> str:
        """The message in brackets, without the context it may begin with."""
        said = message.rpartition("\x04")[2]
        if self.language == RIGHT_TO_LEFT:
            parts = KEPT.split(said)
            parts[::2] = [part.lower().translate(HEBREW) for part in parts[::2]]
            said = "".join(parts)
        return f"⟦{said}⟧"

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """As in English."""
        return self.gettext(singular if number == 1 else plural)


def speak(settings: Any, language: str) -> None:
    """Offer a pseudo-language; the fixture `settings` takes it back."""
    settings.LANGUAGES = [*settings.LANGUAGES, (language, language)]
    trans_real._translations[language] = Pseudo(language)


class _Outside(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.attributes: list[str] = []
        self.other = ""  # an element that says itself in which language it is

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "html" and "lang" in dict(attrs):
            self.other = tag
        for name, value in attrs if not self.other else []:
            words = name in READ or (name.startswith("data-") and IN_DATA.search(value or ""))
            if words:
                self.attributes.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.other:
            self.other = ""

    def handle_data(self, data: str) -> None:
        if not self.other:
            self.text.append(data)


def outside(html: str) -> list[str]:
    """Words of a page that stand in no brackets: text, and what attributes say to somebody.

    A message may be cut in pieces, so brackets are counted over the whole text. What people wrote
    must have no Latin letters.
    """
    page = _Outside()
    page.feed(html)
    parts = ["".join(page.text), *page.attributes]
    return [word for part in parts for word in WORDS.findall(bare(part)) if word not in NAMES]


def bare(text: str) -> str:
    """A text without what stands in brackets."""
    depth, found = 0, []
    for char in text:
        depth += {"⟦": 1, "⟧": -1}.get(char, 0)
        assert depth >= 0, text
        found.append(char if depth == 0 else " ")
    assert depth == 0, text
    return "".join(found)
