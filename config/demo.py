"""``make demo``: from a fresh checkout to a running site, and nothing left behind after it.

The supervisor starts the embedded database, brings it up to date, seeds the demo campaign
and runs four children: the web server, one worker, one beat and a judge. Everything it keeps is
under ``var/``, so a second start continues where the first one was. Should it be killed,
``config.guardian`` notices through a closed pipe and stops the rest.
"""

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured

from config import env
from config.embedded_postgres import EmbeddedPostgres
from config.guardian import Guardian
from config.postgres_files import EmbeddedPostgresError, private_text
from config.supervisor import ChildDiedError, Supervisor

HOST = "127.0.0.1"
READY_SECONDS = 60
QUEUES = "default,learning,judges"


class DemoError(Exception):
    """The demo cannot run; the message says why."""


class StopRequested(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP arrived."""


def run(*, port: int, var: Path) -> NoReturn:
    """Run the demo until it is stopped.

    Raises:
        DemoError: something needed is missing or taken.
        ChildDiedError: one of the processes ended by itself.
    """
    with ExitStack() as stack:
        stack.enter_context(only_one(var))
        for taken in (port, judge_port(port)):
            refuse_busy_port(taken)
        say("Starting the database ...")
        server = EmbeddedPostgres(var / "postgres")
        guardian = Guardian(server)
        stack.callback(guardian.close)
        server.acquire()
        stack.callback(server.release)
        environment = child_environment(server.url, port=port, var=var)
        prepare(environment)
        supervisor = Supervisor(var / "log", guardian)
        stack.callback(supervisor.stop)
        stack.callback(say, "Stopping ...")
        for name, args in commands(var, port=port).items():
            supervisor.spawn(name, args, env=environment)
        if not supervisor.wait_until(lambda: answers(port), timeout=READY_SECONDS):
            raise DemoError(f"The site did not get ready. See:\n{supervisor.tail('web')}")
        say(welcome(json.loads((var / "demo.json").read_text()), port=port, var=var))
        while True:
            supervisor.check()
            time.sleep(0.5)


@contextmanager
def only_one(var: Path) -> Iterator[None]:
    """Hold the lock of this checkout's demo; it falls with the process, however that ends."""
    var.mkdir(parents=True, exist_ok=True)
    with (var / "demo.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DemoError(
                f"The demo of this checkout is running already ({lock.read().strip()}). "
                "Stop it with Ctrl-C in its terminal first."
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}\n")
        lock.flush()
        yield


def refuse_busy_port(port: int) -> None:
    """Find out before anything is started that somebody else listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise DemoError(
                f"Port {port} on {HOST} cannot be used: {error.strerror}. "
                f"Choose another one: DEMO_PORT={port + 1} make demo"
            ) from error


def child_environment(url: str, *, port: int, var: Path) -> dict[str, str]:
    """What the children see: the embedded database, its queues and this very folder."""
    foreign = {"BROKER_URL", "BROKER_URL_FILE", "DATABASE_URL_FILE", "SECRET_KEY_FILE"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    return {
        **kept,
        "DATABASE_URL": url,
        "SECRET_KEY": private_text(var / "secret_key", size=50),
        "TIEBREAK_VAR": str(var),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "WEB_BIND": f"{HOST}:{port}",
        "DEMO_JUDGE_URL": f"http://{HOST}:{judge_port(port)}/v1",
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def prepare(environment: Mapping[str, str]) -> None:
    """Bring tables, queues, static files and the demo campaign up to date."""
    manage(environment, "Preparing the tables ...", "migrate", "--verbosity=0")
    manage(environment, "Collecting static files ...", "collectstatic", "--no-input", "-v0")
    manage(environment, "Preparing the demo campaign ...", "seed_demo")


def manage(environment: Mapping[str, str], title: str, *args: str) -> None:
    """Run one management command; show its output only when it fails."""
    say(title)
    done = subprocess.run(  # noqa: S603 (our own command)
        [sys.executable, "manage.py", *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=dict(environment),
        cwd=env.BASE_DIR,
        check=False,
    )
    if done.returncode:
        output = (done.stdout + done.stderr).strip()[-4000:]
        raise DemoError(f"`manage.py {args[0]}` failed:\n{output}")


def judge_port(port: int) -> int:
    """Where the demo's judge listens: next to the site."""
    return port + 1 if port < 65535 else port - 1


def commands(var: Path, *, port: int) -> dict[str, list[str]]:
    """Build the command of each child."""
    python = [sys.executable, "-m"]
    celery = [*python, "celery", "--app=config.celery", "--quiet"]
    quiet = ["--without-gossip", "--without-mingle", "--loglevel=info"]
    return {
        "judge": [*python, "learning", "serve-judge", f"--port={judge_port(port)}"],
        "web": [*python, "gunicorn", "--config=python:config.gunicorn"],
        "worker": [*celery, "worker", "--pool=threads", "-c4", f"--queues={QUEUES}", *quiet],
        "beat": [*celery, "beat", "--schedule", str(var / "beat-schedule"), "--pidfile=", "-linfo"],
    }


def answers(port: int) -> bool:
    """Whether the site says that it can serve."""
    request = f"http://{HOST}:{port}/readyz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never by a proxy
    try:
        with opener.open(request, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):  # not listening yet, or 503
        return False


def welcome(people: Mapping[str, dict[str, str]], *, port: int, var: Path) -> str:
    """Say where the site is and who may sign in."""
    rows = [
        f"    {role:<11} {person['username']}  /  {person['password']}"
        for role, person in people.items()
        if isinstance(person, dict)
    ]
    line = "=" * 64
    address = f"http://{HOST}:{port}{people.get('url_path', '/')}"
    return "\n".join(
        [
            *("", line, "  Tiebreak is running", "", f"  {address}", ""),
            *("  Sign in as", *rows, ""),
            *(f"  Data and logs: {var}", "  Stop with Ctrl-C.", line, ""),
        ]
    )


def say(text: str) -> None:
    """Tell the person at the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise StopRequested(signal.Signals(number).name)


def main() -> int:
    """Run; turn whatever happens into one sentence and an exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)  # SIGINT too: a shell's background job starts with it ignored
    try:
        run(port=env.integer("DEMO_PORT", 8000, minimum=1, maximum=65535), var=env.var_dir())
    except StopRequested:
        say("Stopped. `make demo` continues where this was.")
        return 0
    except (DemoError, ChildDiedError, EmbeddedPostgresError, ImproperlyConfigured) as error:
        sys.stderr.write(f"\n{error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
