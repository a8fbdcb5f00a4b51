"""How far something is: on a terminal, by a function of one's own, or not at all."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

Tell = Callable[[int, int | None], None]  # done so far, of how much where that is known
Wish = bool | Tell | None
EVERY = 0.1  # seconds between two drawings
WIDTH = 24


@contextmanager
def progress(wish: Wish, title: str, *, unit: str = "") -> Iterator[Tell]:
    """Something to tell how far one is.

    Args:
        wish: A function that is told (done, total); True and False force and forbid a bar; None
            draws one in a terminal or a notebook.
        title: What is being done.
        unit: `B` for bytes.
    """
    if callable(wish):
        yield wish
    elif wish or (wish is None and (sys.stderr.isatty() or "ipykernel" in sys.modules)):
        bar = _tqdm(title, unit) or Bar(title, unit, sys.stderr)
        try:
            yield bar.tell
        finally:
            bar.close()
    else:
        yield lambda done, total: None


class Bar:
    """One line that is drawn anew: title, bar, how much."""

    def __init__(self, title: str, unit: str, out: TextIO) -> None:
        self.title, self.unit, self.out = title, unit, out
        self.drawn, self.last = 0.0, (0, None)

    def tell(self, done: int, total: int | None) -> None:
        """Draw, unless it was drawn just now."""
        self.last = done, total  # type: ignore[assignment]
        now = time.monotonic()
        if now - self.drawn > EVERY:
            self.drawn = now
            self._draw()

    def close(self) -> None:
        """Draw the last state, and leave the line."""
        self._draw()
        self.out.write("\n")

    def _draw(self) -> None:
        done, total = self.last
        share = f"{self.said(done)}"
        if total:
            full = min(WIDTH, WIDTH * done // total)
            share = f"[{'█' * full}{' ' * (WIDTH - full)}] {share} of {self.said(total)}"
        self.out.write(f"\r{self.title} {share}")
        self.out.flush()

    def said(self, amount: float) -> str:
        """An amount in words."""
        if self.unit != "B":
            return f"{amount:,} {self.unit}".rstrip()
        for unit in ("B", "kB", "MB"):
            if amount < 1000:
                return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
            amount /= 1000
        return f"{amount:.1f} GB"


class _Tqdm:
    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def tell(self, done: int, total: int | None) -> None:
        self.bar.total = total
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


def _tqdm(title: str, unit: str) -> _Tqdm | None:
    """The bar that people know, where it is installed."""
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return None
    return _Tqdm(tqdm(desc=title, unit=unit or "it", unit_scale=unit == "B"))
