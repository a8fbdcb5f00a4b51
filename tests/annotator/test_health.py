"""Probes tell the truth, quickly, and nothing that is nobody's business."""

from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.test import Client
from kombu import Connection

from annotator.views import health


def test_alive_touches_nothing(client: Client) -> None:
    # Without the database mark, any query would fail this test.
    response = client.get("/healthz")
    assert response.status_code == 200
    assert response.json() == {"status": "alive"}


@pytest.mark.django_db
def test_ready_names_each_check(client: Client) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    checks = {"database": "ok", "migrations": "ok", "broker": "ok"}
    assert response.json() == {"status": "ready", "checks": checks}
    assert "no-store" in response["Cache-Control"]


def test_an_unreachable_database_is_told_without_its_address(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise OperationalError("connection to secret.example failed")

    monkeypatch.setitem(health.CHECKS, "database", broken)
    monkeypatch.setitem(health.CHECKS, "migrations", broken)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "unreachable"
    assert response.json()["checks"]["broker"] == "ok"
    assert "secret.example" not in response.content.decode()


@pytest.mark.django_db
def test_pending_migrations_are_counted(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "django.db.migrations.executor.MigrationExecutor.migration_plan", lambda *_: [1, 2]
    )
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["migrations"] == "2 pending"


@pytest.mark.django_db
def test_an_unreachable_broker_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Connection("redis://127.0.0.1:1/0", transport_options={"max_retries": 1})
    monkeypatch.setattr(health, "current_app", SimpleNamespace(pool=nowhere.Pool(1)))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["checks"]["broker"] == "unreachable"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_refuse_post(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405
