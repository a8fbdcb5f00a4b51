"""Making the next thing while this one is used: the database works while rows are written."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 0.1  # seconds between two looks whether anybody still waits


def ahead(things: Iterator[T]) -> Iterator[T]:
    """Yield the same things, made in a thread of their own, one ahead.

    What fails there fails here; when nobody wants more, the thread ends before this does.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(thing: T | None, error: BaseException | None, more: bool) -> bool:
        while not stop.is_set():
            try:
                ready.put((thing, error, more), timeout=PATIENCE)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for thing in things:
                if not put(thing, None, True):
                    return
            put(None, None, False)
        except BaseException as error:  # told to who waits
            put(None, error, False)
        finally:
            close = getattr(things, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        while True:
            thing, error, more = ready.get()
            if error is not None:
                raise error
            if not more:
                return
            yield thing  # type: ignore[misc] # there is one where more is said
            del thing
    finally:
        stop.set()
        thread.join()
