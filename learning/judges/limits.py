"""How fast and for how much: limits that hold over all threads of a run.

Time is given from outside, so that tests need not wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import Event, Lock
from typing import Final

from learning.errors import ConfigError
from learning.judges.errors import Cancelled, SpendLimit
from learning.judges.money import amount

_MINUTE: Final = 60.0


class Pace:
    """Requests and tokens a minute, spread evenly: no minute ever has more, wherever it begins.

    A request that has to wait books its moment at once, so that threads queue up behind each
    other instead of all trying again together. Each window's worth may be exceeded by one
    request, the one that opens it.

    Args:
        requests: A minute; None for no limit.
        tokens: A minute, prompt and reply together; None for no limit.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        requests: float | None = None,
        tokens: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, limit in (("requests", requests), ("tokens", tokens)):
            if limit is not None and not limit > 0:
                raise ConfigError(f"{name} a minute must be more than 0, got {limit}")
        self._requests, self._tokens, self._clock = requests, tokens, clock
        self._lock = Lock()
        self._next_request = self._next_tokens = self._held = clock()

    def book(self, tokens: int) -> float:
        """Book the next moment for a request of so many tokens; return seconds until then."""
        with self._lock:
            now = self._clock()
            at = max(now, self._next_request, self._next_tokens, self._held)
            if self._requests is not None:
                self._next_request = at + _MINUTE / self._requests
            if self._tokens is not None:
                self._next_tokens = at + _MINUTE * tokens / self._tokens
            return at - now

    def correct(self, booked: int, used: int) -> None:
        """Give back what a request did not use of the tokens that were booked for it."""
        if self._tokens is not None:
            with self._lock:
                self._next_tokens -= _MINUTE * (booked - used) / self._tokens

    def hold(self, seconds: float) -> None:
        """Let nobody start for so long: the endpoint asked for it."""
        with self._lock:
            self._held = max(self._held, self._clock() + seconds)


class Hold:
    """Money set aside for one call."""

    def __init__(self, most: Decimal) -> None:
        self.most = most
        self.spent = Decimal(0)


class Budget:
    """A limit of money that is checked before a call by what it can cost at most.

    What is set aside and what is spent never exceed the limit together, whatever the number of
    threads; an endpoint that counts more tokens than it was allowed is booked as it counts.

    Args:
        limit: None for no limit.
        spent: What earlier runs spent of it.
    """

    def __init__(
        self, limit: Decimal | int | str | None = None, *, spent: Decimal | int | str = 0
    ) -> None:
        self._limit = None if limit is None else amount(limit, "spend limit")
        self._spent = amount(spent, "what is spent")
        self._aside = Decimal(0)
        self._lock = Lock()

    @property
    def spent(self) -> Decimal:
        """Spent so far, earlier runs included."""
        with self._lock:
            return self._spent

    @property
    def unspent(self) -> Decimal | None:
        """What is not spent, set aside or not; None without a limit."""
        with self._lock:
            return None if self._limit is None else self._limit - self._spent

    @contextmanager
    def holding(self, most: Decimal) -> Iterator[Hold]:
        """Set money aside for one call; put into ``hold.spent`` what it cost.

        A call that raises has cost what ``hold.spent`` says by then.

        Raises:
            SpendLimit: it could cost more than is left.
        """
        with self._lock:
            if self._limit is not None and most > self._limit - self._spent - self._aside:
                left = self._limit - self._spent - self._aside
                raise SpendLimit(f"the next call could cost {most:f}; {max(left, 0):f} is left")
            self._aside += most
        hold = Hold(most)
        try:
            yield hold
        finally:
            with self._lock:
                self._aside -= most
                self._spent += hold.spent


class Stop:
    """A flag that interrupts every waiting, for whoever wants a run to end."""

    def __init__(self) -> None:
        self._event = Event()

    def set(self) -> None:
        """Stop as soon as possible."""
        self._event.set()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep.

        Raises:
            Cancelled: the flag is set, or is set meanwhile.
        """
        if self._event.wait(max(seconds, 0.0)):
            raise Cancelled
