"""Small servers that misbehave, for one address each; and a proxy that loses answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

Handle = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; `server.handle_one` answers it."""

    server: Any
    protocol_version = "HTTP/1.1"

    def handle_one_of_them(self) -> None:
        self.server.seen.append(self)
        size = int(self.headers.get("Content-Length", 0))
        self.body = self.rfile.read(size)
        self.server.answer(self)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # every method
            return self.handle_one_of_them
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""

    def say(self, status: int, body: bytes = b"", *, size: int | None = None, **more: str) -> None:
        """Answer; with a `size` that is not the body's the connection breaks off."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if size is not None:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection without another word."""
        self.close_connection = True
        self.wfile.flush()


@contextmanager
def serving(answer: Handle, port: int = 0) -> Iterator[Any]:
    """A server on this machine; it has an `url`, and what it has `seen`."""
    with ThreadingHTTPServer(("127.0.0.1", port), Request) as server:
        server.answer, server.seen = answer, []  # type: ignore[attr-defined]
        server.url = f"http://127.0.0.1:{server.server_port}"  # type: ignore[attr-defined]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def forwarding(site: str, spoil: Callable[[Request, int, bytes, dict[str, str]], bool]) -> Handle:
    """Hand requests on to a site; where `spoil` returns true, it has answered in its own way."""
    where = urlsplit(site)

    def handle(request: Request) -> None:
        onward = HTTPConnection(where.hostname or "", where.port, timeout=30)
        kept = {k: v for k, v in request.headers.items() if k.lower() != "connection"}
        onward.request(request.command, request.path, request.body, kept)
        answered = onward.getresponse()
        body = answered.read()
        headers = {
            name.replace("-", "_"): value
            for name, value in answered.getheaders()
            if name.lower() not in ("content-length", "connection", "server", "date")
        }
        onward.close()
        if not spoil(request, answered.status, body, headers):
            request.say(answered.status, body, **headers)

    return handle
