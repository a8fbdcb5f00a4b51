"""The whole product on the embedded default, for measuring: the processes `make demo` runs."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from config import demo
from config.embedded_postgres import EmbeddedPostgres
from config.guardian import Guardian
from config.supervisor import Supervisor


@dataclass(frozen=True)
class Stack:
    """A running site."""

    base: str
    var: Path
    supervisor: Supervisor


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running() -> Iterator[Stack]:
    """Start database, web, worker and beat in a folder of their own; stop them after.

    Django in this process speaks to the same database.
    """
    with ExitStack() as stack:
        var = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tiebreak-bench-")))
        var.chmod(0o711)
        server = EmbeddedPostgres(var / "postgres")
        guardian = Guardian(server)
        stack.callback(guardian.close)
        server.acquire()
        stack.callback(server.release)
        port = free_port()
        environment = demo.child_environment(server.url, port=port, var=var)
        os.environ.update({name: environment[name] for name in SHARED})
        demo.manage(environment, "Preparing the tables ...", "migrate", "--verbosity=0")
        demo.manage(
            environment, "Collecting static files ...", "collectstatic", "--no-input", "-v0"
        )
        import django

        django.setup()
        supervisor = Supervisor(var / "log", guardian)
        stack.callback(supervisor.stop)
        for name, args in demo.commands(var, port=port).items():
            if name != "judge":  # nothing here is measured with one
                supervisor.spawn(name, args, env=environment)
        if not supervisor.wait_until(lambda: demo.answers(port), timeout=60):
            raise RuntimeError(supervisor.tail("web"))
        yield Stack(f"http://127.0.0.1:{port}", var, supervisor)


COLLECT = ("collectstatic", "--no-input", "-v0")
SHARED = ("DATABASE_URL", "SECRET_KEY", "TIEBREAK_VAR", "DJANGO_SETTINGS_MODULE")
