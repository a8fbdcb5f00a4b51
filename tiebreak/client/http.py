"""One site over HTTP: tokens, repeats that are safe, waits, and downloads that can be taken up.

A request is repeated when nobody can have answered it (the connection was refused), when the site
asks for it (429, 503), or when doing it twice is the same as once: reads, and creating calls, which
carry an `Idempotency-Key`. What is repeated waits longer each time.
"""

from __future__ import annotations

import json
import random
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.response import BaseHTTPResponse

from tiebreak.client.errors import ApiError, Unreachable, refusal

KEY = "Idempotency-Key"
NOT_DONE = (NewConnectionError, ConnectTimeoutError)  # the request never left
LOST = (ProtocolError, ReadTimeoutError)  # it may have been done
BUSY = (502, 503, 504)  # somebody in front of the site says that it is not there now
MOVED = (301, 302, 303, 307, 308)
FIRST, LONGEST = 0.25, 10.0  # seconds to wait before a repeat
LINES, BYTES = "application/x-ndjson", "application/octet-stream"


@dataclass
class Waits:
    """Growing waits until patience runs out."""

    patience: float
    began: float = field(default_factory=time.monotonic)
    tries: int = 0

    def sleep(self, wanted: float | None = None) -> bool:
        """Wait; False, without waiting, where that would take longer than patience has left."""
        growing = min(LONGEST, FIRST * 2**self.tries) * random.uniform(0.5, 1.0)  # noqa: S311
        wait = growing if wanted is None else wanted
        if time.monotonic() + wait > self.began + self.patience:
            return False
        self.tries += 1
        time.sleep(wait)
        return True

    def restart(self) -> None:
        """Something went well: patience is whole again."""
        self.began, self.tries = time.monotonic(), 0


class Connection:
    """Requests to one site in one person's name."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience: float = 60.0,
        timeout: float = 60.0,
        pool: urllib3.PoolManager | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience, self.timeout = patience, timeout
        self._pool = pool or urllib3.PoolManager()
        self._headers = {"Accept": "application/json; version=1", "User-Agent": "tiebreak-client"}
        if token:
            self._headers["Authorization"] = f"Token {token}"

    def close(self) -> None:
        """Close the connections that are kept for the next request."""
        self._pool.clear()

    def call(
        self,
        operation: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        repeatable: bool = True,
        **named: Any,
    ) -> Any:
        """Do one operation, such as `GET /campaigns/{slug}/`; returns the decoded body.

        Args:
            operation: Method and address of the API, with names for what `named` gives.
            body: Sent as JSON.
            query: Parameters; those that are None are left out.
            key: The `Idempotency-Key`; creating calls get one of their own.
            repeatable: Whether doing it twice is the same as once.

        Raises:
            ApiError: the site refused.
            Unreachable: nobody answered in time.
        """
        return self.answer(
            operation, body=body, query=query, key=key, repeatable=repeatable, **named
        )[0]

    def create(self, operation: str, body: Any = None, **named: Any) -> Any:
        """Do an operation that makes something, once, however often it has to be sent."""
        return self.call(operation, body=body, key=new_key(), **named)

    def answer(
        self,
        operation: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        repeatable: bool = True,
        **named: Any,
    ) -> tuple[Any, Mapping[str, str]]:
        """As `call`, with the headers of the answer."""
        method, url = self._address(operation, query, named)
        headers = {KEY: key} if key else {}
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        response = self._send(method, url, headers, data, repeatable=repeatable)
        return _decoded(response), response.headers

    def upload(
        self,
        operation: str,
        file: IO[bytes],
        size: int,
        query: Mapping[str, Any],
        *,
        kind: str = LINES,
        key: str | None = None,
        **named: Any,
    ) -> Any:
        """Stream so many bytes."""
        method, url = self._address(operation, query, named)
        headers = {"Content-Type": kind, "Content-Length": str(size)}
        headers |= {KEY: key} if key else {}
        timeout = max(self.timeout, 600.0)  # the site answers when all of it is stored
        return _decoded(self._send(method, url, headers, file, repeatable=True, timeout=timeout))

    def pages(
        self, operation: str, query: Mapping[str, Any] | None = None, **named: Any
    ) -> Iterator[dict[str, Any]]:
        """Yield every entry of a list, a page at a time."""
        page = self.call(operation, query=query, **named)
        while isinstance(page, dict):
            yield from page["results"]
            if not page["next"]:
                return
            page = _decoded(self._send("GET", self._ours(page["next"]), {}, None))
        yield from page  # a short list, which comes whole

    @contextmanager
    def stream(
        self,
        operation: str,
        *,
        query: Mapping[str, Any] | None = None,
        start: int = 0,
        **named: Any,
    ) -> Iterator[tuple[BaseHTTPResponse, int]]:
        """A body from a byte on; yields the response and the byte with which it begins."""
        method, url = self._address(operation, query, named)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        response = self._send(method, url, headers, None, stream=True)
        try:
            found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
            yield response, int(found[1]) if found and response.status == 206 else 0
        finally:
            response.close()

    def _address(
        self, operation: str, query: Mapping[str, Any] | None, named: Mapping[str, Any]
    ) -> tuple[str, str]:
        method, _, path = operation.partition(" ")
        path = path.format(**{name: quote(str(one), safe="") for name, one in named.items()})
        given = {name: _text(one) for name, one in (query or {}).items() if one is not None}
        return method, f"{self.url}/api{path}" + (f"?{urlencode(given)}" if given else "")

    def _ours(self, url: str) -> str:
        """An address that the site gave, at the address under which we know the site."""
        parts = urlsplit(url)
        base = urlsplit(self.url)
        return parts._replace(scheme=base.scheme, netloc=base.netloc).geturl()

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | IO[bytes] | None,
        *,
        repeatable: bool = True,
        stream: bool = False,
        timeout: float | None = None,
    ) -> BaseHTTPResponse:
        """Send until it is answered or patience runs out."""
        waits = Waits(self.patience)
        while True:
            wanted: float | None = None
            try:
                response = self._once(method, url, headers, body, stream, timeout or self.timeout)
            except NOT_DONE as error:
                failure: Exception = self._unreachable(error)
            except LOST as error:
                failure = self._unreachable(error)
                if not repeatable:
                    raise failure from error
            except HTTPError as error:
                raise self._unreachable(error) from error
            else:
                refused = self._refused(response)
                if refused is None:
                    return response
                if refused.status != 429 and not (repeatable and refused.status in BUSY):
                    raise refused
                failure, wanted = refused, _retry_after(response)
            if not waits.sleep(wanted):
                raise failure

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Any,
        stream: bool,
        timeout: float,
    ) -> BaseHTTPResponse:
        if hasattr(body, "seek"):
            body.seek(0)
        limits = urllib3.Timeout(connect=min(10.0, timeout), read=timeout)
        sent = {**self._headers, **headers}
        for _ in range(4):
            response = self._pool.urlopen(
                method,
                url,
                headers=sent,
                body=body,
                timeout=limits,
                retries=False,
                redirect=False,
                preload_content=not stream,
            )
            if response.status not in MOVED or not stream:
                return response
            # A download may lie in a bucket, which must not see the token.
            there = urljoin(url, response.headers.get("Location", ""))
            if urlsplit(there).netloc != urlsplit(url).netloc:
                sent.pop("Authorization", None)
            response.close()
            url = there
        return response

    def _refused(self, response: BaseHTTPResponse) -> ApiError | None:
        """The error that an answer is, if it is one."""
        if response.status in MOVED:
            where = response.headers.get("Location", "somewhere else")
            moved = {"title": "Moved", "detail": f"{self.url} answers from {where}; use that"}
            return ApiError(response.status, moved)
        if response.status < 400:
            return None
        told = response.data or b""
        response.close()
        try:
            body = json.loads(told)
        except ValueError:
            body = None
        if not isinstance(body, dict):  # somebody in front of the site
            body = {"title": response.reason or "", "detail": told[:200].decode(errors="replace")}
        return refusal(response.status, body, response.headers.get("X-Request-ID", ""))

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self.url} cannot be reached: {error}")


def new_key() -> str:
    """An `Idempotency-Key` that was never used."""
    return uuid.uuid4().hex


class InCampaign:
    """What is done in one campaign."""

    def __init__(self, site: Connection, slug: str) -> None:
        self._site, self.slug = site, slug


def _decoded(response: BaseHTTPResponse) -> Any:
    return json.loads(response.data) if response.data else None


def _text(value: Any) -> str:
    """A query parameter."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _retry_after(response: BaseHTTPResponse) -> float | None:
    """Seconds that the site wants us to wait, where it says so."""
    try:
        return float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
