"""One thing ahead: the same things, errors where one waits for them, and no thread left behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from annotator.exporters.ahead import ahead


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "ahead"]


def test_the_same_things_come_in_order() -> None:
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert not threads()


def test_an_error_is_raised_where_one_waits() -> None:
    def things() -> Iterator[int]:
        yield 1
        raise LookupError("gone")

    found = ahead(things())
    assert next(found) == 1
    with pytest.raises(LookupError, match="gone"):
        next(found)
    assert not threads()


def test_when_nobody_wants_more_the_thread_ends_and_closes() -> None:
    closed = threading.Event()

    def things() -> Iterator[int]:
        try:
            number = 0
            while True:
                yield (number := number + 1)
        finally:
            closed.set()

    found = ahead(things())
    assert next(found) == 1
    found.close()  # type: ignore[attr-defined]
    assert closed.is_set()
    assert not threads()


def test_one_is_made_ahead_and_not_more_than_two() -> None:
    made: list[int] = []

    def things() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    found = ahead(things())
    assert next(found) == 0
    for _ in range(50):
        if len(made) == 3:
            break
        threading.Event().wait(0.01)
    threading.Event().wait(0.05)
    assert made == [0, 1, 2]
    found.close()  # type: ignore[attr-defined]
