"""From what a judge says to how often people agree: fitted, shrunk, and honest about few rows.

The input is the judge's probability averaged over both display orders. Everything is symmetric:
a calibrated P(first) and P(second) add up to one whatever the numbering, so there is no
intercept. Rows must be a random sample of the questions: rows that a router chose are the
difficult ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, logit

from learning.errors import ConfigError, ShapeError
from learning.judges.quality import probabilities

Doubles = NDArray[np.float64]
METHODS: Final = ("auto", "temperature", "isotonic", "identity")
LEAST: Final = 10  # rows below which nothing is fitted
ISOTONIC_LEAST: Final = 200  # rows below which a free curve follows noise
_PRIOR: Final = 1.0  # sd of the slope around 1, before there is evidence
_SPREADS: Final = (0.0, 0.1, 0.25, 0.5, 1.0)  # of slopes of groups around the campaign's
_EDGE: Final = 1e-4
_FOLDS: Final = 5


@dataclass(frozen=True, slots=True)
class Calibration:
    """A map from a judge's probability to people's.

    Attributes:
        method: ``identity``, ``temperature`` or ``isotonic``.
        n: Rows that it was fitted on.
        slope: Of the logit; a temperature is its inverse. 1 leaves it, 0 says that the judge
            knows nothing, below 0 that it is more often wrong than right.
        knots: Probability before and after, rising; only for ``isotonic``.
        groups: What each group adds to the slope, and its rows. 0 is as the campaign.
        spread: Standard deviation of these that they were shrunk with.
        notes: What a reader should know.
    """

    method: str = "identity"
    n: int = 0
    slope: float = 1.0
    knots: tuple[tuple[float, float], ...] = ()
    groups: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    spread: float = 0.0
    notes: tuple[str, ...] = ()

    def apply(self, p: ArrayLike, groups: Sequence[str] | None = None) -> Doubles:
        """Return calibrated probabilities.

        Args:
            p: The judge's P(first), shape ``(n,)``, in [0, 1].
            groups: The group of each; unknown ones are as the campaign.

        Returns:
            Shape ``(n,)``, strictly between 0 and 1 unless the method is ``identity``.

        Raises:
            ShapeError: not as many groups as probabilities, or something outside [0, 1].
        """
        p = probabilities(p, "p")
        if groups is not None and len(groups) != len(p):
            raise ShapeError(f"{len(groups)} groups for {len(p)} probabilities")
        if self.method == "identity":
            return p.copy()
        odds = self.odds(p)
        if groups is not None:
            more = [self.groups.get(one, (0.0, 0))[0] for one in groups]
            odds = odds + np.array(more, dtype=np.float64) * _logit(p)
        return np.asarray(expit(odds), dtype=np.float64)

    def odds(self, p: Doubles) -> Doubles:
        """Return the campaign's calibrated log odds, shape ``(n,)``."""
        if not self.knots:
            return np.asarray(self.slope * _logit(p), dtype=np.float64)
        before, after = np.array(self.knots).T
        return np.asarray(logit(np.interp(p, before, after)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {
            "method": self.method,
            "n": self.n,
            "slope": self.slope,
            "knots": [list(knot) for knot in self.knots],
            "groups": {name: list(found) for name, found in self.groups.items()},
            "spread": self.spread,
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> Calibration:
        """Read back what `to_json` made."""
        return cls(
            method=made["method"],
            n=made["n"],
            slope=made["slope"],
            knots=tuple((before, after) for before, after in made["knots"]),
            groups={name: (slope, n) for name, (slope, n) in made["groups"].items()},
            spread=made["spread"],
            notes=tuple(made["notes"]),
        )


def calibrate(
    p: ArrayLike,
    y: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    clusters: ArrayLike | None = None,
    method: str = "auto",
) -> Calibration:
    """Fit a calibration.

    The temperature is shrunk to 1 and each group's slope to the campaign's. How much groups may
    differ is the least spread that predicts unseen clusters as well as any, so a few rows, or
    many rows of few prompts, leave a group where the campaign is.

    Args:
        p: The judge's P(first), shape ``(n,)``, in [0, 1].
        y: Share of people who prefer the first, ties as one half, shape ``(n,)``.
        groups: A group for each row, such as its first tag.
        clusters: Prompt of each row, shape ``(n,)``: rows of one are not independent. Each row
            its own where left out.
        method: One of ``METHODS``. ``auto`` takes the free curve where there are 200 rows and
            it predicts unseen clusters better than a temperature, by a standard error.

    Raises:
        ConfigError: an unknown method.
        ShapeError: lengths differ, or something outside [0, 1].
    """
    p, y = probabilities(p, "p"), probabilities(y, "y")
    if method not in METHODS:
        raise ConfigError(f"unknown calibration {method!r}; there are: {', '.join(METHODS)}")
    if len(p) != len(y) or (groups is not None and len(groups) != len(p)):
        raise ShapeError(f"p, y and groups must be as long as each other, got {len(p)}, {len(y)}")
    if method == "identity" or len(p) < LEAST:
        few = f"{len(p)} rows: fewer than {LEAST}, so the judge's probabilities stand as they are"
        return Calibration(n=len(p), notes=(few,) if method != "identity" else ())
    notes: list[str] = []
    if method == "isotonic" and len(p) < ISOTONIC_LEAST:
        notes.append(f"{len(p)} rows: a free curve follows noise below {ISOTONIC_LEAST}")
    unit = _units(clusters, len(p))
    if method == "auto":
        method = "isotonic" if _curve_is_better(p, y, unit) else "temperature"
    fit = _isotonic if method == "isotonic" else _temperature
    base = fit(p, y)
    spread = _spread(fit, p, y, groups, unit)
    slopes = _added(base, p, y, groups, spread) if groups is not None and spread else {}
    return Calibration(method, len(p), base.slope, base.knots, slopes, spread, notes=tuple(notes))


def out_of_fold(
    p: ArrayLike,
    y: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    clusters: ArrayLike,
    rng: np.random.Generator,
    method: str = "auto",
) -> Doubles:
    """Return probabilities calibrated on the other rows: for figures that do not flatter.

    Args:
        p, y, groups, method: As for `calibrate`.
        clusters: What must not be torn apart, such as the prompt, shape ``(n,)``.
        rng: Deals clusters into five folds.

    Returns:
        Shape ``(n,)``.
    """
    p, y = probabilities(p, "p"), probabilities(y, "y")
    unit = np.asarray(clusters)
    _, member = np.unique(unit, return_inverse=True)
    if len(member) != len(p):
        raise ShapeError(f"{len(member)} clusters for {len(p)} probabilities")
    count = int(member.max(initial=-1)) + 1
    fold = rng.permutation(count) % _FOLDS
    made = p.copy()
    for number in range(_FOLDS):
        held = fold[member] == number
        rest = None if groups is None else _some(groups, ~held)
        ours = None if groups is None else _some(groups, held)
        found = calibrate(p[~held], y[~held], rest, clusters=unit[~held], method=method)
        made[held] = found.apply(p[held], ours)
    return made


def _temperature(p: Doubles, y: Doubles) -> Calibration:
    x = _logit(p)
    return Calibration("temperature", slope=1 + _slope(x, y, x, _PRIOR))


def _isotonic(p: Doubles, y: Doubles) -> Calibration:
    """A rising curve through rows and their mirror images; never quite 0 or 1."""
    both, said = np.concatenate([p, 1 - p]), np.concatenate([y, 1 - y])
    places, member = np.unique(np.round(both, 9), return_inverse=True)
    weight = np.bincount(member).astype(np.float64)
    mean = np.bincount(member, weights=said) / weight
    edge = 0.5 / (len(p) + 1)
    curve = np.clip(isotonic_regression(mean, weights=weight).x, edge, 1 - edge)
    knots = tuple(zip(places.tolist(), curve.tolist(), strict=True))
    return Calibration("isotonic", knots=knots)


def _spread(
    fit: Callable[[Doubles, Doubles], Calibration],
    p: Doubles,
    y: Doubles,
    groups: Sequence[str] | None,
    unit: NDArray[np.int64],
) -> float:
    """How much groups may differ: the least that predicts unseen clusters as well as any.

    "As well" is within one standard error of the best, over clusters.
    """
    if groups is None or len(set(groups)) < 2:
        return 0.0
    loss = {spread: np.zeros(len(p)) for spread in _SPREADS}
    for held in _held(unit):
        rest, theirs = _some(groups, ~held), _some(groups, held)
        base = fit(p[~held], y[~held])
        for spread in _SPREADS:
            added = _added(base, p[~held], y[~held], rest, spread) if spread else {}
            loss[spread][held] = _surprise(
                replace(base, groups=added).apply(p[held], theirs), y[held]
            )
    best = min(_SPREADS, key=lambda one: float(loss[one].sum()))
    return next(one for one in _SPREADS if not _worse(loss[one] - loss[best], unit))


def _curve_is_better(p: Doubles, y: Doubles, unit: NDArray[np.int64]) -> bool:
    """Whether a free curve predicts unseen clusters better than a temperature, and clearly."""
    if len(p) < ISOTONIC_LEAST:
        return False
    gap = np.zeros(len(p))
    for held in _held(unit):
        curve, line = (fit(p[~held], y[~held]).apply(p[held]) for fit in (_isotonic, _temperature))
        gap[held] = _surprise(line, y[held]) - _surprise(curve, y[held])
    return _worse(gap, unit)


def _worse(gap: Doubles, unit: NDArray[np.int64]) -> bool:
    """Whether a loss is larger by more than one standard error, over clusters."""
    sums = np.bincount(unit, weights=gap)
    error = float(sums.std(ddof=1) * np.sqrt(len(sums))) if len(sums) > 1 else np.inf
    return float(sums.sum()) > error


def _held(unit: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Rows to leave out, fold by fold; always the same ones, clusters whole."""
    for number in range(min(_FOLDS, int(unit.max()) + 1)):
        yield unit % _FOLDS == number


def _units(clusters: ArrayLike | None, n: int) -> NDArray[np.int64]:
    """The cluster of each row, numbered."""
    unit = np.arange(n) if clusters is None else np.asarray(clusters)
    if len(unit) != n:
        raise ShapeError(f"{len(unit)} clusters for {n} rows")
    return np.asarray(np.unique(unit, return_inverse=True)[1], dtype=np.int64)


def _surprise(p: Doubles, y: Doubles) -> Doubles:
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)), dtype=np.float64)


def _added(
    base: Calibration, p: Doubles, y: Doubles, groups: Sequence[str], spread: float
) -> dict[str, tuple[float, int]]:
    """What each group adds to the slope, and its rows."""
    x, odds, of = _logit(p), base.odds(p), np.asarray(groups)
    made = {}
    for name in sorted(set(groups)):
        rows = of == name
        made[name] = _slope(x[rows], y[rows], odds[rows], spread), int(rows.sum())
    return made


def _slope(x: Doubles, y: Doubles, odds: Doubles, spread: float) -> float:
    """What to add to the slope, with a normal prior around 0.

    Newton's method; the objective is convex in one number.
    """
    more, precision = 0.0, 1.0 / spread**2
    for _ in range(50):
        fitted = expit(odds + more * x)
        gradient = float(x @ (fitted - y)) + precision * more
        bend = float(np.square(x) @ (fitted * (1 - fitted))) + precision
        step = gradient / bend
        more -= float(np.clip(step, -1, 1))
        if abs(step) < 1e-10:
            break
    return more


def _logit(p: Doubles) -> Doubles:
    return np.asarray(logit(np.clip(p, _EDGE, 1 - _EDGE)), dtype=np.float64)


def _some(names: Sequence[str], rows: NDArray[np.bool_]) -> list[str]:
    return [name for name, wanted in zip(names, rows, strict=True) if wanted]
