"""Exports in a bucket: a local server that speaks S3, uploads, signed addresses, ranges."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.test import Client

from annotator.exporters import ExportOptions
from annotator.models import Campaign, Job, Snapshot
from annotator.services.snapshots import drop_files, find_part, request_snapshot, store
from config import storage
from tests.annotator.acts import answer, lease
from worker import child, jobs

pytest.importorskip("moto")
pytest.importorskip("storages")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Any]:
    """An empty bucket, named in the environment as an operator would."""
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    monkeypatch.setenv("SNAPSHOT_S3_BUCKET", "labels")
    monkeypatch.setenv("SNAPSHOT_S3_ENDPOINT", address)
    monkeypatch.setenv("SNAPSHOT_S3_REGION", "us-east-1")
    made = boto3.resource("s3", endpoint_url=address, region_name="us-east-1").Bucket("labels")
    made.create()
    settings.STORAGES = {**settings.STORAGES, "snapshots": storage.snapshot_storage()}
    yield made
    made.meta.client.close()
    store().connection.meta.client.close()
    del storages._storages  # type: ignore[attr-defined]
    server.stop()


@pytest.fixture
def snapshot(bucket: Any, campaign: Campaign, ada: User) -> Snapshot:
    answer(lease(campaign, ada), ada)
    asked = request_snapshot(
        campaign=campaign, format_name="native", options=ExportOptions(), user=None
    )
    claimed = jobs.claim(Job.objects.get(key=f"snapshot:{asked.pk}").pk)
    assert claimed is not None
    child.main(claimed.id, claimed.attempt)
    asked.refresh_from_db()
    assert asked.state == "ready", asked.error
    return asked


def test_finished_files_are_in_the_bucket_and_nowhere_else(bucket: Any, snapshot: Snapshot) -> None:
    keys = sorted(one.key for one in bucket.objects.all() if snapshot.path in one.key)
    names = ("data.jsonl", "manifest.json", "provenance.jsonl")
    assert keys == [f"snapshots/{snapshot.path}/{name}" for name in names]
    assert find_part(snapshot=snapshot).path is None


def test_a_download_leads_to_a_signed_address_that_knows_ranges(
    snapshot: Snapshot, as_ruth: Client
) -> None:
    reply = as_ruth.get(f"/api/exports/{snapshot.pk}/download/")
    assert reply.status_code == 302
    address = reply["Location"]
    assert "X-Amz-Signature" in address
    with urllib.request.urlopen(address) as found:  # noqa: S310 - our own server
        whole = found.read()
        assert "sky-native-data.jsonl" in found.headers["Content-Disposition"]
    assert len(whole) == snapshot.manifest["files"]["data.jsonl"]["bytes"]
    asked = urllib.request.Request(address, headers={"Range": "bytes=10-"})  # noqa: S310
    with urllib.request.urlopen(asked) as rest:  # noqa: S310
        assert (rest.status, whole[:10] + rest.read()) == (206, whole)


def test_what_does_not_count_is_taken_out_again(bucket: Any, snapshot: Snapshot) -> None:
    drop_files(name=snapshot.path)
    assert [one.key for one in bucket.objects.all() if snapshot.path in one.key] == []


def test_without_the_extra_the_start_stops_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SNAPSHOT_S3_BUCKET", "labels")
    monkeypatch.setattr(storage, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match="needs the extra s3"):
        storage.snapshot_storage()


def test_without_a_bucket_exports_are_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SNAPSHOT_S3_BUCKET", raising=False)
    assert storage.snapshot_storage() == storage.FOLDER
