"""Choices that are probably wrong: a model that has not seen the prompt is sure of the other side.

Confident learning, for pairs: the predicted probability of the given choice, by folds of prompts,
against what people's own reliability allows.

Source:
    Northcutt, Jiang & Chuang (2021), arXiv:1911.00068.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from learning.card._agreement import best_possible
from learning.card._trial import folds
from learning.curation._finding import (
    Finding,
    Floats,
    Ints,
    column,
    count,
    interval,
    told,
    worst,
)
from learning.curation.contradictions import SURE
from learning.data import Belief, Comparisons
from learning.errors import ShapeError
from learning.heads import Head
from learning.metrics import Estimate, bootstrap_interval

FEWEST: Final = 50  # rows
FEWEST_GROUPS: Final = 10
MOST_TRAINED: Final = 20_000  # rows a fold
NAME: Final = "label_errors"
_FOLDS: Final = 5
_EDGE: Final = 1e-6
_DOUBT: Final = 0.02  # left to a model that is sure
ASSUMED: Final = 0.9  # reliability of one answer where nobody answered twice
_STEEPEST: Final = 4.0  # of the recalibration


def winner_probabilities(
    features: NDArray[np.floating[Any]],
    pairs: ArrayLike,
    groups: ArrayLike,
    *,
    head: Head,
    rng: np.random.Generator,
    recurring: Ints | None = None,
) -> Floats:
    """Probability of each row's chosen response, by a head that has not seen its group.

    Args:
        features: One row a response, shape ``(m, d)``.
        pairs: Rows of the chosen and of the rejected response, shape ``(n, 2)``.
        groups: What must not be torn apart, such as the prompt, shape ``(n,)``.
        head: What learns; on at most ``MOST_TRAINED`` rows.
        rng: Draws the folds.
        recurring: As heads take it.

    Returns:
        Shape ``(n,)``; one half where nothing could be learnt.
    """
    rows = np.asarray(pairs, np.int64)
    member = np.unique(column(np.asarray(groups), "groups", len(rows)), return_inverse=True)[1]
    turned = (np.arange(len(rows)) % 2).astype(bool)  # "left" must carry no meaning
    left, right = np.where(turned[:, None], rows[:, ::-1], rows).T
    data = Comparisons.of(left, right, np.where(turned, -1, 1))
    fold = folds(member, _FOLDS, rng)[member]
    found = np.full(len(rows), 0.5)
    start: Belief | None = None
    for one in range(_FOLDS):
        tested, known = fold == one, np.flatnonzero(fold != one)
        if not tested.any() or not len(known):
            continue
        if len(known) > MOST_TRAINED:
            known = rng.choice(known, MOST_TRAINED, replace=False)
        start = head.fit(features, data.subset(known), start=start, recurring=recurring)
        mu, s2 = start.margin(features, rows[tested])
        found[tested] = start.preference(mu, s2)
    return found


def label_errors(
    winner: ArrayLike,
    votes: ArrayLike,
    groups: ArrayLike,
    *,
    agreement: float = float("nan"),
    rng: np.random.Generator,
) -> Finding:
    """Rank rows by the probability that the choice is wrong.

    Args:
        winner: Probability of the chosen response by a model that has not seen the row, shape
            ``(n,)``.
        votes: How many people were for the chosen and for the rejected one, shape ``(n, 2)``.
        groups: What is redrawn together, such as the prompt, shape ``(n,)``.
        agreement: How often two answers to one pair agree; where it is not known, an answer is
            taken to be with most people in ``ASSUMED`` of the cases.
        rng: For the interval.

    Returns:
        The rows whose choice is more probably wrong than right, which leaving out takes. The
        score of an example is that probability. Nothing where the model cannot predict.
    """
    given = np.clip(np.asarray(winner, np.float64), _EDGE, 1 - _EDGE)
    said = np.asarray(votes, np.float64)
    if said.shape != (len(given), 2):
        raise ShapeError(f"votes must have shape ({len(given)}, 2), got {said.shape}")
    member = column(np.asarray(groups), "groups", len(given))
    if len(given) < FEWEST or len(np.unique(member)) < FEWEST_GROUPS:
        few = f"Too little to tell: {count(len(given), 'row')}; {FEWEST} about {FEWEST_GROUPS} "
        return Finding(NAME, 0, len(given), f"{few}prompts are the least.")
    hits = np.where(given == 0.5, 0.5, given > 0.5).astype(np.float64)
    accuracy = Estimate(float(hits.mean()), *bootstrap_interval(hits, member, rng=rng))
    figures: dict[str, Any] = {"accuracy": interval(accuracy)}
    if not accuracy.low > 0.5:
        sentence = (
            f"The model cannot tell: on prompts that it has not seen it finds the choice in "
            f"{told(accuracy)}. Nothing is suspected."
        )
        return Finding(NAME, 0, len(given), sentence, figures=figures)
    calibrated = recalibrated(given)
    reliable, known = _reliability(agreement)
    wrong = probability_wrong(calibrated, said, reliable)
    rows = np.flatnonzero(wrong > 0.5)
    figures |= {"reliability": reliable, "reliability_known": known}
    figures |= {"confident_joint": int(suspects(calibrated).sum()), **_how_many(wrong, rows)}
    return Finding(
        name=NAME,
        rows=len(rows),
        of=len(given),
        sentence=_sentence(len(rows), figures, accuracy),
        examples=worst(rows, wrong[rows]),
        drop=rows,
        figures=figures,
    )


def _how_many(wrong: Floats, rows: NDArray[np.int64]) -> dict[str, Any]:
    """Choices that are expected to be wrong: among the suspects, with an interval, and in all."""
    low, high, expected = _expected(wrong[rows])
    ends = {"expected": expected, "expected_low": low, "expected_high": high}
    return {**ends, "expected_all": float(wrong.sum()), "top": _top(wrong)}


def recalibrated(given: Floats) -> Floats:
    """Stretch or shrink the log-odds by the one factor that fits the choices best.

    Args:
        given: Out-of-sample probability of the chosen response, in (0, 1), shape ``(n,)``.
    """
    odds = logit(given)

    def loss(factor: float) -> float:
        return float(np.logaddexp(0.0, -factor * odds).mean())

    factor = minimize_scalar(loss, bounds=(0.0, _STEEPEST), method="bounded").x
    return np.asarray(expit(factor * odds))


def suspects(given: Floats) -> NDArray[np.bool_]:
    """Rows off the diagonal of the confident joint.

    The other side's probability reaches the mean self-confidence ``t``, the mean probability of
    what was chosen (Northcutt et al., eq. 1 and 2); sides are exchangeable, so both have one ``t``.
    """
    return np.asarray(1.0 - given >= given.mean())


def probability_wrong(given: Floats, votes: Floats, reliable: float) -> Floats:
    """Probability that most people would choose the other side.

    The model's probability is about one answer, ``p = q r + (1 - q)(1 - r)`` where ``q`` says
    which side most people are on and ``r`` is how reliable one answer is; ``q`` is the prior,
    and every vote counts ``log(r / (1 - r))``.

    Args:
        given: Out-of-sample probability of the chosen response, shape ``(n,)``.
        votes: For the chosen and for the rejected one, shape ``(n, 2)``.
        reliable: Probability that one answer is with the majority, in (0.5, 1).
    """
    prior = np.clip((given - (1 - reliable)) / (2 * reliable - 1), _DOUBT, 1 - _DOUBT)
    return np.asarray(expit(-logit(prior) - (votes[:, 0] - votes[:, 1]) * logit(reliable)))


def _reliability(agreement: float) -> tuple[float, bool]:
    """How reliable one answer is, and whether people's answers say so."""
    known = best_possible(agreement)
    measured = bool(np.isfinite(known) and known > 0.5)
    return float(np.clip(known if measured else ASSUMED, 0.55, SURE)), measured


def _expected(wrong: Floats) -> tuple[float, float, float]:
    """How many are wrong: interval and mean (a sum of independent coins)."""
    mean, spread = float(wrong.sum()), float(np.sqrt((wrong * (1 - wrong)).sum()))
    return max(0.0, mean - 1.96 * spread), min(float(len(wrong)), mean + 1.96 * spread), mean


def _top(wrong: Floats) -> list[dict[str, float]]:
    """How many of the first 10, 50, 100, 500 rows are expected to be wrong."""
    ordered = np.sort(wrong)[::-1]
    found = []
    for k in (10, 50, 100, 500):
        if k <= len(ordered):
            low, high, mean = _expected(ordered[:k])
            found.append({"k": k, "wrong": round(mean, 1), "low": low, "high": high})
    return found


def _sentence(rows: int, figures: dict[str, Any], accuracy: Estimate) -> str:
    seen = f"The model finds the choice in {told(accuracy)} on prompts that it has not seen"
    if not rows:
        return f"{seen}; it is never so sure of the other side that a choice looks wrong."
    known = figures["reliability_known"]
    assumed = "" if known else " (reliability of people assumed: nobody answered twice)"
    low, high = figures["expected_low"], figures["expected_high"]
    return (
        f"{seen}. {count(rows, 'choice')} {'is' if rows == 1 else 'are'} more probably wrong than "
        f"right{assumed}; of these, {low:.0f} to {high:.0f} are expected to be wrong. Look at them "
        "before leaving them out."
    )
