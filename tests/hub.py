"""A stand-in for the Hugging Face hub: one public data set, over the addresses of its API."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

CARD = (
    b"---\nconfigs:\n- config_name: default\n  data_files:\n"
    b"  - split: train\n    path: data/t.jsonl\n---\n"
)
COMMIT, ETAG = "a" * 40, "b" * 40
API, FILE = "/api/datasets/owner/name", "/datasets/owner/name/resolve/"


class Hub(ThreadingHTTPServer):
    """Serves owner/name, whose train split has these lines."""

    def __init__(self, lines: bytes) -> None:
        self.files = {"README.md": CARD, "data/t.jsonl": lines}
        super().__init__(("127.0.0.1", 0), _Answers)

    @property
    def url(self) -> str:
        """What HF_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *said: Any) -> None:
        """Nothing."""

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith(f"{API}/tree/"):
            _, _, folder = path.removeprefix(f"{API}/tree/").partition("/")
            inside = [name for name in self.server.files if name.startswith(folder)]
            entries = [
                {"type": "file", "path": p, "size": len(self.server.files[p]), "oid": ETAG}
                for p in inside
            ]
            self._send(json.dumps(entries).encode(), Content_Type="application/json")
        elif path == API or path.startswith(f"{API}/revision/"):
            about = {"id": "owner/name", "sha": COMMIT, "private": False, "tags": []}
            about |= {"siblings": [{"rfilename": name} for name in self.server.files]}
            self._send(json.dumps(about).encode(), Content_Type="application/json")
        elif path.startswith(FILE):
            self._file(path.removeprefix(FILE).partition("/")[2])
        else:
            self._send(b"{}", 404, X_Error_Code="RepoNotFound")

    def _file(self, name: str) -> None:
        if name not in self.server.files:
            self._send(b"", 404, X_Error_Code="EntryNotFound")
            return
        data = self.server.files[name]
        about = {"ETag": f'"{ETAG}"', "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
        wanted = self.headers.get("Range")
        if wanted is None:
            self._send(data, **about)
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last or len(data)), len(data) - 1)
        about["Content_Range"] = f"bytes {start}-{end}/{len(data)}"
        self._send(data[start : end + 1], 206, **about)


@contextmanager
def serving(lines: bytes) -> Iterator[str]:
    """The address of a hub that serves these lines."""
    with Hub(lines) as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub.url
        finally:
            hub.shutdown()
            thread.join()
