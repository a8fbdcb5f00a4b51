"""The client against a server that really speaks the protocol, and misbehaves."""

import pickle
import time
from contextlib import suppress

import pytest

from learning.judges import endpoint as endpoints
from learning.judges import errors
from learning.judges.asking import EndpointJudge
from learning.judges.base import Message
from learning.judges.endpoint import Endpoint, checked_url, retry_after
from learning.judges.limits import Pace
from learning.judges.protocol import Request
from learning.judges.secret import Secret
from tests.learning.judges.judging import (
    KEY,
    Hurried,
    asking,
    completion,
    serving,
)


def request(model="tiny", schema=None):
    return Request(model, (Message("system", "rules"), Message("user", "hello")), 50, schema)


def connect(server, **more):
    given = {"key": Secret(KEY), "stop": Hurried(), "timeout": 5.0, **more}
    return Endpoint(server.url, **given)


def once(answer):
    """Misbehave at the first request only."""
    return lambda handler, body, count: count == 1 and (answer(handler), True)[1]


def test_a_completion_and_the_list_of_models():
    with serving(decide=lambda body: "hello back") as server, connect(server) as endpoint:
        made = endpoint.chat(request())
        assert (made.text, made.model, made.tokens_in, made.tokens_out) == (
            "hello back",
            "tiny-2026",
            100,
            10,
        )
        assert not made.estimated
        assert endpoint.models() == ("tiny", "small")
    sent = server.bodies[0]
    assert sent["messages"] == [
        {"role": "system", "content": "rules"},
        {"role": "user", "content": "hello"},
    ]
    assert (sent["max_tokens"], sent["temperature"], sent["logprobs"]) == (50, 0, True)
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving() as server, connect(server, tries=1) as endpoint:
        assert endpoint.models()


def test_without_a_key_no_header_is_sent():
    with serving(key="") as server, connect(server, key=Secret("")) as endpoint:
        endpoint.chat(request())
    assert "Authorization" not in server.headers[0]


def test_an_endpoint_that_does_not_count_is_marked_as_estimated():
    def silent(handler, body, count):
        handler.say(200, completion("abcdefgh", usage=None))
        return True

    with serving(silent) as server, connect(server) as endpoint:
        made = endpoint.chat(request())
    assert (made.tokens_in, made.tokens_out, made.estimated) == (2 + 2, 2, True)


@pytest.mark.parametrize(
    "answer",
    [
        lambda handler: handler.say(429, {"error": {"message": "slow down"}}),
        lambda handler: handler.say(500, {"error": "oops"}),
        lambda handler: handler.say(503, b"<html>", kind="text/html"),
        lambda handler: handler.say(200, b'{"choices": [{"mess'),
        lambda handler: handler.say(200, b'{"choices"', size=1000),
        lambda handler: setattr(handler, "close_connection", True),
    ],
    ids=["429", "500", "503 as html", "broken JSON", "truncated body", "hung up"],
)
def test_what_passes_is_tried_again(answer):
    with serving(once(answer)) as server, connect(server) as endpoint:
        assert endpoint.chat(request()).model == "tiny-2026"
    assert len(server.bodies) == 2


def test_a_silent_endpoint_is_given_up_after_the_last_try():
    def silent(handler, body, count):
        time.sleep(0.3)
        handler.close_connection = True
        return True

    with (
        serving(silent) as server,
        connect(server, timeout=0.1, tries=2) as endpoint,
        pytest.raises(errors.Unreachable, match=r"within 0\.1 s"),
    ):
        endpoint.chat(request())
    assert len(server.bodies) == 2


def test_an_answer_that_drips_is_bounded_in_time():
    def drip(handler, body, count):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        with suppress(OSError):  # the client hangs up
            for _ in range(40):
                handler.wfile.write(b" ")
                handler.wfile.flush()
                time.sleep(0.02)
        return True

    began = time.monotonic()
    with (
        serving(drip) as server,
        connect(server, timeout=0.2, tries=1) as endpoint,
        pytest.raises(errors.Unreachable),
    ):
        endpoint.chat(request())
    assert time.monotonic() - began < 0.7  # all of it would take 0.8


def test_nobody_there_is_unreachable():
    with serving() as server:
        gone = server.url
    stop = Hurried()
    with (
        Endpoint(gone, stop=stop, tries=3, jitter=lambda: 0.0) as endpoint,
        pytest.raises(errors.Unreachable, match="out of reach"),
    ):
        endpoint.chat(request())
    assert [wait for wait in stop.waits if wait] == [0.5, 1.0]


def test_retry_after_is_honoured_and_holds_everybody():
    wait = once(lambda handler: handler.say(429, {}, Retry_After="7"))
    stop, now = Hurried(), [100.0]
    pace = Pace(clock=lambda: now[0])
    with serving(wait) as server, connect(server, stop=stop, pace=pace) as endpoint:
        endpoint.chat(request())
    assert max(stop.waits) >= 7
    assert pace.book(1) == 7  # the clock stands still: another thread would still have to wait


def test_whoever_asks_to_wait_for_an_hour_is_not_waited_for():
    def hour(handler, body, count):
        handler.say(429, {"error": {"message": "quota"}}, Retry_After="3600")
        return True

    with (
        serving(hour) as server,
        connect(server) as endpoint,
        pytest.raises(errors.Busy, match="wait for 3600 s"),
    ):
        endpoint.chat(request())
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, {"error": {"message": "no"}}, errors.WrongKey, "401"),
        (403, {"error": {"message": "no"}}, errors.WrongKey, "403"),
        (403, {"error": {"code": "model_not_found"}}, errors.NoSuchModel, "no access"),
        (402, {"error": {"message": "pay"}}, errors.NoCredit, "pay"),
        (402, [{"error": {"message": "pay", "code": 402}}], errors.NoCredit, "credit: pay"),
        (429, {"error": {"message": "x", "code": "insufficient_quota"}}, errors.NoCredit, "credit"),
        (404, {"detail": "Not Found"}, errors.BadAddress, "no chat endpoint"),
        (404, {"error": {"message": 'model "x" not found'}}, errors.NoSuchModel, "'tiny'"),
        (400, {"error": {"message": "the model does not exist"}}, errors.NoSuchModel, "exist"),
        (400, {"error": {"message": "maximum context length is 10"}}, errors.TooLong, "too long"),
        (413, b"", errors.TooLong, "too long"),
        (400, {"error": {"message": "?", "code": "content_filter"}}, errors.Refused, "declined"),
        (307, b"", errors.BadAddress, "redirects"),
        (418, {"error": {"message": "teapot"}}, errors.Rejected, "teapot"),
    ],
)
def test_what_does_not_pass_is_named_at_once(status, body, kind, said):
    def refuse(handler, sent, count):
        if sent is None:
            return False
        handler.say(status, body, Location="http://127.0.0.1:9/elsewhere")
        return True

    with (
        serving(refuse) as server,
        connect(server) as endpoint,
        pytest.raises(kind, match=said) as caught,
    ):
        endpoint.chat(request())
    assert type(caught.value) is kind
    chats = [sent for sent in server.bodies if sent is not None]
    assert len(chats) == (2 if kind is errors.Rejected else 1)  # once more without extras


def test_a_missing_model_is_told_with_those_that_are_there():
    with (
        serving() as server,
        connect(server) as endpoint,
        pytest.raises(errors.NoSuchModel, match="it lists: tiny, small"),
    ):
        endpoint.chat(request("huge"))


def test_an_oversized_answer_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(endpoints, "_MOST", 1000)
    long = completion("x" * 2000)
    reply = lambda handler, body, count: (handler.say(200, long), True)[1]  # noqa: E731
    with (
        serving(reply) as server,
        connect(server) as endpoint,
        pytest.raises(errors.ServerFault, match="more than 1,000 bytes"),
    ):
        endpoint.chat(request())
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("headers", "kind", "said"),
    [
        ({"Content_Encoding": "gzip"}, "application/json", "compressed"),
        ({}, "text/html", "web page"),
    ],
)
def test_whoever_speaks_something_else_is_a_bad_address(headers, kind, said):
    reply = lambda handler, body, count: (  # noqa: E731
        handler.say(200, b"<html>", kind=kind, **headers),
        True,
    )[1]
    with (
        serving(reply) as server,
        connect(server) as endpoint,
        pytest.raises(errors.BadAddress, match=said),
    ):
        endpoint.models()


@pytest.mark.parametrize(
    ("words", "gone"),
    [
        ("response_format of type json_schema is not supported", "response_format"),
        ("logprobs are not available", "logprobs"),
        ("temperature does not support 0", "temperature"),
        ("unexpected field seed", "seed"),
        ("Use 'max_completion_tokens' instead", "max_tokens"),
    ],
)
def test_what_an_endpoint_does_not_take_is_left_out_from_then_on(words, gone):
    def picky(handler, body, count):
        if gone in body and (gone != "response_format" or body[gone]["type"] == "json_schema"):
            handler.say(400, {"error": {"message": words}})
            return True
        return False

    with serving(picky) as server, connect(server) as endpoint:
        endpoint.chat(request(schema={"type": "object"}))
        endpoint.chat(request(schema={"type": "object"}))
    assert len(server.bodies) == 3  # the second chat knew
    first, last = server.bodies[0], server.bodies[-1]
    lost = {key for key in first if first[key] != last.get(key)}
    assert lost == {gone} | ({"top_logprobs"} if gone == "logprobs" else set())


def test_a_model_that_must_not_tell_its_logprobs_is_no_wrong_key():
    def picky(handler, body, count):
        if "logprobs" in body:
            handler.say(403, {"error": {"message": "You are not allowed to request logprobs"}})
            return True
        return False

    with serving(picky) as server, connect(server) as endpoint:
        assert endpoint.chat(request()).model == "tiny-2026"
    assert "logprobs" not in server.bodies[-1]


def test_a_model_without_system_messages_gets_the_rules_in_front():
    def picky(handler, body, count):
        if body["messages"][0]["role"] == "system":
            handler.say(400, {"error": {"message": "System role not supported"}})
            return True
        return False

    with serving(picky) as server, connect(server) as endpoint:
        endpoint.chat(request())
    assert server.bodies[-1]["messages"] == [{"role": "user", "content": "rules\n\nhello"}]


def test_an_endpoint_that_refuses_for_unsaid_reasons_is_asked_without_extras():
    def picky(handler, body, count):
        if "logprobs" in body:
            handler.say(422, {"detail": "unprocessable"})
            return True
        return False

    with serving(picky) as server, connect(server) as endpoint:
        endpoint.chat(request(schema={"type": "object"}))
    wanted = {"model", "messages", "max_tokens"}
    assert [set(body) == wanted for body in server.bodies] == [False, True]


# --- keys ----------------------------------------------------------------------------------


def test_a_key_is_in_no_repr_and_is_not_pickled():
    secret = Secret(f" {KEY}\n")
    assert secret.reveal() == KEY
    assert KEY not in f"{secret!r} {secret} {[secret]}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_key_that_an_endpoint_quotes_gets_into_no_error_and_no_call():
    def quoting(handler, body, count):
        sent = handler.headers["Authorization"]
        if count == 1:
            handler.say(200, completion(f"no verdict, but {sent}"))
        else:
            handler.say(418, {"error": {"message": f"you said {sent}"}})
        return True

    with serving(quoting) as server, connect(server) as endpoint:
        judge = EndpointJudge(endpoint, "tiny", repairs=1)
        asked = judge.ask(asking(), (0, 1))
        made = str(asked.calls[0].to_json()) + repr(asked) + str(asked.error)
    assert server.headers[0]["Authorization"].endswith(KEY)
    assert KEY not in made
    assert "[key]" in made


def test_a_wrong_key_is_named_without_it():
    with (
        serving() as server,
        connect(server, key=Secret("sk-wrong")) as endpoint,
        pytest.raises(errors.WrongKey) as caught,
    ):
        endpoint.chat(request())
    assert "sk-" not in str(caught.value)


def test_a_key_that_no_header_can_carry_is_refused_unquoted():
    with pytest.raises(errors.WrongKey) as caught:
        Endpoint("http://localhost:1", key=Secret("schlüssel"))
    assert "schl" not in str(caught.value)


# --- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("http://localhost:11434", "http://localhost:11434/v1"),
        (" https://api.example.org/v1/ ", "https://api.example.org/v1"),
        ("https://example.org/beta/openai", "https://example.org/beta/openai"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_base_urls(given, made):
    assert checked_url(given) == made


@pytest.mark.parametrize(
    "given",
    [
        "",
        "localhost:11434",
        "ftp://example.org/v1",
        "file:///etc/passwd",
        "http://",
        "http://name:word@example.org/v1",
        "http://example.org/v1?key=1",
        "http://example.org/v1#x",
        "http://[",
        "http://example.org:999999/",
    ],
)
def test_what_is_no_base_url_is_refused_without_its_password(given):
    with pytest.raises(errors.BadAddress) as caught:
        checked_url(given)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3), ("0.5", 0.5), ("-1", 0), ("", None), ("soon", None), ("nan", None), ("inf", None)],
)
def test_retry_after_in_seconds(said, seconds):
    assert retry_after(said) == seconds


def test_retry_after_as_a_date():
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert retry_after("Wed, 21 Oct 2099 07:28:00 GMT") > 1e9


def test_the_library_loads_no_http_client_until_an_endpoint_is_used():
    import subprocess
    import sys

    code = (
        "import sys, learning.judges, learning.judges.run, learning.judges.asking;"
        "print(sorted({'httpx2', 'tenacity', 'torch', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
