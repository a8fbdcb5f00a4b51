"""The broker is only a doorbell: job rows are the truth, so publishing must fail fast.

Without ``BROKER_URL`` the queues live in the database itself (Kombu's ``pgmq`` transport),
so that a laptop needs no second service. Redis is the choice for a team.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

PGMQ = "pgmq://database/"  # no address: `conn_string` has it
SCHEMES = ("pgmq", "redis", "rediss", "sentinel", "amqp", "amqps", "memory")
QUEUES = ("default", "learning", "judges")
VISIBILITY_SECONDS = 12 * 3600  # above the longest task; correctness comes from the job's lease
CONNECT_SECONDS = 1.0
ANSWER_SECONDS = 2.0
SCHEMA_LOCK = 7_409_233_871  # any number, only ours


@dataclass(frozen=True)
class Broker:
    """What Celery needs to know about the broker."""

    url: str
    transport_options: dict[str, Any]

    @property
    def in_database(self) -> bool:
        """Whether the queues are tables of our own database."""
        return self.url == PGMQ


def choose_broker(url: str, *, database: dict[str, Any]) -> Broker:
    """Read ``BROKER_URL``; empty means the database itself."""
    url = PGMQ if url in {"", "pgmq://"} else url
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        known = ", ".join(SCHEMES)
        raise ImproperlyConfigured(f"BROKER_URL: {scheme}:// is not supported; use one of {known}.")
    if scheme == "pgmq" and url != PGMQ:
        raise ImproperlyConfigured(
            "BROKER_URL: pgmq:// takes no address, its queues are in the database of DATABASE_URL."
        )
    return Broker(url, _transport_options(scheme, database))


def _transport_options(scheme: str, database: dict[str, Any]) -> dict[str, Any]:
    """Bounded waits: a request that rings must not hang on a broker that is down."""
    at_once = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    if scheme == "pgmq":
        return {
            **at_once,
            "conn_string": conninfo(database),
            "init_extension": False,  # see `install_queue_schema`
            "visibility_timeout": VISIBILITY_SECONDS,
            "pool_size": 4,
            "pool_timeout": CONNECT_SECONDS,
            "wait_time_seconds": 0,  # a long poll would hold each queue in turn
            "polling_interval": 0.25,
        }
    if scheme in {"redis", "rediss", "sentinel"}:
        return {
            **at_once,
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": ANSWER_SECONDS,
            "socket_keepalive": True,
            "health_check_interval": 25,
        }
    if scheme in {"amqp", "amqps"}:
        return {**at_once, "read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
    return at_once


def conninfo(database: dict[str, Any]) -> str:
    """Django's database dictionary as libpq's ``key=value`` text.

    pgmq's own reading of an address loses the folder of a socket.
    """
    from psycopg.conninfo import make_conninfo

    options = {key: value for key, value in database["OPTIONS"].items() if key != "pool"}
    return make_conninfo(
        "",
        dbname=database["NAME"],
        user=database["USER"] or None,
        password=database["PASSWORD"] or None,
        host=database["HOST"] or None,
        port=database["PORT"] or None,
        **{"connect_timeout": 2, "application_name": "tiebreak-queue", **options},
    )


def install_queue_schema() -> bool:
    """Create the queues' tables and functions in the database, once; ``True`` when it did.

    The bundled SQL cannot be run twice, so the schema is looked for first, under a lock.
    """
    from django.db import connection, transaction
    from pgmq.install import get_embedded_install_sql

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        cursor.execute("SELECT to_regprocedure('pgmq.list_queues()') IS NOT NULL")
        if cursor.fetchone()[0]:
            return False
        cursor.execute(get_embedded_install_sql())
        return True
