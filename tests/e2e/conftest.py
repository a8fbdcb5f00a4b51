"""A real browser on real pages: Chromium where one is found, else these tests are skipped."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Campaign
from tests.annotator.conftest import ada, ben, ruth, sam
from tests.campaigns import ask, item, make_campaign
from tests.e2e.keyboard import question, sign_in

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
    for test in items:
        if "tests/e2e" in test.path.as_posix():
            test.add_marker(pytest.mark.e2e)


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


@pytest.fixture
def campaign(ada: User) -> Campaign:
    """Six questions, for ada."""
    made = make_campaign(people=(ada,))
    ask(made)
    return made


@pytest.fixture
def desk(campaign: Campaign, page: Any, live_server: Any) -> Any:
    """Ada at work."""
    page.goto(f"{live_server.url}/c/{campaign.slug}/")
    sign_in(page, "ada")
    question(page)
    page.wait_for_timeout(250)
    return page


@pytest.fixture
def reading(ada: User, page: Any, live_server: Any) -> Any:
    """Opens two responses (and a prompt) for ada."""

    def show(
        a: str, b: str = "b", *, prompt: Any = "Why?", hosts: tuple[str, ...] = (), **fields: Any
    ) -> Any:
        responses = [{"text": a, "model": "m"}, {"text": b, "model": "n"}]
        rows = [item(0, prompt=prompt, responses=responses)]
        made = make_campaign(people=(ada,), rows=rows, **fields)
        Campaign.objects.update(image_hosts=list(hosts))  # with ports, which only tests need
        ask(made)
        page.goto(f"{live_server.url}/c/{made.slug}/")
        sign_in(page, "ada")
        question(page)
        page.wait_for_timeout(300)
        return page

    return show
