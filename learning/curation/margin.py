"""How sure the reward model is of each choice: rows that are too easy, or that teach nothing.

Source:
    He et al. (2025), AIR, arXiv:2504.03612: moderate margins and good responses teach most.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from learning.curation._finding import Finding, Floats, column, count, percent, worst
from learning.errors import ConfigError

EASY: Final = 0.97  # probability of the chosen response from which a row is too easy
LEVEL: Final = 0.53  # probability of the likelier response up to which the model sees none better
GOOD: Final = 0.3  # probability that the chosen response is good enough, below which it is bad
NAME: Final = "margin"
_TENTHS: Final = tuple(range(10, 100, 10))


def margin(
    margins: ArrayLike,
    strength: ArrayLike,
    score: ArrayLike | None = None,
    *,
    easy: float = EASY,
    level: float = LEVEL,
    good: float = GOOD,
) -> Finding:
    """Find rows outside a band of margin and score.

    Args:
        margins: Reward of the chosen response less that of the other, in logits, shape ``(n,)``;
            NaN where the model does not know them.
        strength: Signed mean of what people pressed, -3 to 3, shape ``(n,)``; NaN where none.
        score: Probability that the chosen response is good enough, shape ``(n,)``; None where
            nobody speaks of that.
        easy: From this probability of the chosen response a row is too easy.
        level: Up to this probability of the likelier response there is nothing to tell.
        good: Below this score the chosen response is bad itself.

    Returns:
        The rows outside the band, which leaving out takes. The score of an example is the
        probability of the chosen response.
    """
    if not (0.5 <= level < easy <= 1 and 0 <= good <= 1):
        raise ConfigError(f"the band is empty: easy {easy}, level {level}, good {good}")
    ahead = np.asarray(margins, np.float64)
    pressed = column(np.asarray(strength, np.float64), "strength", len(ahead))
    known = np.isfinite(ahead)
    figures: dict[str, Any] = {
        "known": int(known.sum()),
        "strength": _tenths(pressed),
        "margin": _tenths(ahead),
        "band": {"easy": easy, "level": level, "good": good},
    }
    if not known.any():
        said = "No model has been fitted yet: there is no margin to look at."
        return Finding(NAME, 0, len(ahead), said, figures=figures)
    chance = expit(ahead)
    too_easy = known & (chance >= easy)
    flat = known & (np.maximum(chance, 1 - chance) <= level)
    bad = np.zeros(len(ahead), bool)
    if score is not None:
        values = column(np.asarray(score, np.float64), "score", len(ahead))
        bad = np.isfinite(values) & (values < good)
        figures["score"] = _tenths(values)
    outside = np.flatnonzero(too_easy | flat | bad)
    notes = np.select([too_easy, bad], ["too easy", "chosen but not good enough"], "level")
    figures |= {"easy": int(too_easy.sum()), "level": int(flat.sum()), "bad": int(bad.sum())}
    return Finding(
        name=NAME,
        rows=len(outside),
        of=len(ahead),
        sentence=_sentence(figures, int(known.sum()), score is not None),
        examples=worst(outside, chance[outside], notes[outside].tolist()),
        drop=outside,
        figures=figures,
    )


def _tenths(values: Floats) -> list[float]:
    """The nine values between the tenths of what is known; empty without any."""
    known = values[np.isfinite(values)]
    return [round(float(x), 4) for x in np.percentile(known, _TENTHS)] if len(known) else []


def _sentence(figures: dict[str, Any], known: int, scored: bool) -> str:
    band = figures["band"]
    said = (
        f"Of {count(known, 'row')} that the newest model knows, {figures['easy']:,} are too easy "
        f"(it gives the chosen response {percent(band['easy'])} or more) and {figures['level']:,} "
        f"are level to it (at most {percent(band['level'])} for either)"
    )
    if scored:
        said += f"; in {figures['bad']:,} the chosen response is hardly good enough"
    return f"{said}. It has learnt from these rows."
