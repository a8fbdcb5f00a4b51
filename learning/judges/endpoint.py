"""A thin client for any endpoint that speaks the OpenAI chat protocol.

Nothing but ``POST …/chat/completions`` and ``GET …/models``. The key is only in one header.
Redirects are refused (the key would travel along), answers are bounded in size and time, and
compressed ones are refused. This is the one module that loads httpx2.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, Protocol, Self

import httpx2
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from learning.judges.errors import (
    BadAddress,
    Busy,
    JudgeError,
    NoSuchModel,
    Rejected,
    ServerFault,
    Unreachable,
    WrongKey,
    short,
)
from learning.judges.limits import Pace, Stop
from learning.judges.protocol import Completion, Dialect, Request, completion, model_names, problem
from learning.judges.secret import Secret

_LOOPBACK: Final = {"localhost", "127.0.0.1", "::1"}
_CONNECT: Final = 10.0  # seconds
_MOST: Final = 4 * 2**20  # bytes of an answer
_LONGEST_WAIT: Final = 120.0  # seconds that an endpoint may ask for between two tries
_FIRST_WAIT: Final = 0.5
_CONNECTIONS: Final = 64


class _Again(Exception):
    """Worth another try, after so many seconds if the endpoint said so."""

    def __init__(self, error: JudgeError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.after = error, after


class Meter(Protocol):
    """Whoever counts requests, also those that failed."""

    requests: int


@dataclass(slots=True)
class _Count:
    requests: int = 0


class Endpoint:
    """A place where models answer. Close it, or use it as a context manager.

    Threads may share one.

    Args:
        base_url: With the version, as vendors write it: ``http://localhost:11434/v1``. Without
            a path ``/v1`` is added.
        key: Sent as a bearer token; an empty one is not sent.
        pace: Limits of requests and tokens a minute.
        stop: Ends waiting between tries.
        timeout: Seconds for one request.
        tries: Requests for one answer at most, while it is unreachable, busy or failing.
        jitter: A number in [0, 1) that spreads the waits of several threads.

    Raises:
        BadAddress: the base URL cannot be one.
        WrongKey: no header can carry the key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: Secret | None = None,
        pace: Pace | None = None,
        stop: Stop | None = None,
        timeout: float = 120.0,
        tries: int = 4,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = checked_url(base_url)
        self._key = key or Secret()
        if not all("!" <= letter <= "~" for letter in self._key.reveal()):
            raise WrongKey("the key has characters that no HTTP header can carry")
        self._pace = Pace() if pace is None else pace
        self._stop = Stop() if stop is None else stop  # one that is not set is false
        self._timeout, self._tries, self._jitter = timeout, tries, jitter
        self._dialect = Dialect()
        url = httpx2.URL(self.url)
        self._client = httpx2.Client(
            headers=self._headers(),
            timeout=httpx2.Timeout(timeout, connect=min(_CONNECT, timeout), pool=None),
            limits=httpx2.Limits(max_connections=_CONNECTIONS),
            follow_redirects=False,
            verify=url.scheme == "https",  # loading certificates takes a tenth of a second
            trust_env=url.host not in _LOOPBACK,  # a proxy does not reach this machine
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def models(self) -> tuple[str, ...]:
        """Names of the models that the endpoint lists.

        Raises:
            JudgeError: it does not answer, or not with a list.
        """
        return model_names(self._retried("GET", "models", None, 0, "", _Count()))

    def chat(self, request: Request, meter: Meter | None = None) -> Completion:
        """Put one request, again if need be, and in the dialect that the endpoint takes.

        Raises:
            JudgeError: no completion; the class says why.
        """
        meter = meter or _Count()
        dialect = self._dialect
        while True:
            body, tokens = request.body(dialect), request.likely_tokens
            try:
                answer = self._retried(
                    "POST", "chat/completions", body, tokens, request.model, meter
                )
            except Rejected as error:
                other = dialect.without(error.said)
                if other is None and dialect != dialect.bare:
                    other = dialect.bare
                if other is None:
                    raise
                dialect = other
                continue
            except NoSuchModel as error:
                raise self._with_names(error) from None
            self._dialect = dialect
            made = completion(answer, request)
            self._pace.correct(tokens, made.tokens_in + made.tokens_out)
            return made

    def _with_names(self, error: NoSuchModel) -> NoSuchModel:
        try:
            names = self.models()
        except JudgeError:
            return error
        listed = short(", ".join(names)) or "none"
        return NoSuchModel(f"{error}; it lists: {listed}")

    def _retried(
        self, method: str, path: str, body: Any, tokens: int, model: str, meter: Meter
    ) -> Any:
        again = Retrying(
            stop=stop_after_attempt(self._tries),
            wait=self._wait,
            sleep=self._stop.wait,
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return again(self._once, method, path, body, tokens, model, meter)
        except _Again as last:
            raise last.error from None

    def _wait(self, state: RetryCallState) -> float:
        """As the endpoint asked, or twice as long each time; jitter keeps threads apart."""
        failed = state.outcome.exception() if state.outcome else None
        after = failed.after if isinstance(failed, _Again) else None
        if after is None:
            after = _FIRST_WAIT * 2.0 ** (state.attempt_number - 1)
        elif after > 0:
            self._pace.hold(after)
        return after * (1 + self._jitter() / 2)

    def _once(
        self, method: str, path: str, body: Any, tokens: int, model: str, meter: Meter
    ) -> Any:
        self._stop.wait(self._pace.book(tokens))
        meter.requests += 1
        try:
            status, headers, text = self._exchange(method, path, body)
        except httpx2.TimeoutException:
            said = f"no answer from {self.url} within {self._timeout:g} s"
            raise _Again(Unreachable(said)) from None
        except httpx2.TransportError as error:
            said = self._key.hide(short(str(error) or type(error).__name__))
            raise _Again(Unreachable(f"{self.url} is out of reach: {said}")) from None
        text = self._key.hide(text)
        if not 200 <= status < 300:
            raise self._failed(problem(status, text, headers, model), headers)
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            if "html" in headers.get("content-type", ""):
                said = f"{self.url} answers with a web page, not with the chat protocol"
                raise BadAddress(said) from None
            raise _Again(ServerFault(f"the answer is no JSON: {short(text)}")) from None

    def _failed(self, error: JudgeError, headers: Mapping[str, str]) -> Exception:
        if not isinstance(error, Busy | ServerFault):
            return error
        after = retry_after(headers.get("retry-after", ""))
        if after is not None and after > _LONGEST_WAIT:
            return type(error)(f"{error}; it asks to wait for {after:.0f} s")
        return _Again(error, after)

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, dict[str, str], str]:
        """One request and its answer, bounded in bytes and seconds."""
        until = time.monotonic() + self._timeout
        content = None if body is None else json.dumps(body).encode()
        url = f"{self.url}/{path}"
        with self._client.stream(method, url, content=content) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            if headers.get("content-encoding", "identity") != "identity":
                raise BadAddress(f"{self.url} sends compressed answers though asked not to")
            chunks, size = [], 0
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > _MOST:
                    raise ServerFault(f"the answer of {self.url} has more than {_MOST:,} bytes")
                if time.monotonic() > until:
                    raise httpx2.ReadTimeout("")
                chunks.append(chunk)
        return response.status_code, headers, b"".join(chunks).decode("utf-8", "replace")

    def _headers(self) -> dict[str, str]:
        made = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "content-type": "application/json",
            "user-agent": "tiebreak",
        }
        return made | ({"authorization": f"Bearer {self._key.reveal()}"} if self._key else {})


def checked_url(base_url: str) -> str:
    """A base URL without a slash at the end.

    Raises:
        BadAddress: not http or https, no host, or it holds a name and password, a query or a
            fragment.
    """
    try:
        url = httpx2.URL(base_url.strip())
    except (httpx2.InvalidURL, ValueError, TypeError):
        raise BadAddress("the address of the endpoint cannot be read as a URL") from None
    if url.userinfo:
        raise BadAddress("the address of the endpoint holds a name or password; give a key instead")
    there = bool(url.host) and "%" not in url.host and (url.port or 80) < 65_536
    if url.scheme not in ("http", "https") or not there:
        raise BadAddress(f"the address must begin with http:// or https://, got {short(base_url)}")
    if url.query or url.fragment:
        raise BadAddress("the address of the endpoint must end with its path, such as /v1")
    path = url.path.rstrip("/") or "/v1"
    return str(url.copy_with(path=path))


def retry_after(said: str) -> float | None:
    """Seconds from a ``Retry-After`` header: a number, or a date; None where it says nothing."""
    try:
        seconds = float(said)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
