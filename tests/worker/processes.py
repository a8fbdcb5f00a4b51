"""Real workers on the test database, started and killed by the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from config.demo import commands


def test_database_url() -> str:
    """The address of the database that this test uses."""
    name = connection.settings_dict["NAME"]
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{name}").geturl()


test_database_url.__test__ = False  # type: ignore[attr-defined]


def environment(var: Path, **changes: str) -> dict[str, str]:
    """What a worker of a deployment sees, with leases that run out fast."""
    base = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": test_database_url(),
        "SECRET_KEY": "only for tests",
        "TIEBREAK_VAR": str(var),
        "JOB_LEASE_SECONDS": "2",
        "JOB_HEARTBEAT_SECONDS": "1",
        "SWEEP_SECONDS": "1",
        "HF_HUB_OFFLINE": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    if os.environ.get("BROKER_URL"):
        base["BROKER_URL"] = os.environ["BROKER_URL"]
    return base | changes


@contextmanager
def process(name: str, var: Path, **changes: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo's `web`, `worker` or `beat`; killed at the end if it still runs."""
    log = var / f"{name}-{time.monotonic_ns()}.log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            commands(var, port=8000)[name],
            env=environment(var, **changes),
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield running
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGTERM)
                try:
                    running.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    os.killpg(running.pid, signal.SIGKILL)
                    running.wait()
            if sys.exc_info()[0] is not None:
                sys.stderr.write(f"\n--- {name}\n{log.read_text(errors='replace')[-3000:]}\n")


def until(met: Callable[[], bool], *, seconds: float = 45.0, what: str = "it") -> None:
    """Wait for something that other processes do."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if met():
            return
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
