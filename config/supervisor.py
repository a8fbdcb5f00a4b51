"""Runs a few child processes as one: all start, and when one ends, all end.

Each child leads a process group of its own, so that Ctrl-C in the terminal reaches only
us and children are asked to stop in an orderly way. What they print goes to ``log_dir``.
"""

import contextlib
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config.env import BASE_DIR
from config.guardian import Guardian, stop_groups

TAIL_LINES = 20
GRACE_SECONDS = 20.0


class ChildDiedError(Exception):
    """A child ended by itself; the message names it and shows the end of its log."""


@dataclass
class Supervisor:
    """The children of one ``make demo``."""

    log_dir: Path
    guardian: Guardian
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def spawn(self, name: str, args: Sequence[str], *, env: Mapping[str, str]) -> None:
        """Start one child; its log starts anew."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            child = subprocess.Popen(  # noqa: S603 (our own commands, no shell)
                args,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=BASE_DIR,
                start_new_session=True,
            )
        self.children[name] = child
        self.guardian.watch(child.pid)

    def check(self) -> None:
        """Raise for the first child that has ended."""
        for name, child in self.children.items():
            code = child.poll()
            if code is not None:
                raise ChildDiedError(
                    f"{name} ended with status {code}. The end of {self._log(name)}:\n"
                    f"{self.tail(name)}"
                )

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> bool:
        """Wait for ``ready`` while all children live; ``False`` when it took too long."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self.check()
            if ready():
                return True
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        """Ask every child to end, insist after a grace period, and collect them."""
        alive = {child.pid for child in self.children.values() if child.poll() is None}
        stop_groups(alive, grace=GRACE_SECONDS, reap=self._reap)
        for child in self.children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)
            self.guardian.forget(child.pid)
        self.children.clear()

    def tail(self, name: str) -> str:
        """The last lines of one child's log."""
        try:
            lines = self._log(name).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])

    def _log(self, name: str) -> Path:
        return self.log_dir / f"{name}.log"

    def _reap(self) -> None:
        for child in self.children.values():
            child.poll()  # a dead child nobody asks about still counts as alive
