"""The demo's supervisor starts all or nothing, and leaves nothing behind."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import demo
from config.embedded_postgres import EmbeddedPostgres
from config.env import BASE_DIR
from config.guardian import Guardian, stop_groups
from config.supervisor import ChildDiedError, Supervisor

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Ignores the polite request, and has a child of its own.
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "subprocess.Popen(['sleep', '60']); print('up', flush=True); time.sleep(60)",
]


class SilentGuardian(Guardian):
    """Remembers instead of starting a process."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def _tell(self, line: str) -> None:
        self.told.append(line)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "log", SilentGuardian())
    yield supervisor
    supervisor.stop()


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return all(state(pid) in "Z?" for pid in members(group))


def members(group: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,pgid="], capture_output=True, text=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [int(pid) for pid, pgid in rows if int(pgid) == group]


def state(pid: int) -> str:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return (listed.stdout.strip() or "?")[0]


def wait_until(condition: Callable[[], bool], *, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_stopping_ends_the_whole_group_even_a_stubborn_one(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("config.supervisor.GRACE_SECONDS", 0.3)
    supervisor.spawn("stubborn", STUBBORN, env=os.environ)
    group = supervisor.children["stubborn"].pid
    assert supervisor.wait_until(lambda: "up" in supervisor.tail("stubborn"), timeout=10)
    supervisor.stop()
    assert group_is_gone(group)
    assert supervisor.guardian.told == [f"+{group}", f"-{group}"]  # type: ignore[attr-defined]


def test_a_child_that_dies_is_named_and_its_log_shown(supervisor: Supervisor) -> None:
    supervisor.spawn("other", SLEEP, env=os.environ)
    code = "print('the last words'); raise SystemExit(3)"
    supervisor.spawn("worker", [sys.executable, "-c", code], env=os.environ)
    with pytest.raises(ChildDiedError, match=r"worker ended with status 3(?s:.)*the last words"):
        supervisor.wait_until(lambda: False, timeout=10)


def test_children_have_groups_of_their_own(supervisor: Supervisor) -> None:
    supervisor.spawn("web", SLEEP, env=os.environ)
    child = supervisor.children["web"]
    wait_until(lambda: os.getpgid(child.pid) == child.pid)
    assert os.getpgid(child.pid) != os.getpgrp()


def test_waiting_has_an_end(supervisor: Supervisor) -> None:
    supervisor.spawn("web", SLEEP, env=os.environ)
    assert supervisor.wait_until(lambda: False, timeout=0.3) is False


def test_a_killed_supervisor_leaves_nothing_behind(short_path: Path) -> None:
    code = """
import os, sys, time
from pathlib import Path
from config.embedded_postgres import EmbeddedPostgres
from config.guardian import Guardian
from config.supervisor import Supervisor
var = Path(sys.argv[1])
server = EmbeddedPostgres(var / "postgres", fast=True)
guardian = Guardian(server)
server.acquire()
supervisor = Supervisor(var / "log", guardian)
supervisor.spawn("web", [sys.executable, "-c", "import time; time.sleep(60)"], env=os.environ)
print(supervisor.children["web"].pid, flush=True)
time.sleep(60)
"""
    args = [sys.executable, "-c", code, str(short_path)]
    killed = subprocess.Popen(args, cwd=BASE_DIR, stdout=subprocess.PIPE, text=True)
    server = EmbeddedPostgres(short_path / "postgres")
    with killed:
        assert killed.stdout is not None
        group = int(killed.stdout.readline())
        assert server.is_running()
        killed.kill()
    wait_until(lambda: group_is_gone(group))
    wait_until(lambda: not server.is_running())
    wait_until(lambda: not server._process.pidfile())


def test_stopping_groups_that_are_gone_is_no_error() -> None:
    ended = subprocess.Popen(["true"], start_new_session=True)
    ended.wait()
    stop_groups({ended.pid}, grace=0.2)


def test_a_busy_port_is_refused_with_a_way_out(free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind((demo.HOST, free_port))
        taken.listen()
        with pytest.raises(demo.DemoError, match=f"DEMO_PORT={free_port + 1}"):
            demo.refuse_busy_port(free_port)
    demo.refuse_busy_port(free_port)


def test_a_second_demo_of_the_same_checkout_is_refused(tmp_path: Path) -> None:
    with (
        demo.only_one(tmp_path),
        pytest.raises(demo.DemoError, match=f"process {os.getpid()}"),
        demo.only_one(tmp_path),
    ):
        pass
    with demo.only_one(tmp_path):
        pass


def test_children_see_the_demo_and_not_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKER_URL", "redis://elsewhere")
    monkeypatch.setenv("SECRET_KEY_FILE", "/elsewhere")
    seen = demo.child_environment("postgresql://here", port=9, var=tmp_path)
    assert seen["DATABASE_URL"] == "postgresql://here"
    assert seen["WEB_BIND"] == "127.0.0.1:9"
    assert seen["SECRET_KEY"] == (tmp_path / "secret_key").read_text().strip()
    assert not {"BROKER_URL", "SECRET_KEY_FILE"} & seen.keys()


def test_the_welcome_shows_address_and_sign_ins(tmp_path: Path) -> None:
    people = {
        "annotator": {"username": "ann", "password": "p-1"},
        "researcher": {"username": "rea", "password": "p-2"},
        "url_path": "/here/",
    }
    text = demo.welcome(people, port=8123, var=tmp_path)
    assert "http://127.0.0.1:8123/here/" in text
    for word in ("annotator", "ann", "p-1", "researcher", "rea", "p-2", str(tmp_path)):
        assert word in text


def test_a_failing_command_shows_what_it_said() -> None:
    with pytest.raises(demo.DemoError, match=r"`manage\.py nonsense` failed(?s:.)*Unknown command"):
        demo.manage({**os.environ, "SECRET_KEY": "x"}, "Trying ...", "nonsense")


def test_a_bad_port_is_refused_before_anything_starts(short_path: Path) -> None:
    environment = {**os.environ, "DEMO_PORT": "http", "TIEBREAK_VAR": str(short_path / "var")}
    args = [sys.executable, "-m", "config.demo"]
    done = subprocess.run(args, cwd=BASE_DIR, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "DEMO_PORT='http'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (short_path / "var").exists()


def test_the_guardian_ignores_what_is_typed_at_the_terminal(short_path: Path) -> None:
    guardian = Guardian(EmbeddedPostgres(short_path / "postgres"))
    process = guardian._process
    assert os.getsid(process.pid) != os.getsid(0)
    time.sleep(1.0)  # until its handlers are in place
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None
    guardian.close()
    assert process.returncode == 0
