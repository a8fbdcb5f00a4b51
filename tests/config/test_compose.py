"""The commands of docker-compose.yml work: read from the file, run by hand on real services.

Needs ``DATABASE_URL`` (a server on which databases may be created) and a Redis in
``BROKER_URL``; no container engine.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from config.env import BASE_DIR

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        not os.environ.get("BROKER_URL", "").startswith("redis"), reason="BROKER_URL is no Redis"
    ),
]

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())[
    "services"
]


def test_the_file_is_valid(tmp_path: Path) -> None:
    tool = shutil.which("docker-compose")
    command = [tool] if tool else ["docker", "compose"]
    shutil.copy(BASE_DIR / "docker-compose.yml", tmp_path)
    example = (BASE_DIR / ".env.example").read_text()
    filled = example.replace("SECRET_KEY=\n", "SECRET_KEY=x\n")
    (tmp_path / ".env").write_text(filled.replace("POSTGRES_PASSWORD=\n", "POSTGRES_PASSWORD=y\n"))
    args = [*command, "-f", "docker-compose.yml", "config", "-q"]
    done = subprocess.run(args, cwd=tmp_path, env=plain(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_missing_password_is_refused(tmp_path: Path) -> None:
    tool = shutil.which("docker-compose")
    command = [tool] if tool else ["docker", "compose"]
    shutil.copy(BASE_DIR / "docker-compose.yml", tmp_path)
    shutil.copy(BASE_DIR / ".env.example", tmp_path / ".env")
    args = [*command, "-f", "docker-compose.yml", "config", "-q"]
    done = subprocess.run(args, cwd=tmp_path, env=plain(), capture_output=True, text=True)
    assert done.returncode != 0
    assert "POSTGRES_PASSWORD" in done.stderr


def plain() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}


class Deployment:
    """The services of the file as local processes, adjusted by the environment only."""

    def __init__(self, database: str, port: int, folder: Path) -> None:
        self.port, self.folder = port, folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **plain(),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": database,
            "BROKER_URL": os.environ["BROKER_URL"],
            "SECRET_KEY": "only-for-this-test",
            "TIEBREAK_VAR": str(folder / "var"),
            "WEB_BIND": f"127.0.0.1:{port}",
            "WEB_WORKERS": "2",
            "SWEEP_SECONDS": "1",
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }

    @property
    def schedule(self) -> Path:
        """The file that the command of beat names."""
        named = next(part for part in self.command("beat") if part.startswith("--schedule="))
        return Path(named.partition("=")[2])

    def bring_up(self) -> None:
        """Do what the image's build and compose do, in their order."""
        collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "-v0"]
        for args in (collect, self.command("migrate")):
            done = self.run(args)
            assert done.returncode == 0, done.stderr
        self.start("web")
        self.start("worker-default")
        self.start("worker-learning")
        self.start("beat")
        self.wait_for(lambda: self.answer("/readyz")[0] == 200, "web")
        self.wait_for(lambda: "ready." in self.log("worker-default"), "worker-default")
        self.wait_for(lambda: "ready." in self.log("worker-learning"), "worker-learning")

    def probe(self, *args: str) -> str:
        """What a health check says; nothing when it is content."""
        done = self.run([sys.executable, "-m", "config.probe", *args])
        assert bool(done.returncode) == bool(done.stderr), done
        return done.stderr

    def has_run(self, service: str, task: str) -> bool:
        """Whether the log of a worker tells of a task that succeeded."""
        ended = [line for line in self.log(service).splitlines() if f"Task {task}[" in line]
        return any("succeeded" in line for line in ended)

    def command(self, service: str) -> list[str]:
        return [str(part) for part in SERVICES[service]["command"]]

    def run(self, args: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            args, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, timeout=100
        )

    def start(self, service: str) -> None:
        with (self.folder / f"{service}.log").open("wb") as log:
            self.processes[service] = subprocess.Popen(
                self.command(service),
                cwd=BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text(errors="replace")

    def wait_for(self, condition: Callable[[], bool], service: str) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            process = self.processes[service]
            assert process.poll() is None, f"{service} ended:\n{self.log(service)[-3000:]}"
            assert time.monotonic() < deadline, f"{service}:\n{self.log(service)[-3000:]}"
            time.sleep(0.1)

    def stop(self) -> dict[str, int]:
        for process in self.processes.values():
            process.terminate()
        ended = {}
        for name, process in self.processes.items():
            try:
                ended[name] = process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                ended[name] = process.wait()
        return ended

    def answer(self, path: str) -> tuple[int, bytes]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}", timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except OSError:
            return 0, b""


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    server = os.environ["DATABASE_URL"]
    name = f"tiebreak_compose_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = urlsplit(server)._replace(path=f"/{name}").geturl()
    running = Deployment(url, _free_port(), tmp_path_factory.mktemp("deployment"))
    try:
        running.bring_up()
        yield running
    finally:
        running.stop()
        for left in running.schedule.parent.glob(f"{running.schedule.name}*"):
            left.unlink()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_web_process_is_ready(deployment: Deployment) -> None:
    body = json.loads(deployment.answer("/readyz")[1])
    assert body["checks"] == {"database": "ok", "migrations": "ok", "broker": "ok"}
    assert deployment.probe("web") == ""


@pytest.mark.parametrize("name", ["default", "learning"])
def test_the_worker_answers_its_probe(deployment: Deployment, name: str) -> None:
    assert deployment.probe("worker", name) == ""


def test_the_sweep_of_beat_is_run_by_a_worker(deployment: Deployment) -> None:
    deployment.wait_for(lambda: "worker.sweep" in deployment.log("beat"), "beat")
    deployment.wait_for(lambda: deployment.has_run("worker-default", "worker.sweep"), "beat")
    assert deployment.probe("beat", str(deployment.schedule)) == ""


def test_a_doorbell_reaches_the_worker_of_its_queue(deployment: Deployment) -> None:
    code = (
        "import django; django.setup(); from celery import current_app;"
        "current_app.send_task('worker.run_job', args=[987654321], queue='learning')"
    )
    rung = deployment.run([sys.executable, "-c", code])
    assert rung.returncode == 0, rung.stderr
    deployment.wait_for(
        lambda: deployment.has_run("worker-learning", "worker.run_job"), "worker-learning"
    )
    assert not deployment.has_run("worker-default", "worker.run_job")


def test_a_probe_of_something_that_does_not_run_fails(deployment: Deployment) -> None:
    for args in (["worker", "nobody"], ["beat", "/nowhere/beat"], ["nonsense"]):
        said = deployment.probe(*args)
        assert said
        assert "Traceback" not in said


def test_everything_stops_in_an_orderly_way(deployment: Deployment) -> None:
    assert deployment.stop() == dict.fromkeys(deployment.processes, 0)
    assert deployment.probe("web") != ""
