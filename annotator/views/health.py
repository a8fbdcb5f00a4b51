"""Probes for whoever keeps the site running: is it alive, and can it serve?"""

import logging
from collections.abc import Callable

from celery import current_app
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

logger = logging.getLogger(__name__)


class NotReadyError(Exception):
    """A check failed for a reason that may be told to anybody who asks."""


@require_safe
@never_cache
def alive(request: HttpRequest) -> HttpResponse:
    """Answer without touching anything: the process runs and takes requests."""
    return JsonResponse({"status": "alive"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """Say, check by check, whether this process can serve; 503 when it cannot."""
    checks = {name: _outcome(name, check) for name, check in CHECKS.items()}
    good = all(outcome == "ok" for outcome in checks.values())
    body = {"status": "ready" if good else "not ready", "checks": checks}
    return JsonResponse(body, status=200 if good else 503)


def _outcome(name: str, check: Callable[[], None]) -> str:
    """Run one check. What went wrong in detail is for the log: it may hold addresses."""
    try:
        check()
    except NotReadyError as reason:
        return str(reason)
    except Exception as error:  # whatever the driver raises, the answer is "no"
        logger.warning("not ready: %s: %s", name, error)
        return "unreachable"
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _migrations() -> None:
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        raise NotReadyError(f"{len(pending)} pending")


def _broker() -> None:
    """Borrow a connection as a doorbell would; the timeouts are those of the settings."""
    with current_app.pool.acquire(block=True, timeout=2) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
        if not broker.transport.verify_connection(broker.connection):
            broker.collapse()
            raise NotReadyError("unreachable")


CHECKS: dict[str, Callable[[], None]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
}
