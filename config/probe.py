"""Health checks for containers: ``python -m config.probe web | worker NAME | beat``.

Exits with 0 when the process beside it does its work, and says why when it does not.
"""

import http.client
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config import env

TIMEOUT_SECONDS = 5.0
STALE_SECONDS = 300.0


class UnhealthyError(Exception):
    """The process does not do its work; the message says what was seen."""


def web() -> None:
    """Ask the web process of this container whether it can serve."""
    port = int(env.text("WEB_BIND", "127.0.0.1:8000").rpartition(":")[2])
    host = env.words("ALLOWED_HOSTS", ["localhost"])[0].lstrip(".").replace("*", "localhost")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz", headers={"Host": host})
        answer = connection.getresponse()
        body = answer.read(2000).decode(errors="replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise UnhealthyError(f"{answer.status}: {body}")


def worker(name: str) -> None:
    """Ask the worker of this container, through the broker, whether it listens."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config.celery import app

    node = f"{name}@{socket.gethostname()}"
    if not app.control.ping(destination=[node], timeout=TIMEOUT_SECONDS):
        raise UnhealthyError(f"{node} did not answer within {TIMEOUT_SECONDS:g} s")


def beat(schedule: str) -> None:
    """Look at the file that beat writes after every message it sends."""
    path = Path(schedule)
    ages = [time.time() - file.stat().st_mtime for file in path.parent.glob(f"{path.name}*")]
    if not ages or min(ages) > STALE_SECONDS:
        raise UnhealthyError(f"{schedule} was not written in the last {STALE_SECONDS:g} s")


def main(argv: list[str]) -> int:
    """Run one probe."""
    probes: dict[str, tuple[Callable[..., None], int]] = {
        "web": (web, 0),
        "worker": (worker, 1),
        "beat": (beat, 1),
    }
    name, *rest = argv or ["?"]
    if name not in probes or len(rest) != probes[name][1]:
        sys.stderr.write("usage: python -m config.probe web | worker NAME | beat SCHEDULE\n")
        return 2
    try:
        probes[name][0](*rest)
    except Exception as error:  # whatever it is, the answer is "unhealthy"
        sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
