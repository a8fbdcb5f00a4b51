"""One PostgreSQL server as processes and files: create, launch, watch, stop.

Who may do that when, and where the files are, is decided by ``embedded_postgres``.
"""

import logging
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.postgres_files import Binaries, EmbeddedPostgresError, ServiceUser, run_as

logger = logging.getLogger(__name__)

SOCKET = ".s.PGSQL.5432"
START_SECONDS = 60
RETRY_SECONDS = 15


@dataclass(frozen=True)
class ServerProcess:
    """The server of one data directory.

    Args:
        data: The data directory.
        binaries: What to run.
        user: The account to run it as, when it is not ours.
    """

    data: Path
    binaries: Binaries
    user: ServiceUser | None

    def initdb(self, *, owner: str, password: str, sync: bool) -> None:
        """Create the cluster beside its final place, so that a killed start leaves no half."""
        partial = self.data.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        give(self.user, partial)
        handle, secret = tempfile.mkstemp(dir=self.data.parent)
        os.write(handle, f"{password}\n".encode())
        os.close(handle)
        give(self.user, Path(secret))
        # The built-in provider is the same on every platform; C.UTF-8 of libc is not.
        locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        modern = self.binaries.major >= 17
        args = [
            self.binaries.program("initdb"),
            *("--pgdata", str(partial), "--username", owner, "--pwfile", secret),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--data-checksums"),
            *(locale if modern else ["--locale=C.UTF-8"]),
            *([] if sync else ["--no-sync"]),
        ]
        try:
            done = run_as(self.user, args, cwd=self.data.parent)
        finally:
            Path(secret).unlink()
        if done.returncode:
            raise EmbeddedPostgresError(f"initdb failed in {partial}:\n{done.stdout[-2000:]}")
        partial.rename(self.data)

    def launch(self, settings: Mapping[str, str]) -> None:
        """Start the server in its own session, so that a Ctrl-C meant for us spares it."""
        options = shlex.join(part for pair in settings.items() for part in ("-c", "=".join(pair)))
        args = [
            *(self.binaries.program("pg_ctl"), "start", "--wait"),
            *(f"--timeout={START_SECONDS}", f"--pgdata={self.data}"),
            *(f"--log={self.log}", f"--options={options}"),
        ]
        deadline = time.monotonic() + RETRY_SECONDS
        while (done := run_as(self.user, args, cwd=self.data.parent)).returncode:
            # The last children of a killed server need a moment to notice and leave.
            leaving = "shared memory block" in self.log_tail()
            if not leaving or time.monotonic() > deadline:
                raise EmbeddedPostgresError(
                    f"PostgreSQL did not start: {done.stdout.strip()}\n{self.log_tail()}"
                )
            time.sleep(0.2)

    def wait_until_ready(self) -> None:
        """Wait for a server that somebody else has just started."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline or self.pid() is None:
                raise EmbeddedPostgresError(f"PostgreSQL did not get ready:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it in an orderly way, whoever is connected; silent when it does not run."""
        if self.pid() is None:
            return
        args = [
            *(self.binaries.program("pg_ctl"), "stop", "--wait", "--mode=fast"),
            *(f"--timeout={START_SECONDS}", f"--pgdata={self.data}"),
        ]
        done = run_as(self.user, args, cwd=self.data.parent)
        if done.returncode and self.pid() is not None:
            raise EmbeddedPostgresError(f"PostgreSQL did not stop: {done.stdout.strip()}")

    @property
    def log(self) -> Path:
        """What the server prints."""
        return self.data / "server.log"

    def pidfile(self) -> list[str]:
        """Lines of the file that a running server keeps; none when there is no such file."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def is_ready(self) -> bool:
        """Whether the server says that it accepts connections."""
        lines = self.pidfile()
        return len(lines) > 7 and lines[7].strip() == "ready"

    def pid(self) -> int | None:
        """Process id of the living server of this very data directory."""
        lines = self.pidfile()
        if not lines or not lines[0].lstrip("-").isdigit():
            return None
        pid = abs(int(lines[0]))
        return pid if _works_in(pid, self.data) else None

    def forget_the_dead(self, socket_dir: Path) -> None:
        """Drop the lock files of a server that is gone: its number may be someone else's by now.

        The server itself would take any living process of that number for its predecessor.
        """
        if not self.pidfile():
            return
        logger.warning("the previous server of %s was not stopped; recovering", self.data)
        for path in (self.data / "postmaster.pid", socket_dir / f"{SOCKET}.lock"):
            path.unlink(missing_ok=True)

    def log_tail(self) -> str:
        """What the server said last."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        except OSError:
            return ""


def give(user: ServiceUser | None, path: Path) -> None:
    """Make ``user`` the owner of a file that we created for it."""
    if user:
        os.chown(path, user.uid, user.gid)


def _works_in(pid: int, data: Path) -> bool:
    """Whether ``pid`` is alive and is the server of ``data``, not a later owner of its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)  # the server works in its data directory
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    except PermissionError:
        pass  # root in a container may not look; to be safe, the name decides
    return _command(pid).startswith("postgres")


def _command(pid: int) -> str:
    """Name of the program that a process runs."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:  # macOS has no /proc
        args = ["/bin/ps", "-o", "comm=", "-p", str(pid)]
        said = subprocess.run(args, capture_output=True, text=True, check=False)  # noqa: S603
        return Path(said.stdout.strip()).name
