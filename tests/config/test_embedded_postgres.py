"""The embedded server survives what laptops do to it, and opens nothing to anybody."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config import embedded_postgres, postgres_files
from config.embedded_postgres import EmbeddedPostgres
from config.env import BASE_DIR
from config.postgres_files import EmbeddedPostgresError, private_text, shelter_for
from config.postgres_process import SOCKET, give

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
linux = pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")


@pytest.fixture
def server(short_path: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(short_path / "postgres", fast=True)
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """Return a started server for tests that only look."""
    with tempfile.TemporaryDirectory(prefix="tb-") as name:
        Path(name).chmod(0o711)
        server = EmbeddedPostgres(Path(name) / "postgres", fast=True)
        server.start()
        yield server
        server.destroy()


def ask(server: EmbeddedPostgres, query: str) -> str:
    with psycopg.connect(server.url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


def postmaster(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


def test_starting_twice_keeps_the_server_and_its_data(server: EmbeddedPostgres) -> None:
    assert server.start() is True
    before = postmaster(server)
    assert server.start() is False
    assert postmaster(server) == before
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    server.stop()
    server.stop()
    assert not server.is_running()
    server.start()
    assert ask(server, "SELECT count(*) FROM kept") == "0"


def test_the_cluster_is_utf8_with_checksums_and_without_a_port(running: EmbeddedPostgres) -> None:
    assert ask(running, "SHOW data_checksums") == "on"
    assert ask(running, "SHOW server_encoding") == "UTF8"
    assert ask(running, "SHOW listen_addresses") == ""
    assert ask(running, "SHOW max_connections") == "120"
    assert ask(running, "SELECT upper('é')") == "É"


def test_a_wrong_password_is_refused(running: EmbeddedPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url.replace(running.password, "guess"))
    assert (running.home / "password").stat().st_mode & 0o777 == 0o600
    assert running.data.stat().st_mode & 0o777 == 0o700


def test_nothing_committed_is_lost_when_the_server_is_killed(short_path: Path) -> None:
    server = EmbeddedPostgres(short_path / "postgres")  # durable, as in the demo
    server.start()
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE kept (x int)")
    os.kill(postmaster(server), signal.SIGKILL)
    wait_until(lambda: not server.is_running())
    try:
        assert server.start() is True
        assert ask(server, "SELECT count(*) FROM kept") == "0"
    finally:
        server.destroy()


@linux
def test_a_pid_file_whose_number_now_belongs_to_another_process_is_ignored(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    file = server.data / "postmaster.pid"
    stale = file.read_text()
    server.stop()
    # After a reboot the number may be anybody's, here even one of the same account's.
    other = subprocess.Popen(["sleep", "60"], user=server.user.uid if server.user else None)
    try:
        file.write_text(re.sub(r"^\d+", str(other.pid), stale))
        give(server.user, file)
        assert not server.is_running()
        assert server.start() is True
    finally:
        other.kill()
        other.wait()


@linux
def test_a_server_that_may_not_be_looked_at_counts_as_running(
    running: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError  # root without the right to trace, as in many containers

    monkeypatch.setattr(Path, "samefile", refuse)
    assert running.is_running()
    assert running.start() is False


def test_two_processes_that_start_at_once_share_one_server(server: EmbeddedPostgres) -> None:
    code = (
        "import sys; from pathlib import Path;"
        "from config.embedded_postgres import EmbeddedPostgres;"
        "print(EmbeddedPostgres(Path(sys.argv[1]), fast=True).start())"
    )
    args = [sys.executable, "-c", code, str(server.wanted)]
    both = [subprocess.Popen(args, cwd=BASE_DIR, stdout=subprocess.PIPE) for _ in range(2)]
    said = sorted(process.communicate(timeout=60)[0].strip() for process in both)
    assert said == [b"False", b"True"]
    assert server.is_running()


def test_the_last_who_leaves_stops_a_server_started_on_demand(server: EmbeddedPostgres) -> None:
    server.acquire()
    second = EmbeddedPostgres(server.wanted, fast=True)
    second.acquire()
    server.release()
    assert second.is_running()
    second.release()
    assert not second.is_running()


def test_a_server_started_for_good_stays(server: EmbeddedPostgres) -> None:
    server.start()
    server.acquire()
    server.release()
    assert server.is_running()


def test_a_connected_client_keeps_a_server_started_on_demand(server: EmbeddedPostgres) -> None:
    server.acquire()
    with psycopg.connect(server.url):
        server.release()
        assert server.is_running()


def test_a_long_path_gets_a_private_folder_for_its_socket(short_path: Path) -> None:
    deep = short_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    server = EmbeddedPostgres(deep / "postgres", fast=True)
    try:
        server.start()
        folder = server.socket_dir
        assert len(str(folder / SOCKET)) < 100
        assert folder.stat().st_mode & 0o777 == 0o700
        assert ask(server, "SELECT 1") == "1"
        assert EmbeddedPostgres(deep / "postgres").url == server.url
    finally:
        server.destroy()
    assert not folder.exists()


def test_a_path_with_spaces_and_quotes_works(short_path: Path) -> None:
    odd = short_path / "it's a \u00e9 folder"
    odd.mkdir()
    server = EmbeddedPostgres(odd / "postgres", fast=True)
    try:
        server.start()
        assert ask(server, "SELECT 1") == "1"
    finally:
        server.destroy()


@as_root
def test_root_runs_the_server_as_an_unprivileged_user(running: EmbeddedPostgres) -> None:
    assert Path(f"/proc/{postmaster(running)}").stat().st_uid == running.user.uid != 0  # type: ignore[union-attr]


@as_root
def test_a_closed_parent_folder_stays_closed_and_the_data_goes_to_a_shelter(
    short_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    closed = short_path / "home"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "postgres", fast=True)
    try:
        server.start()
        assert closed.stat().st_mode & 0o777 == 0o700
        assert server.home == shelter_for(closed / "postgres") != server.wanted
        assert str(server.home) in caplog.text
        assert EmbeddedPostgres(closed / "postgres").home == server.home
    finally:
        server.destroy()
    assert not server.home.exists()


@as_root
def test_binaries_in_a_closed_folder_are_copied(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = postgres_files.installed()[0]
    closed = short_path / "root"
    closed.mkdir(mode=0o700)
    for part in postgres_files._parts(newest.root):
        shutil.copytree(part, closed / part.relative_to(newest.root.parent.parent), symlinks=True)
    root = closed / newest.root.relative_to(newest.root.parent.parent)
    hidden = postgres_files.Binaries(root, newest.version)
    monkeypatch.setattr(postgres_files, "installed", lambda: (hidden,))
    server = EmbeddedPostgres(short_path / "postgres", fast=True)
    try:
        server.start()
        assert ask(server, "SELECT 1") == "1"
        assert closed.stat().st_mode & 0o777 == 0o700
        assert server._process.binaries.root.is_relative_to(shelter_for(server.wanted))
    finally:
        server.destroy()


def test_data_of_another_major_version_is_refused_in_words(server: EmbeddedPostgres) -> None:
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedPostgresError, match="written by PostgreSQL 9"):
        server.start()


def test_a_folder_that_others_can_write_to_is_refused(short_path: Path) -> None:
    shared = short_path / "postgres"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="nobody else can write"):
        EmbeddedPostgres(shared).start()


def test_a_server_that_cannot_start_shows_its_log(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(server.options, "shared_buffers", "much")
    with pytest.raises(EmbeddedPostgresError, match="shared_buffers"):
        server.start()


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    assert private_text(tmp_path / "deep" / "x") == private_text(tmp_path / "deep" / "x")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]


def test_the_command_line_starts_tells_and_stops(short_path: Path) -> None:
    environment = {**os.environ, "TIEBREAK_VAR": str(short_path)}

    def command(verb: str) -> tuple[int, str]:
        args = [sys.executable, "-m", "config.embedded_postgres", verb]
        done = subprocess.run(args, cwd=BASE_DIR, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout.strip()

    try:
        assert command("status") == (3, "stopped")
        assert command("start") == (0, "running")
        _, url = command("url")
        psycopg.connect(url).close()
        assert command("stop") == (0, "stopped")
    finally:
        EmbeddedPostgres(short_path / "postgres").destroy()


def test_no_server_is_started_where_one_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://db.example/labels")
    assert embedded_postgres.ensure_running() is None


def wait_until(condition: Callable[[], bool], *, timeout: float = 15) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)
