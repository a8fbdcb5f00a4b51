"""What can go wrong with a judge, each thing under a name of its own.

::

    JudgeError
    ├── CannotAsk            a judge cannot answer this question (an edit, too many responses)
    ├── BadTemplate          a prompt template that cannot work
    ├── EndpointError        the endpoint: nothing is said about the question
    │   ├── BadAddress       the base URL is none, redirects, or does not speak the protocol
    │   ├── WrongKey         401 or 403
    │   ├── NoCredit         the account behind the key is empty
    │   ├── NoSuchModel      the endpoint does not have the model
    │   ├── Unreachable      refused, reset or silent, after the last try
    │   ├── Busy             429 after the last try
    │   └── ServerFault      5xx, or a reply that is no JSON or breaks off, after the last try
    ├── TooLong              the question does not fit the model
    ├── Rejected             another 4xx: the endpoint will not take this question
    ├── ReplyError           the model answered, and what it said is no verdict
    │   ├── EmptyReply
    │   ├── Refused
    │   ├── CutOff           the reply ends in the middle
    │   └── Malformed        ``.field``, ``.expected``, ``.got``
    ├── SpendLimit           the next call could cost more than is left
    └── Cancelled            somebody asked to stop

Whoever stores an error keeps ``code`` and ``str(error)``; neither ever holds a key.
"""

from __future__ import annotations

from typing import ClassVar

from learning.errors import LearningError

_LONGEST = 200  # characters of somebody else's words in a message


class JudgeError(LearningError):
    """Anything that keeps a judge from answering.

    Attributes:
        code: A short name that does not change, for storing and counting.
        stops: The next question would meet the same: a run ends here.
        of_endpoint: It is about the endpoint, so that a few in a row end a run, too.
    """

    code: ClassVar[str] = "judge"
    stops: ClassVar[bool] = False
    of_endpoint: ClassVar[bool] = False


class CannotAsk(JudgeError):
    """A judge cannot be asked this; the message says why."""

    code = "cannot_ask"


class BadTemplate(JudgeError):
    """A prompt template that cannot work; the message names the placeholder."""

    code = "bad_template"
    stops = True


class EndpointError(JudgeError):
    """The endpoint failed; nothing is known about the question."""

    code = "endpoint"
    of_endpoint = True


class BadAddress(EndpointError):
    """The base URL is not one, redirects, or whoever answers there speaks something else."""

    code = "bad_address"
    stops = True


class WrongKey(EndpointError):
    """The endpoint refused the key, or wants one."""

    code = "wrong_key"
    stops = True


class NoCredit(EndpointError):
    """The account behind the key is empty; asking again does not help."""

    code = "no_credit"
    stops = True


class NoSuchModel(EndpointError):
    """The endpoint does not have the model; the message lists what it has, where it says so."""

    code = "no_such_model"
    stops = True


class Unreachable(EndpointError):
    """Nobody answered: connection refused or reset, or the time was up, also after retries."""

    code = "unreachable"


class Busy(EndpointError):
    """Too many requests for the endpoint, also after retries."""

    code = "busy"


class ServerFault(EndpointError):
    """The endpoint failed (5xx), or what it sent is broken, also after retries."""

    code = "server_fault"


class TooLong(JudgeError):
    """The question is longer than the model can read."""

    code = "too_long"


class Rejected(JudgeError):
    """The endpoint will not take this request; the message has its reason.

    Attributes:
        said: The reason at length.
    """

    code = "rejected"

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the endpoint will not take this (HTTP {status}): {short(said)}")
        self.said = said


class ReplyError(JudgeError):
    """The model said something, and it is no verdict."""

    code = "reply"


class EmptyReply(ReplyError):
    """The model said nothing."""

    code = "empty_reply"

    def __init__(self) -> None:
        super().__init__("the model said nothing")


class Refused(ReplyError):
    """The model declined to judge; the message quotes how it began."""

    code = "refused"

    def __init__(self, words: str) -> None:
        super().__init__(f"the model declined: {short(words)!r}")


class CutOff(ReplyError):
    """The reply ends in the middle: the model ran into its limit of tokens."""

    code = "cut_off"

    def __init__(self) -> None:
        super().__init__("the reply ends in the middle; allow more tokens or shorten the reason")


class Malformed(ReplyError):
    """The reply is not in the form that was asked for.

    Attributes:
        field: What is wrong, by its name in the reply.
        expected: What was asked for.
        got: What came, shortened.
    """

    code = "malformed"

    def __init__(self, field: str, expected: str, got: object) -> None:
        self.field, self.expected, self.got = field, expected, short(got)
        super().__init__(f"{field}: expected {expected}, got {self.got}")


class SpendLimit(JudgeError):
    """The next call could cost more than is left of the budget."""

    code = "spend_limit"
    stops = True


class Cancelled(JudgeError):
    """Somebody asked to stop."""

    code = "cancelled"
    stops = True

    def __init__(self) -> None:
        super().__init__("stopped on request")


def short(said: object, most: int = _LONGEST) -> str:
    """Somebody else's words, short enough for a message."""
    try:
        words = said if isinstance(said, str) else repr(said)
    except (ValueError, RecursionError):  # a number of thousands of digits; lists in lists
        words = f"something of type {type(said).__name__}"
    return words if len(words) <= most else words[: most - 1] + "…"
