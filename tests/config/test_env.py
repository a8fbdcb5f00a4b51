"""Readers of the environment refuse what they cannot understand, by name."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


@pytest.mark.parametrize("value", ["1", "true", "YES", " on "])
def test_a_yes_is_understood(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("FLAG", value)
    assert env.boolean("FLAG", default=False) is True


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG", "")
    assert env.boolean("FLAG", default=True) is True
    assert env.integer("FLAG", 7) == 7
    assert env.text("FLAG", "x") == "x"


def test_a_bad_boolean_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAG", "maybe")
    with pytest.raises(ImproperlyConfigured, match="FLAG='maybe'"):
        env.boolean("FLAG", default=False)


@pytest.mark.parametrize("value", ["ten", "1.5", "-1", "101"])
def test_a_number_outside_its_limits_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NUMBER", value)
    with pytest.raises(ImproperlyConfigured, match="at least 0 and at most 100"):
        env.integer("NUMBER", 1, maximum=100)


def test_a_word_that_is_no_choice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLE", "yaml")
    with pytest.raises(ImproperlyConfigured, match="text, json"):
        env.choice("STYLE", "text", ["text", "json"])


@pytest.mark.parametrize("value", ["1200/min", "5/s", "1/day"])
def test_a_rate_is_a_number_per_time(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RATE", value)
    assert env.rate("RATE", "1/min") == value


@pytest.mark.parametrize("value", ["often", "0/min", "5", "5/week", "-1/s"])
def test_a_rate_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("RATE", value)
    with pytest.raises(ImproperlyConfigured, match="RATE="):
        env.rate("RATE", "1/min")


def test_a_missing_required_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANTED", raising=False)
    with pytest.raises(ImproperlyConfigured, match="WANTED is not set"):
        env.text("WANTED")


def test_a_secret_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    monkeypatch.setenv("KEY_FILE", str(secret))
    assert env.text("KEY") == "hush"


@pytest.mark.parametrize("content", [None, "", b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | bytes | None
) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.setenv("KEY_FILE", str(path))
    with pytest.raises(ImproperlyConfigured, match="KEY_FILE="):
        env.text("KEY", "fallback")


def test_a_value_and_a_file_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "a")
    monkeypatch.setenv("KEY_FILE", "/nowhere")
    with pytest.raises(ImproperlyConfigured, match="not both"):
        env.text("KEY")


def test_an_origin_needs_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORIGINS", "https://a.example, b.example")
    with pytest.raises(ImproperlyConfigured, match=r"b\.example"):
        env.origins("ORIGINS")


def test_a_database_address_keeps_everything_the_client_library_knows() -> None:
    url = "postgres://me:p%40ss%2Fw@db.example:5433/labels?sslmode=require&connect_timeout=3"
    assert env.database("DATABASE_URL", url) == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "labels",
        "USER": "me",
        "PASSWORD": "p@ss/w",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require", "connect_timeout": "3"},
    }


def test_a_socket_folder_keeps_its_capitals() -> None:
    found = env.database("DATABASE_URL", "postgresql://me@/labels?host=/home/Me/Data")
    assert found["HOST"] == "/home/Me/Data"


@pytest.mark.parametrize(
    "url", ["sqlite:///db.sqlite3", "labels", "postgres://h:5432", "postgres://h/d?nonsense=1"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        env.database("DATABASE_URL", url)


def test_a_pool_replaces_kept_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_POOL_SIZE", "8")
    reuse = env.connection_reuse({"sslmode": "require"})
    assert reuse["CONN_MAX_AGE"] == 0
    assert reuse["OPTIONS"]["sslmode"] == "require"
    assert reuse["OPTIONS"]["pool"]["max_size"] == 8


def test_a_deployment_must_bring_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/labels")
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY"):
        env.secret_key(tmp_path)


def test_the_embedded_default_makes_its_key_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    key = env.secret_key(tmp_path)
    assert len(key) >= 50
    assert env.secret_key(tmp_path) == key
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
