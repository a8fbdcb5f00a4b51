"""Pictures in texts: those of allowed hosts are shown, nothing is asked of others."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from annotator.models import Annotation

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63646060f80f0001050101cfa69ae20000000049454e44ae426082"
)


@pytest.fixture
def pictures() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A host with one picture, and the headers of what was asked of it."""
    asked: list[dict[str, str]] = []

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
            found = self.path.startswith("/cat")
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(PIXEL if found else b"")

        def log_message(self, *_anything: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_a_picture_of_an_allowed_host_is_shown_and_enlarged(
    reading: Any, pictures: tuple[str, list[dict[str, str]]]
) -> None:
    host, asked = pictures
    page = reading(
        f"Look: ![a cat](http://{host}/cat.png)\n\n![a dog](http://{host}/dog.png)",
        "none",
        hosts=(f"http://{host}",),
    )
    page.wait_for_function("() => document.querySelector('.prose img')?.naturalWidth === 1")
    assert "referer" not in asked[0]
    page.wait_for_selector(".broken-picture")
    assert "a dog" in page.inner_text(".broken-picture")
    assert "could not be loaded" in page.inner_text(".broken-picture")
    page.focus("a.picture")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog#picture[open] img")
    assert page.get_attribute("dialog#picture img", "alt") == "a cat"
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#picture:not([open])", state="attached")
    assert page.evaluate("document.activeElement.className") == "picture"
    assert Annotation.objects.count() == 0


def test_nothing_is_asked_of_a_host_that_is_not_allowed(
    reading: Any, pictures: tuple[str, list[dict[str, str]]]
) -> None:
    host, asked = pictures
    page = reading(f"![a cat](http://{host}/cat.png)", "none", hosts=("pics.example",))
    assert page.locator(f".prose a[href='http://{host}/cat.png']").inner_text() == "a cat"
    page.wait_for_timeout(300)
    assert asked == []
