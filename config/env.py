"""Loud, typed readers of the environment.

A setting that cannot be understood stops the start with a sentence that names it;
nothing is guessed. Every reader also looks at ``NAME_FILE``: the path of a file that
holds the value (how Docker and Kubernetes hand over secrets).
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def text(name: str, default: str | None = None) -> str:
    """Read a text; an empty variable counts as not set. Without a default it is required."""
    value = os.environ.get(name, "")
    path = os.environ.get(f"{name}_FILE", "")
    if value and path:
        raise ImproperlyConfigured(f"Set {name} or {name}_FILE, not both.")
    if path:
        value = _secret(name, path)
    if value:
        return value
    if default is None:
        raise ImproperlyConfigured(f"{name} is not set (nor {name}_FILE).")
    return default


def _secret(name: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE={path} cannot be read: {error}") from error
    if not value:
        raise ImproperlyConfigured(f"{name}_FILE={path} is empty.")
    return value


def boolean(name: str, default: bool) -> bool:
    """Read yes or no."""
    value = text(name, "").strip().lower()
    if not value:
        return default
    if value not in TRUE | FALSE:
        words = ", ".join(sorted(TRUE | FALSE))
        raise ImproperlyConfigured(f"{name}={value!r} is neither yes nor no; use one of: {words}.")
    return value in TRUE


def integer(name: str, default: int, *, minimum: int = 0, maximum: int | None = None) -> int:
    """Read a whole number within its limits."""
    value = text(name, "").strip()
    if not value:
        return default
    upper = "" if maximum is None else f" and at most {maximum}"
    problem = f"{name}={value!r} must be a whole number, at least {minimum}{upper}."
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(problem) from error
    if number < minimum or (maximum is not None and number > maximum):
        raise ImproperlyConfigured(problem)
    return number


def choice(name: str, default: str, options: Sequence[str]) -> str:
    """Read one of a few words."""
    value = text(name, default).strip().lower()
    if value not in options:
        raise ImproperlyConfigured(f"{name}={value!r} must be one of: {', '.join(options)}.")
    return value


def rate(name: str, default: str) -> str:
    """Read how often something may be done: ``1200/min``; per s, min, hour or day."""
    value = text(name, default).strip().lower()
    if not re.fullmatch(r"[1-9][0-9]{0,8}/(s|sec|min|hour|day)", value):
        raise ImproperlyConfigured(f"{name}={value!r} must be a number per time, such as 1200/min.")
    return value


def words(name: str, default: Sequence[str] = ()) -> list[str]:
    """Read a list separated by commas."""
    value = text(name, "")
    return [word for part in value.split(",") if (word := part.strip())] or list(default)


def origins(name: str) -> list[str]:
    """Read web addresses such as ``https://labels.example.org``, separated by commas."""
    found = words(name)
    for origin in found:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path not in {"", "/"}:
            raise ImproperlyConfigured(
                f"{name}: {origin!r} is not an origin such as https://labels.example.org."
            )
    return [origin.rstrip("/") for origin in found]


def var_dir() -> Path:
    """Where this installation keeps its files (``TIEBREAK_VAR``)."""
    return Path(text("TIEBREAK_VAR", str(BASE_DIR / "var"))).absolute()


def database(name: str, url: str) -> dict[str, Any]:
    """Turn a PostgreSQL address into Django's dictionary.

    The client library's own parser reads it, so whatever ``psql`` accepts is accepted:
    sockets, several hosts, ``sslmode`` and every other option.
    """
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    scheme = urlsplit(url).scheme
    if scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"{name} must start with postgresql:// (Tiebreak speaks PostgreSQL only), "
            f"not {scheme or 'nothing'}://."
        )
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"{name} is not a PostgreSQL address: {error}") from None
    if not parts.get("dbname"):
        raise ImproperlyConfigured(f"{name} does not name a database.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", "") or "",
        "PASSWORD": parts.pop("password", "") or "",
        "HOST": parts.pop("host", "") or "",
        "PORT": str(parts.pop("port", "") or ""),
        "OPTIONS": dict(parts),
    }


def database_url() -> str:
    """Read ``DATABASE_URL``; without it, the address of this checkout's own server."""
    configured = text("DATABASE_URL", "")
    if configured:
        return configured
    from config.embedded_postgres import default_server

    return default_server().url


def secret_key(folder: Path) -> str:
    """Read ``SECRET_KEY``; on the embedded default one is made up once and kept.

    A deployment with its own database has several processes, perhaps on several
    machines, that must share the key, so there it is required.
    """
    configured = text("SECRET_KEY", "")
    if configured:
        return configured
    if text("DATABASE_URL", ""):
        raise ImproperlyConfigured(
            "SECRET_KEY is not set (nor SECRET_KEY_FILE). It is required with DATABASE_URL."
        )
    from config.postgres_files import private_text

    return private_text(folder / "secret_key", size=50)


def connection_reuse(options: dict[str, Any]) -> dict[str, Any]:
    """Choose how connections are kept: a pool (``DATABASE_POOL_SIZE``) or one per thread.

    Django refuses both at once. With a pool, processes times its size must stay below the
    server's ``max_connections``. ``DATABASE_TRANSACTION_POOLER`` is for a pooler such as
    PgBouncer in front of the server, which cannot hold server-side cursors.
    """
    size = integer("DATABASE_POOL_SIZE", 0)
    pooled = boolean("DATABASE_TRANSACTION_POOLER", False)
    reuse: dict[str, Any] = {"DISABLE_SERVER_SIDE_CURSORS": pooled}
    if size:
        pool = {"min_size": 1, "max_size": size, "timeout": 10}
        return {**reuse, "CONN_MAX_AGE": 0, "OPTIONS": {**options, "pool": pool}}
    age = integer("DATABASE_CONN_MAX_AGE", 60)
    return {**reuse, "CONN_MAX_AGE": age, "CONN_HEALTH_CHECKS": age > 0}
