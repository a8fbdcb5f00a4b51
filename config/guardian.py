"""Cleans up after a supervisor that was killed before it could.

A supervisor (``make demo``, a test run) starts this small process and holds its standard
input open. Whatever ends the supervisor, even SIGKILL, closes that pipe; the guardian then
stops the process groups it was told of and the embedded database. It works the same on
Linux and macOS, and has its own session so that Ctrl-C never reaches it.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from config.embedded_postgres import EmbeddedPostgres
from config.env import BASE_DIR

GRACE_SECONDS = 10.0


class Guardian:
    """The supervisor's end of the pipe.

    Args:
        server: The embedded database to leave (or delete) in the end.
        destroy: Delete the database's files too; for temporary ones.
    """

    def __init__(self, server: EmbeddedPostgres, *, destroy: bool = False) -> None:
        args = [sys.executable, "-m", "config.guardian", str(server.wanted)]
        self._process = subprocess.Popen(  # noqa: S603 (ourselves)
            [*args, "--destroy"] if destroy else args,
            stdin=subprocess.PIPE,
            cwd=BASE_DIR,
            start_new_session=True,
            text=True,
        )

    def watch(self, group: int) -> None:
        """Have this process group stopped, should we die."""
        self._tell(f"+{group}")

    def forget(self, group: int) -> None:
        """This group has ended; its number may soon be someone else's."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """Have the database left (or deleted) now, and wait for that."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate(timeout=60)

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(f"{line}\n")
                pipe.flush()


def stop_groups(
    groups: set[int], *, grace: float = GRACE_SECONDS, reap: Callable[[], None] | None = None
) -> None:
    """Ask process groups to end; after ``grace`` seconds, insist.

    ``reap`` collects the caller's own dead children, which would count as alive otherwise.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        for group in groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)
        deadline = time.monotonic() + grace
        while groups and time.monotonic() < deadline:
            if reap:
                reap()
            groups = {group for group in groups if _alive(group)}
            time.sleep(0.05)


def _alive(group: int) -> bool:
    """Whether a process of this group still runs; the dead that nobody collected do not count."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    processes = Path("/proc")
    if not (processes / "self").exists():
        return True  # macOS, where the dead are always collected
    return any(_runs_in(stat, group) for stat in processes.glob("[0-9]*/stat"))


def _runs_in(stat: Path, group: int) -> bool:
    try:
        state, _, member_of = stat.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(member_of) == group and state != "Z"


def main() -> None:
    """Wait for the supervisor's end, then clean up."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("--destroy", action="store_true")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the pipe counts

    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    stop_groups(groups)
    server = EmbeddedPostgres(arguments.home)
    if arguments.destroy:
        server.destroy()
    else:
        server.release()


if __name__ == "__main__":
    main()
