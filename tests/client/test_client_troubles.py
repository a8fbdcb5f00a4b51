"""What goes wrong on the way: lost answers, restarts, limits, downloads that break off."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, AnsweredRequest
from annotator.models import Campaign as Stored
from tests.annotator.acts import answer, lease
from tests.client.servers import Request, forwarding, serving
from tiebreak.client import (
    ApiError,
    Campaign,
    Client,
    Corrupt,
    Export,
    Invalid,
    ServerError,
    Stopped,
    TiebreakError,
    TooManyRequests,
    Unreachable,
)
from tiebreak.client.http import Connection
from tiebreak.client.results import read

EMPTY = json.dumps({"next": None, "previous": None, "results": []}).encode()
LATER = b'{"title": "Too Many Requests", "detail": "later", "status": 429}'


def client(url: str, **options: Any) -> Client:
    return Client(url, "secret", **{"patience": 5.0, **options})


# --- answers that are lost -----------------------------------------------------------------


def drop_first(paths: str) -> Callable[..., bool]:
    """Lose the first answer to a changing request of these addresses, after it was done."""
    lost: list[str] = []

    def spoil(request: Request, status: int, body: bytes, headers: dict[str, str]) -> bool:
        if request.command == "GET" or paths not in request.path or lost:
            return False
        lost.append(request.path)
        request.hang_up()
        return True

    return spoil


@pytest.mark.django_db(transaction=True)
def test_what_is_created_while_the_answer_is_lost_is_there_once(
    script: Callable[..., Client], ruth: User, live_server: Any
) -> None:
    with serving(forwarding(live_server.url, drop_first("/campaigns/"))) as proxy:
        made = script(ruth, proxy.url).create_campaign("mine", "Mine")
        keys = [one.headers["Idempotency-Key"] for one in proxy.seen]
    assert made.info.slug == "mine"
    assert Stored.objects.count() == AnsweredRequest.objects.count() == 1
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.django_db(transaction=True)
def test_an_answer_whose_confirmation_is_lost_is_recorded_once(
    script: Callable[..., Client], ada: User, campaign: Any, live_server: Any
) -> None:
    with serving(forwarding(live_server.url, drop_first("/annotation/"))) as proxy:
        question = script(ada, proxy.url).campaign(campaign.slug).next()
        assert question
        said = question.answer(verdict="b2")
    assert Annotation.objects.get().pk == said.id


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_repeated_is_not(
    script: Callable[..., Client], ada: User, campaign: Any, live_server: Any
) -> None:
    for _ in range(2):
        answer(lease(campaign, ada), ada)
    with serving(forwarding(live_server.url, drop_first("/undo/"))) as proxy:
        desk = script(ada, proxy.url).campaign(campaign.slug)
        with pytest.raises(Unreachable, match="cannot be reached"):
            desk.undo()
    assert Annotation.objects.filter(outcome="undone").count() == 1


# --- sites that are away, busy or broken ---------------------------------------------------


def test_a_site_that_restarts_is_waited_for(free_port: int) -> None:
    found: list[list[Campaign]] = []

    def look() -> None:
        found.append(list(client(f"http://127.0.0.1:{free_port}").campaigns()))

    asking = threading.Thread(target=look)
    asking.start()
    time.sleep(0.4)  # refused meanwhile
    with serving(lambda request: request.say(200, EMPTY), free_port) as server:
        asking.join()
        assert len(server.seen) == 1
    assert found == [[]]


def test_a_site_that_stays_away_is_unreachable_after_patience(free_port: int) -> None:
    began = time.monotonic()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{free_port} cannot be reached"):
        client(f"http://127.0.0.1:{free_port}", patience=0.5).campaign("x").refresh()
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("status", "body"), [(502, b"<html>bad gateway"), (429, LATER)], ids=["502", "429"]
)
def test_a_busy_site_is_asked_again_when_it_says(status: int, body: bytes) -> None:
    times: list[float] = []

    def busy_once(request: Request) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            request.say(status, body, Retry_After="1")
        else:
            request.say(200, EMPTY)

    with serving(busy_once) as server:
        assert list(client(server.url).campaigns()) == []
    assert 1.0 <= times[1] - times[0] < 2.5


def test_a_limit_beyond_patience_is_an_error_at_once() -> None:
    with serving(lambda request: request.say(429, LATER, Retry_After="50")) as server:
        with pytest.raises(TooManyRequests, match="later"):
            client(server.url).campaign("x").start()
        assert len(server.seen) == 1


@pytest.mark.django_db(transaction=True)
def test_the_limit_of_the_real_site_is_waited_for(
    sky: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rest_framework.throttling import UserRateThrottle

    monkeypatch.setattr(UserRateThrottle, "rate", "3/s", raising=False)
    began = time.monotonic()
    for _ in range(7):
        sky.metrics()
    assert time.monotonic() - began >= 1.0


def test_a_broken_site_is_not_asked_twice_and_its_page_is_not_json() -> None:
    with serving(lambda request: request.say(500, b"<h1>Server Error</h1>")) as server:
        with pytest.raises(ServerError, match="500 Internal Server Error: <h1>Server") as refused:
            client(server.url).campaign("x").refresh()
        assert len(server.seen) == 1
    assert refused.value.errors == {}


def test_a_site_that_says_nothing_is_given_up() -> None:
    with serving(lambda request: time.sleep(1)) as server, pytest.raises(Unreachable):
        client(server.url, timeout=0.2, patience=0.3).campaign("x").refresh()


def test_a_site_that_moved_says_where() -> None:
    there = "https://new.example.org/api/campaigns/x/"
    with serving(lambda request: request.say(301, Location=there)) as server:
        asked = client(server.url).campaign("x")
        with pytest.raises(ApiError, match="answers from https://new"):
            asked.refresh()


def test_another_api_is_named() -> None:
    with serving(lambda request: request.say(200, b'{"slug": "x"}')) as server:
        asked = client(server.url).campaign("x")
        with pytest.raises(TiebreakError, match="is no CampaignInfo"):
            asked.refresh()


def test_the_address_and_the_token_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(lambda request: request.say(200, EMPTY)) as server:
        monkeypatch.setenv("TIEBREAK_URL", f"{server.url}/")
        monkeypatch.setenv("TIEBREAK_TOKEN", "from-there")
        assert list(Client().campaigns()) == []
        (seen,) = server.seen
    assert (seen.path, seen.headers["Authorization"]) == ("/api/campaigns/", "Token from-there")
    assert "from-there" not in repr(Client())
    monkeypatch.delenv("TIEBREAK_URL")
    with pytest.raises(ValueError, match="set TIEBREAK_URL"):
        Client()


def test_guidelines_come_before_questions() -> None:
    def none(request: Request) -> None:
        request.say(204, X_Tiebreak_Reason="guidelines")

    with serving(none) as server, pytest.raises(Stopped, match="read_guidelines") as stopped:
        next(client(server.url).campaign("x").questions())
    assert stopped.value.reason == "guidelines"


# --- downloads -----------------------------------------------------------------------------

DATA = bytes(range(256)) * 40_000  # 10 MB


def export(url: str, data: bytes = DATA, **options: Any) -> Export:
    """A finished export of a site."""
    about = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    now = "2026-11-26T12:00:00Z"
    row = {
        "id": "e1",
        "campaign": "sky",
        "format": "native",
        "options": {},
        "state": "ready",
        "error": "",
        "manifest": {"files": {"data.jsonl": about}},
        "created_at": now,
        "finished_at": now,
        "download": None,
    }
    connection = Connection(url, "secret", **{"patience": 5.0, **options})
    return read(Export, row, _site=connection)


def in_pieces(request: Request, *, piece: int = 3_000_000) -> None:
    """Serve ranges, and break off after so many bytes."""
    start = int(request.headers.get("Range", "bytes=0-")[6:-1])
    body, left = DATA[start : start + piece], len(DATA) - start
    if start:
        said = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        request.say(206, body, size=left, Content_Range=said)
    else:
        request.say(200, body, size=left)


def test_a_download_that_breaks_off_is_taken_up_where_it_was(tmp_path: Path) -> None:
    told: list[int] = []
    with serving(in_pieces) as server:
        path = export(server.url).download(tmp_path, progress_bar=lambda n, _: told.append(n))
        starts = [one.headers.get("Range") for one in server.seen]
    assert path.read_bytes() == DATA
    assert starts[:2] == [None, "bytes=3000000-"]
    assert told == sorted(told)
    assert told[-1] == len(DATA)
    assert list(tmp_path.iterdir()) == [path]


def test_another_call_takes_up_what_an_earlier_one_left(tmp_path: Path) -> None:
    with serving(in_pieces) as server, pytest.raises(Unreachable, match="jsonl stopped"):
        export(server.url, patience=0.0).download(tmp_path)
    (left,) = tmp_path.iterdir()
    assert left.stat().st_size >= 2_000_000
    with serving(in_pieces) as server:
        assert export(server.url).download(tmp_path).read_bytes() == DATA
        assert server.seen[0].headers["Range"] is not None


def test_a_site_without_ranges_sends_all_of_it_again(tmp_path: Path) -> None:
    sent: list[int] = []

    def no_ranges(request: Request) -> None:
        sent.append(1)
        cut = 1_000_000 if len(sent) == 1 else len(DATA)
        request.say(200, DATA[:cut], size=len(DATA))

    with serving(no_ranges) as server:
        assert export(server.url).download(tmp_path).read_bytes() == DATA
    assert len(sent) == 2


def test_a_broken_rest_of_an_earlier_download_is_thrown_away(tmp_path: Path) -> None:
    with serving(in_pieces) as server:
        wanted = export(server.url)
        sha256 = wanted.manifest["files"]["data.jsonl"]["sha256"]
        rest = tmp_path / f".sky-native-data.jsonl.{sha256[:12]}.part"
        rest.write_bytes(b"x" * 5_000_000)
        assert wanted.download(tmp_path).read_bytes() == DATA


@pytest.mark.parametrize("data", [b"rows!", b"more rows"], ids=["other", "shorter"])
def test_what_is_not_what_the_site_said_is_never_kept(tmp_path: Path, data: bytes) -> None:
    with serving(lambda request: request.say(200, b"other")) as server:
        wanted = export(server.url, data)
        with pytest.raises(Corrupt, match="does not have the checksum"):
            wanted.download(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_download_says_why(tmp_path: Path) -> None:
    said = b'{"title": "That cannot be used", "status": 422, "detail": "not ready"}'
    with serving(lambda request: request.say(422, said)) as server:
        wanted = export(server.url)
        with pytest.raises(Invalid, match="not ready"):
            wanted.download(tmp_path)


def test_a_bucket_never_sees_the_token(tmp_path: Path) -> None:
    with serving(in_pieces) as bucket:
        there = f"{bucket.url}/signed?key=1"
        with serving(lambda request: request.say(302, Location=there)) as server:
            assert export(server.url).download(tmp_path).read_bytes() == DATA
            assert server.seen[0].headers["Authorization"] == "Token secret"
        assert {one.headers["Authorization"] for one in bucket.seen} == {None}


@pytest.mark.django_db(transaction=True)
def test_a_download_of_the_real_site_is_taken_up(
    campaign: Any,
    ada: User,
    sky: Campaign,
    script: Callable[..., Client],
    ruth: User,
    live_server: Any,
    working: None,
    tmp_path: Path,
) -> None:
    answer(lease(campaign, ada), ada)
    ready = sky.request_export("native").wait()
    cut: list[str] = []

    def spoil(request: Request, status: int, body: bytes, headers: dict[str, str]) -> bool:
        if cut:
            return False
        cut.append(request.path)
        request.say(status, body[:100], size=len(body), **headers)
        return True

    with serving(forwarding(live_server.url, spoil)) as proxy:
        again = script(ruth, proxy.url)
        cut.append("not this one")
        found = again.get_export(ready.id)
        cut.clear()
        path = found.download(tmp_path)
        assert [one.headers.get("Range") for one in proxy.seen[-2:]] == [None, "bytes=100-"]
    assert json.loads(path.read_text())["id"] == "toy:0"
