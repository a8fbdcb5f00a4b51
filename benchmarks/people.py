"""Simulated annotators over real HTTP, who answer as the people in a data file did."""

from __future__ import annotations

import gzip
import json
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

ASSIGNMENT = re.compile(r"/a/([0-9a-f-]{36})/answer/")
KEY = re.compile(r'name="submission_key" value="([0-9a-f-]{36})"')
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
VERSION = re.compile(r'name="version" value="(\d+)"')
HTMX = {"HX-Request": "true"}


class Verdicts:
    """What people said about each pair of texts in a native file."""

    def __init__(self, path: Path, *, seed: int = 0, strength_max: float = 3.0) -> None:
        self.rng = random.Random(seed)
        self.strength_max = strength_max
        self.said: dict[frozenset[str], list[tuple[str | None, float | None]]] = defaultdict(list)
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8") as file:
            for line in file:
                self._learn(json.loads(line))

    def _learn(self, row: dict[str, Any]) -> None:
        texts = [response["text"] for response in row["responses"]]
        for annotation in row["annotations"]:
            if annotation["kind"] != "human" or annotation["choice"] is None:
                continue
            better = None if annotation["choice"] == "tie" else texts[annotation["choice"]]
            self.said[frozenset(texts)].append((better, annotation.get("strength")))

    def button(self, shown: list[str]) -> str:
        """The button that one of those people would press, the texts shown as A and B."""
        better, strength = self.rng.choice(self.said[frozenset(shown)])
        if better is None:
            return "tie"
        steps = min(3, max(1, round(3 * (strength or 2) / self.strength_max)))
        return f"{'ab'[shown.index(better)]}{steps}"


@dataclass
class Person:
    """A browser without a screen: signs in, reads, leases the next question, answers.

    Attributes:
        seconds: How long each answer took to be confirmed.
        ahead_seconds: How long each lease of a next question took, while the person reads.
        ahead: The page of that question; empty where there is none.
    """

    base: str
    username: str
    password: str
    slug: str = ""
    seconds: list[float] = field(default_factory=list)
    ahead_seconds: list[float] = field(default_factory=list)
    ahead: str = ""

    def __post_init__(self) -> None:
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(CookieJar())
        )

    def get(self, path: str, **headers: str) -> str:
        """Fetch a page."""
        return self._open(urllib.request.Request(self.base + path, headers=headers))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> str:
        """Send a form."""
        data = urllib.parse.urlencode(fields).encode()
        return self._open(urllib.request.Request(self.base + path, data, headers))

    def _open(self, request: urllib.request.Request) -> str:
        with self.opener.open(request, timeout=60) as answer:
            text: str = answer.read().decode()
        return text

    def enter(self, slug: str) -> str:
        """Sign in, read the guidelines, open the workspace; returns the page."""
        token = _found(TOKEN, self.get("/signin/"))
        fields = {"username": self.username, "password": self.password}
        self.post("/signin/", fields | {"csrfmiddlewaretoken": token})
        self.slug = slug
        page = self.get(f"/c/{slug}/")
        if (version := VERSION.search(page)) and not KEY.search(page):
            fields = {"version": version[1], "csrfmiddlewaretoken": _found(TOKEN, page)}
            page = self.post(f"/c/{slug}/guidelines/", fields)
        self.look_ahead(page)
        return page

    def look_ahead(self, page: str) -> None:
        """Lease the question after the one on a page, as browsers do as soon as they show it."""
        self.ahead = ""
        if current := assignment_on(page):
            fields = {"after": current, "csrfmiddlewaretoken": _found(TOKEN, page)}
            began = time.perf_counter()
            self.ahead = self.post(f"/c/{self.slug}/ahead/", fields, **HTMX)
            self.ahead_seconds.append(time.perf_counter() - began)

    def answer(self, page: str, button: str, **fields: str) -> str:
        """Press a button on a page; returns the page with the next question.

        That is the one leased ahead where the server has nothing against it.
        """
        leased = self.ahead
        shown = {"X-Tiebreak-Ahead": following} if (following := assignment_on(leased)) else {}
        sent = {
            "choice": button,
            "submission_key": _found(KEY, page),
            "csrfmiddlewaretoken": _found(TOKEN, page),
            **fields,
        }
        began = time.perf_counter()
        after = self.post(ASSIGNMENT.search(page)[0], sent, **HTMX, **shown)  # type: ignore[index]
        self.seconds.append(time.perf_counter() - began)
        self.look_ahead(after or leased)
        return after or leased


def _found(pattern: re.Pattern[str], page: str) -> str:
    match = pattern.search(page)
    if match is None:
        raise LookupError(f"nothing like {pattern.pattern} on the page")
    return match[1]


def assignment_on(page: str) -> str | None:
    """The assignment a page asks about, if it asks anything."""
    match = ASSIGNMENT.search(page)
    return match[1] if match else None
