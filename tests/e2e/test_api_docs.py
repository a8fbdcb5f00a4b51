"""The human page of the API: readable without a mouse, on a phone, and by a screen reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.axe import check, walk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


def test_every_operation_opens_by_keyboard_and_nothing_is_wrong(
    page: Any, live_server: Any
) -> None:
    page.goto(f"{live_server.url}/api/docs/")
    first = page.locator("details.operation summary").first
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.operation[open]").count() == 1
    page.evaluate("() => document.querySelectorAll('details').forEach((one) => (one.open = true))")
    check(page, "REST API")
    shots = os.environ.get("SHOTS")
    if shots:
        page.screenshot(path=Path(shots) / "api-docs.png", full_page=False)
    page.set_viewport_size({"width": 360, "height": 740})
    walk(page)
    if shots:
        page.screenshot(path=Path(shots) / "api-docs-phone.png", full_page=False)
