"""From what a judge says to how often people agree: fitted, shrunk, and honest about few rows.

The input is the judge's probability averaged over both display orders. Everything is symmetric:
a calibrated P(first) and P(second) add up to one whatever the numbering, so there is no
intercept. Rows must be a random sample of the questions: rows that a router chose are the
difficult ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression
from scipy.special import expit, log_expit, logit

from learning.errors import ConfigError, ShapeError
from learning.judges.quality import probabilities, quality

Doubles = NDArray[np.float64]
METHODS: Final = ("auto", "temperature", "isotonic", "identity")
LEAST: Final = 10  # rows below which nothing is fitted
ISOTONIC_LEAST: Final = 200  # rows below which a free curve follows noise
_PRIOR: Final = 1.0  # sd of the slope around 1, before there is evidence
_SPREADS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)  # of slopes of groups around the campaign's
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
        odds = self._odds(p)
        if groups is not None:
            more = [self.groups.get(one, (0.0, 0))[0] for one in groups]
            odds = odds + np.array(more, dtype=np.float64) * _logit(p)
        return np.asarray(expit(odds), dtype=np.float64)

    def _odds(self, p: Doubles) -> Doubles:
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
    method: str = "auto",
) -> Calibration:
    """Fit a calibration.

    The temperature is shrunk to 1 and each group's slope to the campaign's. How much groups
    differ is estimated from all of them (the spread under which their answers are likeliest),
    so few rows leave a group where the campaign is.

    Args:
        p: The judge's P(first), shape ``(n,)``, in [0, 1].
        y: Share of people who prefer the first, ties as one half, shape ``(n,)``.
        groups: A group for each row, such as its first tag.
        method: One of ``METHODS``. ``auto`` takes the free curve where there are 200 rows and
            it predicts rows that it has not seen better than a temperature.

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
    if method == "auto":
        method = "isotonic" if _curve_is_better(p, y) else "temperature"
    base = _isotonic(p, y) if method == "isotonic" else _temperature(p, y)
    slopes, spread = _groups(base, p, y, groups)
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
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    if len(member) != len(p):
        raise ShapeError(f"{len(member)} clusters for {len(p)} probabilities")
    count = int(member.max(initial=-1)) + 1
    fold = rng.permutation(count) % _FOLDS
    made = p.copy()
    for number in range(_FOLDS):
        held = fold[member] == number
        rest = None if groups is None else _some(groups, ~held)
        ours = None if groups is None else _some(groups, held)
        made[held] = calibrate(p[~held], y[~held], rest, method=method).apply(p[held], ours)
    return made


def _temperature(p: Doubles, y: Doubles) -> Calibration:
    x = _logit(p)
    more, _ = _slope(x, y, x, _PRIOR)  # on top of the judge's own
    return Calibration("temperature", slope=1 + more)


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


def _groups(
    base: Calibration, p: Doubles, y: Doubles, groups: Sequence[str] | None
) -> tuple[dict[str, tuple[float, int]], float]:
    """What groups add, and the spread that makes all of their answers likeliest."""
    if groups is None or len(set(groups)) < 2:
        return {}, 0.0
    x, odds = _logit(p), base._odds(p)
    rows = {name: np.array([one == name for one in groups]) for name in sorted(set(groups))}

    def fits(spread: float) -> dict[str, tuple[float, float]]:
        return {name: _slope(x[r], y[r], odds[r], spread) for name, r in rows.items()}

    spread = max(_SPREADS, key=lambda one: sum(found for _, found in fits(one).values()))
    slopes = {name: (more, int(rows[name].sum())) for name, (more, _) in fits(spread).items()}
    return slopes, spread


def _slope(x: Doubles, y: Doubles, odds: Doubles, spread: float) -> tuple[float, float]:
    """What to add to the slope, with a normal prior around 0, and the log evidence of its spread.

    Newton's method; the objective is convex in one number. The evidence is Laplace's.
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
    found = odds + more * x
    likelihood = float(y @ log_expit(found) + (1 - y) @ log_expit(-found))
    evidence = likelihood - 0.5 * precision * more**2 + 0.5 * float(np.log(precision / bend))
    return more, evidence


def _curve_is_better(p: Doubles, y: Doubles) -> bool:
    """Whether a free curve predicts rows that it has not seen better than a temperature."""
    if len(p) < ISOTONIC_LEAST:
        return False
    seen = np.arange(len(p)) % 2 == 0
    loss = dict.fromkeys(("temperature", "isotonic"), 0.0)
    for fitted in (seen, ~seen):
        for name, fit in (("temperature", _temperature), ("isotonic", _isotonic)):
            made = fit(p[fitted], y[fitted]).apply(p[~fitted])
            loss[name] += quality(made, y[~fitted]).log_loss
    return loss["isotonic"] < loss["temperature"]


def _logit(p: Doubles) -> Doubles:
    return np.asarray(logit(np.clip(p, _EDGE, 1 - _EDGE)), dtype=np.float64)


def _some(names: Sequence[str], rows: NDArray[np.bool_]) -> list[str]:
    return [name for name, wanted in zip(names, rows, strict=True) if wanted]
