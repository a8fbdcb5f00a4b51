"""Charts as SVG made on the server: no script, no style attribute, and a table beside each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 20, 12, 36
LEAST_MARGIN = 0.01  # above and below, of a share or in nats: a flat line is drawn as one


@dataclass(frozen=True)
class Point:
    """Where on the axis (labels a model was fitted on, or a share), a figure, and its interval."""

    at: float
    value: float
    low: float | None
    high: float | None

    @property
    def ends(self) -> tuple[float, float]:
        """The interval; without one, the figure itself."""
        if self.low is None or self.high is None:
            return self.value, self.value
        return self.low, self.high


@dataclass(frozen=True)
class Line:
    """One curve in drawing coordinates."""

    name: str
    points: str
    band: str
    dots: list[tuple[float, float, str]]


@dataclass(frozen=True)
class Tick:
    """One mark of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """What the template draws."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    x_name: str = "labels used"


def learning_curve(series: Mapping[str, Sequence[Point]], *, percent: bool) -> Chart | None:
    """Lay out curves with their bands over the number of labels; None without two points."""
    return _drawn(series, percent=percent, x_name="labels used", count="{:,.0f} labels")


def share_curve(series: Mapping[str, Sequence[Point]], *, x_name: str) -> Chart | None:
    """The same where both axes are shares, shown as per cents."""
    return _drawn(series, percent=True, x_name=x_name, count="{:.0%}")


def round_curve(series: Mapping[str, Sequence[Point]]) -> Chart | None:
    """Shares by round."""
    return _drawn(series, percent=True, x_name="round", count="round {:.0f}")


def _drawn(
    series: Mapping[str, Sequence[Point]], *, percent: bool, x_name: str, count: str
) -> Chart | None:
    points = [point for line in series.values() for point in line]
    if len({point.at for point in points}) < 2:
        return None
    x_low, x_high = min(p.at for p in points), max(p.at for p in points)
    y_low, y_high = min(p.ends[0] for p in points), max(p.ends[1] for p in points)
    margin = max((y_high - y_low) * 0.08, LEAST_MARGIN)
    y_low, y_high = y_low - margin, y_high + margin
    places, values = _round_ticks(x_low, x_high), _round_ticks(y_low, y_high)
    fine = int(len({f"{at:.0%}" for at in values}) < len(values))  # whole per cents are too coarse

    def x(at: float) -> float:
        return round(LEFT + (at - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        share = (value - y_low) / (y_high - y_low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    def text(value: float) -> str:
        return f"{value:.{fine}%}" if percent else f"{value:.3f}"

    def said(point: Point) -> str:
        ends = "" if point.low is None else " ({} to {})".format(*map(text, point.ends))
        return f"{count.format(point.at)}: {text(point.value)}{ends}"

    lines = []
    for name, line in series.items():
        sure = [p for p in line if p.low is not None]
        upper = [f"{x(p.at)},{y(p.ends[1])}" for p in sure]
        lower = [f"{x(p.at)},{y(p.ends[0])}" for p in reversed(sure)]
        lines.append(
            Line(
                name=name,
                points=" ".join(f"{x(p.at)},{y(p.value)}" for p in line),
                band=" ".join(upper + lower),
                dots=[(x(p.at), y(p.value), f"{name}, {said(p)}") for p in line],
            )
        )
    tick = "{:.0%}" if count == "{:.0%}" else "{:,.0f}"
    return Chart(
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        bottom=HEIGHT - BOTTOM,
        lines=lines,
        x_ticks=[Tick(x(at), tick.format(at)) for at in places if count == "{:.0%}" or at % 1 == 0],
        y_ticks=[Tick(y(at), text(at)) for at in values],
        x_name=x_name,
    )


def _round_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers inside a range: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * times for times in (1, 2, 5, 10) if raw <= power * times)
    first = math.ceil(low / step)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]
