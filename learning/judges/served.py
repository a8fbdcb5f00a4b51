"""A small server that speaks the chat protocol on this machine, so that a judge is at hand.

It answers from a local language model where it is given one, and otherwise from the open scorer
of `learning.judges.scorer`: a demo judge, and it says so. Either way it reads the prompt that it
is sent, as any model would, and fills in the JSON Schema of ``response_format``; without one it
answers yes or no about a single response.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Protocol

from learning.errors import ConfigError, LearningError
from learning.judges.base import Message
from learning.judges.causal import CausalModel, Choosing, shares
from learning.judges.errors import TooLong
from learning.judges.filling import Filled, fill
from learning.judges.money import likely_tokens
from learning.judges.scorer import Scorer
from learning.judges.sections import sections

DEMO: Final = "tiebreak-demo-judge"
ABOUT: Final = (
    "A demo judge: no language model, but closeness of meaning, length and form, openly weighed. "
    "Often wrong. Do not buy decisions with it."
)
_MOST: Final = 4 * 2**20  # bytes of a request
_TINY: Final = 1e-9


class Answerer(Protocol):
    """Whoever stands behind the server."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def about(self) -> str:
        """What it is, for whoever lists models."""

    def answer(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> Filled:
        """Fill in a schema."""

    def yes(self, messages: tuple[Message, ...]) -> float:
        """Probability of Yes to a question about one response."""

    def tokens(self, text: str) -> int:
        """How many tokens a text has."""


@dataclass(frozen=True, slots=True)
class DemoAnswerer:
    """The open scorer."""

    scorer: Scorer
    name: str = DEMO
    about: str = ABOUT

    def answer(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> Filled:
        """By the scores of the responses in the prompt."""
        deciding = self.scorer.deciding(sections(messages))
        return fill(schema, deciding, reason=deciding.reason)

    def yes(self, messages: tuple[Message, ...]) -> float:
        """By the score of the response in the prompt."""
        deciding = self.scorer.deciding(sections(messages))
        return deciding.good(next(iter(deciding.scores)))

    def tokens(self, text: str) -> int:
        """Four bytes a token."""
        return likely_tokens([text])


@dataclass(frozen=True, slots=True)
class ModelAnswerer:
    """A local language model."""

    model: CausalModel

    @property
    def name(self) -> str:
        """Folder and fingerprint."""
        return self.model.name

    @property
    def about(self) -> str:
        """What it does."""
        return "A local language model that chooses between given words; it writes no reasons."

    def answer(self, messages: tuple[Message, ...], schema: Mapping[str, Any]) -> Filled:
        """By what it finds likelier."""
        return fill(schema, Choosing(self.model, self.model.prompt(messages)))

    def yes(self, messages: tuple[Message, ...]) -> float:
        """By what it finds likelier."""
        prompt = self.model.prompt(messages)
        return shares(self.model.log_likelihoods(prompt, ["Yes", "No"]))[0]

    def tokens(self, text: str) -> int:
        """As its tokenizer counts."""
        return self.model.tokens(text)


class JudgeServer(ThreadingHTTPServer):
    """Serves one answerer on the loopback interface.

    Args:
        answerer: Who answers.
        port: 0 takes a free one.

    Raises:
        ConfigError: the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, answerer: Answerer, port: int = 0) -> None:
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {port} cannot be had: {error}") from None
        self.answerer = answerer

    @property
    def url(self) -> str:
        """The base URL to give a client."""
        return f"http://127.0.0.1:{self.server_port}/v1"


@contextmanager
def serving(answerer: Answerer, port: int = 0) -> Iterator[JudgeServer]:
    """A server in a thread of this process, for as long as the block lasts."""
    with JudgeServer(answerer, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, said: str, code: str = "invalid_request_error") -> None:
        super().__init__(said)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    server: JudgeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: together they took 40 ms
    timeout = 60

    def do_GET(self) -> None:
        """The list of models."""
        if self.path.rstrip("/") != "/v1/models":
            self._say(404, _error("there are /v1/models and /v1/chat/completions", "not_found"))
            return
        who = self.server.answerer
        model = {"id": who.name, "object": "model", "owned_by": "tiebreak", "about": who.about}
        self._say(200, {"object": "list", "data": [model]})

    def do_POST(self) -> None:
        """A chat completion."""
        try:
            body = self._body()
            if self.path.rstrip("/") != "/v1/chat/completions":
                raise _Refusal(404, "there are /v1/models and /v1/chat/completions", "not_found")
            self._say(200, _completion(self.server.answerer, body))
        except _Refusal as refused:
            self._say(refused.status, _error(str(refused), refused.code))

    def _body(self) -> dict[str, Any]:
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > _MOST:
            self.close_connection = True  # what follows is not read
            raise _Refusal(413, f"a request needs a Content-Length of at most {_MOST:,}")
        raw = self.rfile.read(int(size))
        try:
            body = json.loads(raw)
        except (ValueError, RecursionError):
            raise _Refusal(400, "the request is no JSON") from None
        if not isinstance(body, dict):
            raise _Refusal(400, "the request is no JSON object")
        return body

    def _say(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: prompts are nobody's business."""


def _completion(who: Answerer, body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer one request."""
    if body.get("model") != who.name:
        said = f"The model {body.get('model')!r} does not exist; there is {who.name!r}"
        raise _Refusal(404, said, "model_not_found")
    messages = _messages(body.get("messages"))
    form = body.get("response_format")
    schema = form.get("json_schema") if isinstance(form, dict) else None
    try:
        if isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
            filled = who.answer(messages, schema["schema"])
            parts = _around(filled)
            alternatives = filled.choice
        else:
            yes = who.yes(messages)
            parts = ("", "Yes" if yes >= 0.5 else "No", "")
            alternatives = {"Yes": yes, "No": 1 - yes}
    except TooLong as error:
        raise _Refusal(400, str(error), "context_length_exceeded") from None
    except LearningError as error:
        raise _Refusal(400, str(error)) from None
    except KeyError as error:
        raise _Refusal(400, f"the prompt has no response {error}") from None
    text = "".join(parts)
    tokens_in = who.tokens("\n".join(turn.content for turn in messages))
    tokens_out = who.tokens(text)
    choice = {"role": "assistant", "content": text}
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": who.name,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": choice,
                "logprobs": _logprobs(parts, alternatives) if body.get("logprobs") else None,
            }
        ],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise _Refusal(400, "messages must be a list of at least one")
    made = []
    for turn in given:
        role, content = (
            (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (0, 0)
        )
        if not isinstance(role, str) or not isinstance(content, str):
            raise _Refusal(400, "a message must have a role and a content, both texts")
        made.append(Message(role, content))
    return tuple(made)


def _around(filled: Filled) -> tuple[str, str, str]:
    """A reply as what stands before the word of the choice, the word, and the rest."""
    start = len(filled.before)
    end = filled.text.find('"', start) if start else 0
    return filled.before, filled.text[start:end], filled.text[end:]


def _logprobs(parts: tuple[str, str, str], choice: Mapping[str, float]) -> dict[str, Any]:
    """The protocol's form of it: one entry for each part that is not empty."""
    made: list[dict[str, Any]] = []
    for part in parts:
        if not part:
            continue
        likely = choice if part == parts[1] else {part: 1.0}
        ranked = sorted(likely.items(), key=lambda one: -one[1])
        top = [{"token": t, "logprob": math.log(max(p, _TINY))} for t, p in ranked]
        made.append({"token": part, "logprob": top[0]["logprob"], "top_logprobs": top})
    return {"content": made}


def _error(said: str, code: str) -> dict[str, Any]:
    return {"error": {"message": said, "type": code, "code": code}}
