"""What can go wrong.

TiebreakError
├── ApiError            the site refused; status, title, detail, errors, problems
│   ├── Unauthorized    401: no token, or one that is not known
│   ├── Forbidden       403: you may not
│   ├── NotFound        404: no such thing, or not for you
│   ├── Conflict        409: the state moved on
│   ├── Invalid         400, 415, 422: what was sent cannot be used
│   ├── TooManyRequests 429: for longer than the client was told to wait
│   └── ServerError     5xx
├── Unreachable         nobody answers, or the answer was lost
├── TimedOut            something that a worker does takes longer than one wanted to wait
├── ImportRefused       a file cannot be used; nothing was stored
├── ExportFailed        a worker could not build an export
├── Corrupt             a download is not what the site said that it is
└── Stopped             there are no questions for you until you do something else first
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TiebreakError(Exception):
    """Base of all errors of the client."""


class ApiError(TiebreakError):
    """The site refused.

    Attributes:
        status: Of the answer.
        title: In a few words.
        detail: Why.
        errors: What is wrong, by field; empty where no field is.
        problems: What is wrong, by row; only of imports.
        request_id: Under which the request is in the site's log.
    """

    def __init__(self, status: int, body: Mapping[str, Any], request_id: str = "") -> None:
        self.status = status
        self.title = str(body.get("title", ""))
        self.detail = str(body.get("detail", ""))
        self.errors: dict[str, Any] = dict(body.get("errors") or {})
        self.problems: list[dict[str, Any]] = list(body.get("problems") or [])
        self.request_id = request_id
        super().__init__(self._said())

    def _said(self) -> str:
        said = [f"{self.status} {self.title}: {self.detail}"]
        said += [f"{field}: {_words(wrong)}" for field, wrong in self.errors.items()]
        said += [_problem(row) for row in self.problems[:20]]
        return "\n".join(said)


def _problem(row: Any) -> str:
    if not isinstance(row, dict):
        return str(row)
    about = f" ({row['id']})" if row.get("id") else ""
    return f"line {row.get('line')}{about}: {row.get('field')}: {row.get('message')}"


def _words(wrong: Any) -> str:
    return " ".join(str(one) for one in wrong) if isinstance(wrong, list) else str(wrong)


class Unauthorized(ApiError):
    """No token, or one that the site does not know."""


class Forbidden(ApiError):
    """You may not do that."""


class NotFound(ApiError):
    """No such thing, or not for you."""


class Conflict(ApiError):
    """The state moved on: answered already, somebody else's question, not running."""


class Invalid(ApiError):
    """What was sent cannot be used."""


class TooManyRequests(ApiError):
    """More requests than a person may make, for longer than the client was told to wait."""


class ServerError(ApiError):
    """The site is broken, or somebody in front of it is."""


class Unreachable(TiebreakError):
    """Nobody answers, or the answer to something that cannot be repeated was lost."""


class TimedOut(TiebreakError):
    """A worker takes longer than one wanted to wait; what it does goes on."""


class ImportRefused(TiebreakError):
    """A file was not taken in; nothing was stored.

    Attributes:
        state: `refused`, `failed` or `cancelled`.
        problems: What is wrong with the first bad rows.
    """

    def __init__(self, state: str, error: str, problems: list[Any]) -> None:
        self.state, self.problems = state, problems
        said = [error or f"the import was {state}; nothing was stored"]
        said += [_problem(one) for one in problems[:20]]
        super().__init__("\n".join(said))


class ExportFailed(TiebreakError):
    """A worker could not build an export; the message says why."""


class Corrupt(TiebreakError):
    """A download does not have the checksum that the site stated."""


class Stopped(TiebreakError):
    """There are no questions for you until something else is done first.

    Attributes:
        reason: The site's word for it: `guidelines`, `practice`, `qualification`, `failed` …
    """

    def __init__(self, reason: str, said: str) -> None:
        self.reason = reason
        super().__init__(said)


BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}


def refusal(status: int, body: Mapping[str, Any], request_id: str = "") -> ApiError:
    """The error of a status."""
    kind = BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    return kind(status, body, request_id)
