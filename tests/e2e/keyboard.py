"""What a person does at the keyboard, and what they wait for."""

from __future__ import annotations

from typing import Any


def tab_to(page: Any, text: str) -> None:
    """Press Tab until a link or button that says `text` has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        said = page.evaluate(
            "() => { const e = document.activeElement;"
            " return e.matches('a, button') ? e.innerText + ' ' + (e.ariaLabel ?? '') : '' }"
        )
        if text.lower() in said.lower():
            return
    raise AssertionError(f"nothing that says {text!r} can be reached with Tab")


def sign_in(page: Any, name: str) -> None:
    page.wait_for_selector("input[name=username]")
    page.keyboard.type(name)  # the field has the focus already
    page.keyboard.press("Tab")
    page.keyboard.type(name)
    page.keyboard.press("Enter")


def question(page: Any) -> str:
    """The question on the page, waiting for one when a round is choosing it."""
    page.wait_for_selector("#question", timeout=60_000)
    return str(page.get_attribute("#question", "data-answer"))


def press(page: Any, key: str) -> None:
    """Answer by key and wait until another question, or none, is shown."""
    before = question(page)
    page.wait_for_timeout(250)  # a key right after a swap is taken for a slip
    page.keyboard.press(key)
    page.wait_for_function(
        "before => document.querySelector('#question')?.dataset.answer !== before", arg=before
    )
    arrived(page)


def arrived(page: Any) -> None:
    """Wait until the server has confirmed every answer; the page goes on before it does."""
    page.wait_for_function("() => document.body.dataset.unsent === '0'")


def type_keys(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def key_event(page: Any, key: str, code: str) -> None:
    """A key of another layout: what it says, and where it is."""
    script = (
        "([key, code]) => document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', {key, code, bubbles: true, cancelable: true}))"
    )
    page.evaluate(script, [key, code])
