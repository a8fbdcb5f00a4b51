"""Panels of curves as one SVG file, written by hand: no plotting library to install."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

import numpy as np

from learning.replay.curves import Floats, Line, Panel, Row

_WIDTH, _HEIGHT = 430, 300  # of a panel with its margins
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 112, 56, 44
_LINE_HEIGHT: Final = 13  # of a label, at least
_RANDOM: Final = "#5f6670"
# Dark enough for small text on white, and apart for colour-blind eyes.
_COLOURS: Final = ("#0b66b3", "#c2410c", "#00795a", "#9333a0", "#8a6100", "#c01d5e", "#3d4bc7")
_STYLE: Final = """
text { font: 11px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #333 }
.file { font-size: 15px; font-weight: 600; fill: #111 }
.title { font-size: 12px; font-weight: 600 }
.name { font-weight: 600 }
.grid { stroke: #e3e5e8; stroke-width: 1 }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.leader { fill: none; stroke-width: 0.8; opacity: 0.6 }
.band { opacity: 0.13; stroke: none }
"""


def svg(rows: Sequence[Row]) -> str:
    """Return a picture with a row of panels for each file."""
    panels = max((len(row.panels) for row in rows), default=1)
    width, height = panels * _WIDTH, len(rows) * _HEIGHT
    colours = _palette(rows)
    body = "".join(
        part for at, row in enumerate(rows) for part in _draw_row(row, at * _HEIGHT, colours)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="Learning curves">\n'
        f"<style>{_STYLE}</style>\n"
        f'<rect width="{width}" height="{height}" fill="#fff"/>\n{body}</svg>\n'
    )


def _palette(rows: Sequence[Row]) -> dict[str, str]:
    """One colour a function, the same in every panel; random is grey."""
    names = dict.fromkeys(line.name for row in rows for p in row.panels for line in p.lines)
    others = [name for name in names if name != "random"]
    return {
        "random": _RANDOM,
        **{name: _COLOURS[at % len(_COLOURS)] for at, name in enumerate(others)},
    }


def _draw_row(row: Row, top: float, colours: dict[str, str]) -> Iterator[str]:
    yield f'<text class="file" x="16" y="{top + 24}">{escape(row.title)}</text>\n'
    for at, panel in enumerate(row.panels):
        if panel.lines:
            yield from _draw_panel(panel, _Frame.around(panel, at * _WIDTH, top), colours)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a panel's data lie on the page."""

    x0: float
    y0: float
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @classmethod
    def around(cls, panel: Panel, left: float, top: float) -> _Frame:
        """Leave room for every curve and band."""
        labels = np.concatenate([line.labels for line in panel.lines])
        ends = np.concatenate([np.concatenate([line.low, line.high]) for line in panel.lines])
        ends = np.concatenate([ends, *(line.value for line in panel.lines)])
        margin = max(0.05 * float(np.ptp(ends)), 1e-4)
        return cls(
            x0=left + _LEFT,
            y0=top + _TOP,
            x_range=(float(labels.min()), max(float(labels.max()), float(labels.min()) + 1)),
            y_range=(float(ends.min()) - margin, float(ends.max()) + margin),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the area that is drawn in."""
        return _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(self, labels: float) -> float:
        low, high = self.x_range
        return round(self.x0 + (labels - low) / (high - low) * self.size[0], 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        return round(self.y0 + (high - value) / (high - low) * self.size[1], 1)


def _draw_panel(panel: Panel, frame: _Frame, colours: dict[str, str]) -> Iterator[str]:
    yield f'<text class="title" x="{frame.x0}" y="{frame.y0 - 8}">{escape(panel.title)}</text>\n'
    yield from _axes(panel, frame)
    for line in panel.lines:
        yield _band(line, frame, colours[line.name])
    for line in panel.lines:
        dash = ' stroke-dasharray="5 3"' if line.name == "random" else ""
        points = _points(line.labels, line.value, frame)
        yield (
            f'<polyline class="line" stroke="{colours[line.name]}"{dash} points="{points}">'
            f"<title>{escape(line.name)}</title></polyline>\n"
        )
    yield from _names(panel, frame, colours)


def _axes(panel: Panel, frame: _Frame) -> Iterator[str]:
    width, height = frame.size
    bottom = frame.y0 + height
    values = round_ticks(*frame.y_range)
    say = _wording(values, percent=panel.percent)
    for value in values:
        y = frame.y(value)
        yield (
            f'<line class="grid" x1="{frame.x0}" x2="{frame.x0 + width}" y1="{y}" y2="{y}"/>'
            f'<text x="{frame.x0 - 6}" y="{y + 4}" text-anchor="end">{say(value)}</text>\n'
        )
    for labels in round_ticks(*frame.x_range):
        x = frame.x(labels)
        yield (
            f'<line class="grid" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>'
            f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{labels:,.0f}</text>\n'
        )
    middle = frame.x0 + width / 2
    yield f'<text x="{middle}" y="{bottom + 33}" text-anchor="middle">labels paid for</text>\n'


def round_ticks(low: float, high: float) -> list[float]:
    """Return two to six round numbers in a range: 1, 2 or 5 times a power of ten apart."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * times for times in (1, 2, 5, 10) if raw <= power * times)
    first = math.ceil(low / step - 1e-9)
    return [step * i for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _wording(ticks: Sequence[float], *, percent: bool) -> Callable[[float], str]:
    """Numbers with as many decimals as tell neighbouring ticks apart."""
    step = (ticks[1] - ticks[0]) * (100 if percent else 1) if len(ticks) > 1 else 1.0
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    if percent:
        return lambda value: f"{100 * value:.{decimals}f} %"
    return lambda value: f"{value:.{decimals}f}".replace("-", "\u2212")


def _points(labels: Floats, values: Floats, frame: _Frame) -> str:
    return " ".join(
        f"{frame.x(float(a))},{frame.y(float(b))}" for a, b in zip(labels, values, strict=True)
    )


def _band(line: Line, frame: _Frame, colour: str) -> str:
    if np.array_equal(line.low, line.high):
        return ""
    outline = f"{_points(line.labels, line.high, frame)} " + _points(
        line.labels[::-1], line.low[::-1], frame
    )
    return f'<polygon class="band" fill="{colour}" points="{outline}"/>\n'


def _names(panel: Panel, frame: _Frame, colours: dict[str, str]) -> Iterator[str]:
    """The name of each curve at its end; names that would overlap are moved apart."""
    ends = sorted(panel.lines, key=lambda line: frame.y(float(line.value[-1])))
    wanted = [frame.y(float(line.value[-1])) for line in ends]
    low, high = frame.y0, frame.y0 + frame.size[1]
    for line, at, y in zip(ends, wanted, spread(wanted, low, high), strict=True):
        x, colour = frame.x(float(line.labels[-1])), colours[line.name]
        yield (
            f'<path class="leader" stroke="{colour}" d="M{x} {at}L{x + 10} {y:.1f}"/>'
            f'<text class="name" x="{x + 13}" y="{y + 4:.1f}" style="fill:{colour}">'
            f"{escape(line.name)}</text>\n"
        )


def spread(wanted: Sequence[float], low: float, high: float) -> list[float]:
    """Return ascending places near the wanted ones, a line apart, between the ends if they fit."""
    places: list[float] = []
    for at in wanted:
        places.append(max(at, places[-1] + _LINE_HEIGHT if places else low))
    beyond = max(0.0, places[-1] - high) if places else 0.0
    limit = high
    for at in range(len(places) - 1, -1, -1):  # push back up what slid out at the bottom
        if beyond and places[at] > limit:
            places[at] = limit
        limit = places[at] - _LINE_HEIGHT
    return places
