"""Downloads of exports: whole, in ranges, broken off and taken up again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.exporters import ExportOptions
from annotator.models import Campaign, Job, Snapshot
from annotator.services.snapshots import find_part, request_snapshot
from tests.annotator.acts import answer, lease
from worker import child, jobs


@pytest.fixture
def snapshot(campaign: Campaign, ada: User) -> Snapshot:
    """Ready, some hundred bytes."""
    while (assignment := lease(campaign, ada)) is not None:
        answer(assignment, ada)
    asked = request_snapshot(
        campaign=campaign, format_name="native", options=ExportOptions(), user=None
    )
    claimed = jobs.claim(Job.objects.get(key=f"snapshot:{asked.pk}").pk)
    assert claimed is not None
    child.main(claimed.id, claimed.attempt)
    asked.refresh_from_db()
    assert asked.state == "ready"
    return asked


@pytest.fixture
def where(snapshot: Snapshot) -> str:
    return f"/api/exports/{snapshot.pk}/download/"


@pytest.fixture
def whole(snapshot: Snapshot) -> bytes:
    path = find_part(snapshot=snapshot).path
    assert path is not None
    return path.read_bytes()


def body(reply: Any) -> bytes:
    return b"".join(reply.streaming_content) if reply.streaming else reply.content


def test_the_whole_file_comes_with_its_checksum(
    as_ruth: Client, snapshot: Snapshot, where: str, whole: bytes
) -> None:
    reply = as_ruth.get(where)
    assert (reply.status_code, body(reply)) == (200, whole)
    assert reply["ETag"] == f'"{snapshot.manifest["files"]["data.jsonl"]["sha256"]}"'
    assert reply["Accept-Ranges"] == "bytes"
    assert reply["Content-Length"] == str(len(whole))
    assert 'filename="sky-native-data.jsonl"' in reply["Content-Disposition"]


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("0-0", 0, 1), ("10-19", 10, 20), ("10-", 10, None), ("-7", -7, None), ("5-999999", 5, None)],
    ids=["first-byte", "middle", "open", "suffix", "beyond"],
)
def test_a_range_is_just_that_range(
    as_ruth: Client, where: str, whole: bytes, asked: str, first: int, last: int | None
) -> None:
    reply = as_ruth.get(where, headers={"Range": f"bytes={asked}"})
    part = whole[first:last]
    assert (reply.status_code, body(reply)) == (206, part)
    start = whole.index(part) if first >= 0 else len(whole) + first
    assert reply["Content-Range"] == f"bytes {start}-{start + len(part) - 1}/{len(whole)}"
    assert reply["Content-Length"] == str(len(part))


@pytest.mark.parametrize("asked", ["999999-", "-0"])
def test_a_range_that_is_not_there_is_refused(
    as_ruth: Client, where: str, whole: bytes, asked: str
) -> None:
    reply = as_ruth.get(where, headers={"Range": f"bytes={asked}"})
    assert (reply.status_code, reply["Content-Range"]) == (416, f"bytes */{len(whole)}")


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=1-2,4-5", "bytes=9-3", "bytes=-", "bytes=x"])
def test_a_range_that_cannot_be_heeded_is_answered_whole(
    as_ruth: Client, where: str, whole: bytes, asked: str
) -> None:
    reply = as_ruth.get(where, headers={"Range": asked})
    assert (reply.status_code, body(reply)) == (200, whole)


def test_a_download_that_broke_off_is_taken_up_intact(
    as_ruth: Client, where: str, whole: bytes
) -> None:
    first = as_ruth.get(where)
    got = body(first)[:100]  # the rest was lost on the way
    headers = {"Range": f"bytes={len(got)}-", "If-Range": first["ETag"]}
    rest = as_ruth.get(where, headers=headers)
    assert rest.status_code == 206
    assert got + body(rest) == whole


def test_of_another_file_everything_comes(as_ruth: Client, where: str, whole: bytes) -> None:
    headers = {"Range": "bytes=100-", "If-Range": '"another"'}
    reply = as_ruth.get(where, headers=headers)
    assert (reply.status_code, body(reply)) == (200, whole)


def test_what_one_has_is_not_sent_again(as_ruth: Client, where: str) -> None:
    first = as_ruth.get(where)
    etag = first["ETag"]
    assert body(first)
    reply = as_ruth.get(where, headers={"If-None-Match": etag})
    assert (reply.status_code, reply["ETag"]) == (304, etag)


def test_the_manifest_has_a_checksum_too(as_ruth: Client, where: str) -> None:
    reply = as_ruth.get(f"{where}?part=manifest.json")
    assert json.loads(body(reply))["format"] == "native"
    again = as_ruth.get(f"{where}?part=manifest.json", headers={"If-None-Match": reply["ETag"]})
    assert again.status_code == 304


def test_ranges_are_for_those_who_may_read(as_ada: Client, where: str) -> None:
    assert as_ada.get(where, headers={"Range": "bytes=0-9"}).status_code == 404


@pytest.mark.django_db(transaction=True)
def test_curl_takes_up_a_download(
    live_server: Any, as_ruth: Client, where: str, whole: bytes, tmp_path: Path
) -> None:
    half, cookie = tmp_path / "half", as_ruth.cookies["sessionid"].value
    half.write_bytes(whole[: len(whole) // 2])
    ran = subprocess.run(
        ["curl", "-sS", "-f", "-C", "-", "-o", str(half), "-b", f"sessionid={cookie}",
         f"{live_server.url}{where}"],
        capture_output=True, text=True, check=False, env={**os.environ, "NO_PROXY": "*"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert half.read_bytes() == whole
