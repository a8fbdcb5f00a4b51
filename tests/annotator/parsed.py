"""HTML as a browser would find it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from annotator.content import ATTRIBUTES, TAGS


class Page(HTMLParser):
    """What a browser would find: elements with attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]


def check_safe(html: str) -> Page:
    """Only what is allowed is alive in it; pictures come from one host."""
    page = Page(html)
    for tag, attrs in page.elements:
        assert tag in TAGS
        assert set(attrs) <= ATTRIBUTES.get(tag, set()) | ({"rel"} if tag == "a" else set())
        assert attrs.get("dir", "ltr") in ("ltr", "rtl")
        if tag == "a" and "href" in attrs:
            assert not re.match(r"[\s\x00-\x20]*(?!https?:|mailto:)[a-z]+:", attrs["href"], re.I)
            assert "noopener" in attrs["rel"]
        if tag == "img":
            assert attrs["src"].startswith("https://pics.example/")
    return page
