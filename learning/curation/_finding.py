"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from learning.errors import ShapeError
from learning.metrics import Estimate

MOST_EXAMPLES: Final = 50
FEWEST: Final = 20  # rows
FEWEST_GROUPS: Final = 10  # an interval over fewer prompts is a guess
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """One row that a check is about.

    Attributes:
        row: Its number.
        score: How much it is concerned; what the number means is said by each check.
        note: What is to be seen there, in words.
        other: A prompt that it nearly repeats, by its number; -1 for none.
    """

    row: int
    score: float
    note: str = ""
    other: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What one check found.

    Attributes:
        name: Of the check.
        rows: How many rows are concerned.
        of: How many were looked at.
        sentence: The finding in plain words.
        examples: At most ``MOST_EXAMPLES`` of the rows, those most concerned first.
        drop: Numbers of the rows that leaving out would take, ascending, shape ``(d,)``.
        figures: Numbers behind the sentence, ready for JSON.
    """

    name: str
    rows: int
    of: int
    sentence: str
    examples: tuple[Example, ...] = ()
    drop: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    figures: dict[str, Any] = field(default_factory=dict)


def worst(
    rows: ArrayLike, scores: ArrayLike, notes: Sequence[str] | None = None
) -> tuple[Example, ...]:
    """Examples by falling score; rows, scores and notes belong together, shape ``(n,)`` each."""
    numbers, weight = np.asarray(rows, np.int64), np.asarray(scores, np.float64)
    order = np.lexsort((numbers, -weight))[:MOST_EXAMPLES]
    return tuple(
        Example(int(numbers[at]), round(float(weight[at]), 4), notes[at] if notes else "")
        for at in order.tolist()
    )


def column(values: Sequence[Any] | NDArray[Any], name: str, length: int) -> NDArray[Any]:
    """A 1-d array of the right length.

    Raises:
        ShapeError: it is not.
    """
    array = np.asarray(values)
    if array.shape != (length,):
        raise ShapeError(f"{name} must have shape ({length},), got {array.shape}")
    return array


def surplus(favoured: NDArray[np.bool_], strata: Ints, rng: np.random.Generator) -> Ints:
    """Rows to leave out so that in every stratum as many are favoured as are not.

    Args:
        favoured: Which side a row is on, shape ``(n,)``.
        strata: Rows that are balanced among themselves, shape ``(n,)``.
        rng: Draws which rows of the larger side go.

    Returns:
        Ascending, shape ``(d,)``.
    """
    chosen: list[Ints] = []
    order = rng.permutation(len(favoured))
    order = order[np.argsort(strata[order], kind="stable")]
    for rows in np.split(order, np.flatnonzero(np.diff(strata[order])) + 1):
        on, off = rows[favoured[rows]], rows[~favoured[rows]]
        larger = on if len(on) > len(off) else off
        chosen.append(larger[: abs(len(on) - len(off))])
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.int64)


def interval(estimate: Estimate) -> dict[str, float | None]:
    """An estimate ready for JSON, which has no NaN."""
    ends = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: float(x) if np.isfinite(x) else None for name, x in ends.items()}


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.0f} %"


def told(estimate: Estimate) -> str:
    """A share with its interval in words."""
    if not np.isfinite(estimate.low):
        return percent(estimate.value)
    return f"{percent(estimate.value)} ({percent(estimate.low)} to {percent(estimate.high)})"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def enough(rows: int, groups: NDArray[Any]) -> bool:
    """Whether an interval over these rows and groups means something."""
    return rows >= FEWEST and len(np.unique(groups)) >= FEWEST_GROUPS


def too_little(rows: int, what: str, groups: NDArray[Any]) -> str:
    """That an interval would not."""
    prompts = count(len(np.unique(groups)), "prompt")
    return (
        f"Too little to tell: {count(rows, 'row')} {what}, about {prompts}; {FEWEST} about "
        f"{FEWEST_GROUPS} are the least."
    )
