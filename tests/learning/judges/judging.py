"""What the tests of judges share: questions, and a server that speaks the chat protocol."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from learning.judges.base import Ask
from learning.judges.forms import form
from learning.judges.limits import Stop

KEY = "sk-a-very-secret-key"


def asking(*names, responses=("four", "It is five."), prompt="What is 2 + 2?", **options):
    """A question; options by form."""
    forms = [form(name, options.get(name)) for name in names or ("compare",)]
    return Ask.of(forms, prompt, list(responses), guidelines="Right answers are better.")


class Hurried(Stop):
    """Does not really sleep; remembers how long it was asked to."""

    def __init__(self):
        super().__init__()
        self.waits = []

    def wait(self, seconds):
        self.waits.append(seconds)
        super().wait(0)


class Handler(BaseHTTPRequestHandler):
    """Hands each request to `server.answer`."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each answer takes 40 ms

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.take(self, json.loads(raw))

    def do_GET(self):
        self.server.take(self, None)

    def log_message(self, format, *args):  # noqa: A002
        pass

    def say(self, status, body, *, size=None, kind="application/json", **headers):
        """Answer; with a `size` that is not the body's the connection breaks off."""
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        if size is not None:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """Counts what it is sent; `behave(handler, body, count)` may answer instead of it."""

    daemon_threads = True

    def __init__(self, behave=None, decide=None, key=KEY):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/v1"
        self.behave, self.decide, self.key = behave, decide or shorter_is_better, key
        self.bodies, self.headers, self.replies = [], [], 0
        self.lock = threading.Lock()

    def take(self, handler, body):
        with self.lock:
            self.bodies.append(body)
            self.headers.append(handler.headers)
            count = len(self.bodies)
        if self.behave is not None and self.behave(handler, body, count):
            return
        if self.key and handler.headers.get("Authorization") != f"Bearer {self.key}":
            handler.say(401, {"error": {"message": f"Incorrect API key: {self.key}"}})
        elif body is None:
            handler.say(200, {"object": "list", "data": [{"id": "tiny"}, {"id": "small"}]})
        elif body["model"] not in ("tiny", "small"):
            handler.say(404, {"error": {"message": f"The model `{body['model']}` does not exist"}})
        else:
            with self.lock:
                self.replies += 1
            handler.say(200, completion(self.decide(body), model=body["model"]))


def completion(text, *, model="tiny", usage=(100, 10), finish="stop", **message):
    made = {
        "id": "chat-1",
        "object": "chat.completion",
        "model": f"{model}-2026",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": text, **message},
            }
        ],
    }
    if usage:
        made["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    return made


def responses_in(body):
    """The responses of a prompt by letter, as a model would find them."""
    text = "\n".join(turn["content"] for turn in body["messages"])
    found = re.findall(
        r"<<<begin response ([A-J]) (\w{12})>>>\n(.*?)\n<<<end response \1 \2>>>", text, re.DOTALL
    )
    return {letter: said for letter, _, said in found}


def shorter_is_better(body):
    shown = responses_in(body)
    if not shown:
        return "no question"
    best = min(shown, key=lambda letter: len(shown[letter]))
    return json.dumps({"reason": "shorter", "choice": best, "strength": 2, "confidence": 80})


def always_a(body):
    return json.dumps({"reason": "first", "choice": "A", "strength": 2, "confidence": 90})


@contextmanager
def serving(behave=None, decide=None, key=KEY) -> Iterator[Server]:
    with Server(behave, decide, key) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
