"""A real browser on real pages: Chromium where one is found, else these tests are skipped."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.annotator.conftest import ada, ben, ruth, sam

__all__ = ["ada", "ben", "ruth", "sam"]

ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


def chromium_path() -> str | None:
    """Where a browser is installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for name in names if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here are e2e."""
    for item in items:
        if "tests/e2e" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests; each gets a fresh profile."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    # The browser's loop runs in this thread; Django takes that for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield running
        running.close()
    os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE")


def leave(window: Any, asked: set[Any]) -> None:
    """Let the server finish, and ask nothing more of it: a draft is saved when a page is left, and
    a request that is under way while the database is cleared waits for it, and it for the request.
    """
    deadline = time.monotonic() + 5
    while asked and time.monotonic() < deadline:
        window.wait_for_timeout(20)
    window.context.set_offline(True)
    window.wait_for_timeout(100)


@pytest.fixture
def page(browser: Any, live_server: Any) -> Iterator[Any]:
    """A window; violations of the content policy and script errors fail the test.

    It is gone, with what it still asks the server for, before the database is cleared.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    window = context.new_page()
    troubles: list[str] = []
    window.on("pageerror", lambda error: troubles.append(str(error)))
    window.on(
        "console",
        lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None,
    )
    asked: set[Any] = set()
    window.on("request", lambda request: asked.add(request))
    window.on("requestfinished", lambda request: asked.discard(request))
    window.on("requestfailed", lambda request: asked.discard(request))
    yield window
    leave(window, asked)
    context.close()
    assert troubles == []
