"""Pictures of pages, for whoever wants to look, and that nothing scrolls sideways."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

SHOTS = os.environ.get("SHOTS")  # a folder
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 360, "height": 740}


def check_width(page: Any) -> None:
    """Nothing is wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def check_phone(page: Any) -> None:
    """Nothing is wider than a phone."""
    page.set_viewport_size(PHONE)
    check_width(page)
    page.set_viewport_size(DESK)


def shoot(page: Any, name: str) -> None:
    """Light, dark and a phone, if a folder is given."""
    if not SHOTS:
        return
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.screenshot(path=Path(SHOTS) / f"{name}-{theme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(200)
    page.screenshot(path=Path(SHOTS) / f"{name}-phone.png", full_page=True)
    check_width(page)
    page.set_viewport_size(DESK)
