"""The OpenAI chat protocol as pure functions: what is sent, and what an answer means.

Endpoints differ in what they take. `Dialect` says what one of them takes; it starts with
everything, and what an endpoint answers 400 about is left out from then on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from learning.judges.base import Message
from learning.judges.errors import (
    BadAddress,
    Busy,
    JudgeError,
    NoCredit,
    NoSuchModel,
    Refused,
    Rejected,
    ServerFault,
    TooLong,
    WrongKey,
    short,
)
from learning.judges.money import likely_tokens, most_tokens

_TOP: Final = 10  # alternatives of a token: endpoints allow 5 to 20
_LONGEST: Final = 2_000  # characters of an error that are looked at
_TOO_LONG: Final = (
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "too many tokens",
)
_NO_MODEL: Final = ("not found", "not exist", "does not have", "unknown model", "invalid model")


@dataclass(frozen=True, slots=True)
class Dialect:
    """What an endpoint takes.

    Attributes:
        structure: ``json_schema``, ``json_object`` or nothing.
        logprobs: Probabilities of tokens.
        temperature, seed: So that the same question gets the same answer.
        system: A message of the role ``system``.
        limit: What the limit of tokens is called.
    """

    structure: str = "json_schema"
    logprobs: bool = True
    temperature: bool = True
    seed: bool = True
    system: bool = True
    limit: str = "max_tokens"

    def without(self, said: str) -> Dialect | None:
        """The dialect after a refusal in these words; None where it is about something else."""
        words = said.lower()
        if "max_completion_tokens" in words and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        about = ("response_format", "json_schema", "json_object", "structured", "grammar", "guided")
        if self.structure and any(word in words for word in about):
            down = "json_object" if self.structure == "json_schema" else ""
            return replace(self, structure=down)
        if self.logprobs and "logprob" in words:
            return replace(self, logprobs=False)
        if self.temperature and "temperature" in words:
            return replace(self, temperature=False)
        if self.seed and "seed" in words:
            return replace(self, seed=False)
        if self.system and "system" in words and "role" in words:
            return replace(self, system=False)
        return None

    @property
    def bare(self) -> Dialect:
        """Nothing but what the protocol has had from the start."""
        return replace(self, structure="", logprobs=False, temperature=False, seed=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model, whatever the dialect.

    Attributes:
        model: Its name at the endpoint.
        messages: The chat.
        max_tokens: Of the reply.
        schema: JSON Schema of the reply; None for free text.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    schema: Mapping[str, Any] | None = None

    @property
    def likely_tokens(self) -> int:
        """Of prompt and reply, for the pace."""
        return likely_tokens(turn.content for turn in self.messages) + self.max_tokens

    @property
    def most_tokens_in(self) -> int:
        """Of the prompt, at most."""
        schema = len(json.dumps(self.schema)) if self.schema else 0  # it may be put into the prompt
        return most_tokens(self.messages) + schema

    def body(self, dialect: Dialect) -> dict[str, Any]:
        """The JSON to send."""
        made: dict[str, Any] = {
            "model": self.model,
            "messages": [
                {"role": turn.role, "content": turn.content}
                for turn in (self.messages if dialect.system else _joined(self.messages))
            ],
            dialect.limit: self.max_tokens,
        }
        if dialect.temperature:
            made["temperature"] = 0
        if dialect.seed:
            made["seed"] = 0
        if dialect.logprobs:
            made |= {"logprobs": True, "top_logprobs": _TOP}
        if self.schema is not None and dialect.structure:
            made["response_format"] = {"type": dialect.structure}
            if dialect.structure == "json_schema":
                named = {"name": "verdict", "strict": True, "schema": self.schema}
                made["response_format"]["json_schema"] = named
        return made


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: The reply.
        model: As the endpoint names it.
        tokens_in, tokens_out: As the endpoint counted them.
        estimated: It did not; see `learning.judges.money`.
        cut_off: The limit of tokens ended it.
        refusal: What it said instead of a reply, where the endpoint keeps that apart.
        logprobs: One entry a token, where the endpoint gives them.
    """

    text: str
    model: str
    tokens_in: int
    tokens_out: int
    estimated: bool = False
    cut_off: bool = False
    refusal: str = ""
    logprobs: list[Mapping[str, Any]] = field(default_factory=list)


def completion(answer: Any, request: Request) -> Completion:
    """Read a chat completion.

    Raises:
        ServerFault: it is none.
    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text, refusal = _text(message.get("content")), message.get("refusal")
        finish = choice.get("finish_reason")
    except (LookupError, TypeError, AttributeError):
        raise ServerFault(f"the answer is no chat completion: {short(answer)}") from None
    if finish == "content_filter" and not refusal:
        refusal = "the endpoint's content filter ended the reply"
    counted = answer.get("usage")
    tokens = _counts(counted) if isinstance(counted, dict) else None
    likely = likely_tokens(turn.content for turn in request.messages), likely_tokens([text])
    tokens_in, tokens_out = tokens or likely
    named = answer.get("model")
    return Completion(
        text,
        named if isinstance(named, str) and named else request.model,
        tokens_in,
        tokens_out,
        estimated=tokens is None,
        cut_off=finish == "length",
        refusal=refusal if isinstance(refusal, str) else "",
        logprobs=_logprobs(choice),
    )


def problem(status: int, body: str, headers: Mapping[str, str], model: str) -> JudgeError:
    """What an answer that is no success means.

    Args:
        status: HTTP status, not 2xx.
        body: Its text.
        headers: By lower-case name.
        model: The model that was asked for.
    """
    at_length, code = _words(body)
    said, low = short(at_length), at_length.lower()
    if 300 <= status < 400:
        where = short(headers.get("location", "somewhere else"))
        return BadAddress(f"the endpoint redirects to {where}; write that as its address instead")
    if status in (401, 403) and code == "model_not_found":
        return NoSuchModel(f"the key gives no access to the model {model!r}")
    if status == 403 and "logprob" in low:  # so OpenAI, of models that reason
        return Rejected(status, at_length)
    if status in (401, 403):  # some endpoints quote the key, so their words are left out
        return WrongKey(f"the endpoint refused the key (HTTP {status})")
    if status == 402 or code == "insufficient_quota" or "insufficient_quota" in low:
        return NoCredit(f"the account is out of credit: {said}")
    if status == 429:
        return Busy(f"too many requests: {said}")
    if status >= 500:
        return ServerFault(f"the endpoint failed (HTTP {status}): {said}")
    if status == 413 or any(words in f"{code} {low}" for words in _TOO_LONG):
        return TooLong(f"the question is too long for {model}: {said}")
    if code == "content_filter" or "content management policy" in low:
        return Refused(said)
    if "model" in low and (status == 404 or any(words in low for words in _NO_MODEL)):
        return NoSuchModel(f"the endpoint does not have the model {model!r}: {said}")
    if status in (404, 405):
        return BadAddress(f"there is no chat endpoint at this address (HTTP {status})")
    return Rejected(status, at_length)


def model_names(answer: Any) -> tuple[str, ...]:
    """Names from ``/v1/models``.

    Raises:
        BadAddress: it is no such list.
    """
    listed = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        raise BadAddress("what answers there has no list of models")
    names = [one.get("id") for one in listed if isinstance(one, dict)]
    return tuple(name for name in names if isinstance(name, str))


def _joined(messages: Sequence[Message]) -> list[Message]:
    """System messages as the beginning of the first other one."""
    rules = [turn.content for turn in messages if turn.role == "system"]
    rest = [turn for turn in messages if turn.role != "system"]
    if rules and rest:
        rest[0] = Message(rest[0].role, "\n\n".join([*rules, rest[0].content]))
    return rest


def _text(content: Any) -> str:
    """Content as a text; some endpoints send it in parts."""
    if isinstance(content, list):
        parts = [one.get("text") for one in content if isinstance(one, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _counts(usage: Mapping[str, Any]) -> tuple[int, int] | None:
    counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
    if all(type(count) is int and count >= 0 for count in counts):
        return counts[0], counts[1]  # type: ignore[return-value]
    return None


def _logprobs(choice: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    given = choice.get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    entries = content if isinstance(content, list) else []
    return entries if all(isinstance(one, dict) for one in entries) else []


def _words(body: str) -> tuple[str, str]:
    """An endpoint's words about an error, and its code for it."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return short(body.strip(), _LONGEST), ""
    if isinstance(answer, list) and answer:  # so Gemini
        answer = answer[0]
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        said = error.get("message") or error.get("detail") or error
        code = error.get("code") or error.get("type")
        return short(said, _LONGEST), code if isinstance(code, str) else ""
    return short(error, _LONGEST), ""
