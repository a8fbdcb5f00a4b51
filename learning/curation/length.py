"""Whether the longer response is chosen, and how well length alone predicts.

Source:
    Singhal et al. (2023), arXiv:2310.03716; Park et al. (2024), arXiv:2403.19159.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from learning.curation._finding import (
    Finding,
    Floats,
    column,
    count,
    enough,
    interval,
    surplus,
    told,
    too_little,
    worst,
)
from learning.metrics import Estimate, bootstrap_interval

STEPS: Final = (0.0, 0.1, 0.2, 0.4, 0.7, 1.1)  # of |log ratio|: rows are balanced within
NAME: Final = "length"


def length(
    chosen: ArrayLike, rejected: ArrayLike, groups: ArrayLike, *, rng: np.random.Generator
) -> Finding:
    """Measure how often the longer response is chosen.

    Args:
        chosen: Length of the chosen response, in characters, shape ``(n,)``.
        rejected: Length of the other.
        groups: What is redrawn together, such as the prompt, shape ``(n,)``.
        rng: Draws the interval, and which rows leaving out takes.

    Returns:
        Where the interval lies beside one half, leaving out takes rows at random until the longer
        and the shorter are chosen equally often, among rows of alike difference in length: these
        are the rows concerned. The score of an example is the absolute logarithm of the ratio.
    """
    won = np.asarray(chosen, np.float64)
    lost = column(np.asarray(rejected, np.float64), "rejected", len(won))
    member = column(np.asarray(groups), "groups", len(won))
    ratio = np.log1p(won) - np.log1p(lost)
    at = np.flatnonzero(ratio)
    figures: dict[str, Any] = {"comparable": len(at)}
    if not enough(len(at), member[at]):
        said = too_little(len(at), "with responses of different length", member[at])
        return Finding(NAME, 0, len(won), said, figures=figures)
    longer = ratio[at] > 0
    ends = bootstrap_interval(longer.astype(np.float64), member[at], rng=rng)
    share = Estimate(float(longer.mean()), *ends)
    figures |= {
        "longer_chosen": interval(share),
        "auc": auc(ratio),
        "median_ratio": float(np.exp(np.median(ratio[at]))),
    }
    biased = share.low > 0.5 or share.high < 0.5
    dropped = np.empty(0, np.int64)
    if biased:
        dropped = surplus(longer, np.digitize(np.abs(ratio[at]), STEPS), rng)
    drop = np.sort(at[dropped])
    return Finding(
        name=NAME,
        rows=len(drop),
        of=len(won),
        sentence=_sentence(share, figures["auc"], len(at), len(drop)),
        examples=worst(drop, np.abs(ratio[drop])),
        drop=drop,
        figures=figures,
    )


def auc(difference: Floats) -> float:
    """Probability that the difference in length of a row, chosen less rejected, exceeds that of
    another row read the other way round: the area under the curve of length as a classifier.

    Args:
        difference: Shape ``(n,)``; equal values count half.
    """
    ordered = np.sort(difference)
    below = np.searchsorted(ordered, -ordered, side="left")
    at_most = np.searchsorted(ordered, -ordered, side="right")
    n = len(ordered)
    return float(1.0 - (below + at_most).sum() / (2.0 * n * n))


def _sentence(share: Estimate, area: float, n: int, dropped: int) -> str:
    seen = f"in {told(share)} of {n:,} rows with responses of different length"
    if share.low <= 0.5 <= share.high:
        return f"Length gives nothing away: the longer response was chosen {seen}."
    which = "longer" if share.low > 0.5 else "shorter"
    if which == "shorter":
        share = Estimate(1 - share.value, 1 - share.high, 1 - share.low)
        seen = f"in {told(share)} of {n:,} rows with responses of different length"
    return (
        f"The {which} response was chosen {seen}; as a classifier, length reaches an area of "
        f"{area:.2f} (0.50 is chance). Leaving out {count(dropped, 'row')} balances it."
    )
