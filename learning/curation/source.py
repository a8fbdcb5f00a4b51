"""Whether the names of the models alone tell which response was chosen.

A reward model that finds out who wrote a response then needs to read nothing else. The names'
power is measured by a Bradley-Terry model over models, on prompts that it has not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from learning.card._trial import folds
from learning.curation._finding import (
    Finding,
    Floats,
    Ints,
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

MOST_MODELS: Final = 30  # in the table
_FOLDS: Final = 5
NAME: Final = "source"


def source(
    chosen: Sequence[str],
    rejected: Sequence[str],
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
) -> Finding:
    """Measure how well names alone tell chosen from rejected.

    Args:
        chosen: Who wrote the chosen response; empty where not known, ``n`` of them.
        rejected: Who wrote the other.
        groups: What must not be torn apart, such as the prompt, shape ``(n,)``.
        rng: Draws folds, the interval, and which rows leaving out takes.

    Returns:
        Where the interval of the accuracy lies above one half, leaving out takes rows at random
        until, of every two models, each wins as often: these are the rows concerned. The score of
        an example is the probability that the names give the chosen one.
    """
    n = len(chosen)
    member = np.unique(column(np.asarray(groups), "groups", n), return_inverse=True)[1]
    won, lost = column(np.asarray(chosen, object), "chosen", n), np.asarray(rejected, object)
    lost = column(lost, "rejected", n)
    at = np.flatnonzero((won != lost) & (won != "") & (lost != ""))
    names, number = np.unique(np.concatenate([won[at], lost[at]]).astype(str), return_inverse=True)
    number = number.reshape(2, -1)
    figures: dict[str, Any] = {"comparable": len(at), "models": len(names)}
    if not enough(len(at), member[at]):
        said = too_little(len(at), "between two known, different models", member[at])
        return Finding(NAME, 0, n, said, figures=figures)
    winner = _unseen(number, len(names), member[at], rng)
    hits = np.where(winner == 0.5, 0.5, winner > 0.5).astype(np.float64)
    accuracy = Estimate(float(hits.mean()), *bootstrap_interval(hits, member[at], rng=rng))
    figures |= {"accuracy": interval(accuracy), "win_rates": _rates(names, number, member[at], rng)}
    tells = accuracy.low > 0.5
    dropped = np.empty(0, np.int64)
    if tells:
        low, high = number.min(axis=0), number.max(axis=0)
        dropped = surplus(number[0] < number[1], low * len(names) + high, rng)
    drop = np.sort(at[dropped])
    return Finding(
        name=NAME,
        rows=len(drop),
        of=n,
        sentence=_sentence(accuracy, len(at), tells, len(drop)),
        examples=worst(at[dropped], winner[dropped]),
        drop=drop,
        figures=figures,
    )


def _unseen(number: Ints, models: int, member: Ints, rng: np.random.Generator) -> Floats:
    """The winner's probability by models' names, from the rows of other groups."""
    _, member = np.unique(member, return_inverse=True)
    fold = folds(member, _FOLDS, rng)[member]
    n = number.shape[1]
    sign = np.repeat([1.0, -1.0], n)
    table = csr_array((sign, (np.tile(np.arange(n), 2), number.ravel())), shape=(n, models))
    found = np.full(n, 0.5)
    for one in range(_FOLDS):
        tested = fold == one
        if tested.any() and not tested.all():
            found[tested] = _fitted(table[~tested], table[tested])
    return found


def _fitted(known: Any, asked: Any) -> Floats:
    """Bradley-Terry as a logistic regression without intercept, every row once from each side."""
    rows = known.shape[0]
    turned = np.where(np.arange(rows) % 2, -1.0, 1.0)
    model = LogisticRegression(C=10.0, fit_intercept=False, max_iter=500)
    if rows < 2:
        return np.full(asked.shape[0], 0.5)
    model.fit(known.multiply(turned[:, None]).tocsr(), turned > 0)
    return np.asarray(expit(asked @ model.coef_[0]))


def _rates(
    names: NDArray[Any], number: Ints, member: Ints, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """How often each model won, the most compared first."""
    size = np.bincount(number.ravel(), minlength=len(names))
    table = []
    for model in np.argsort(-size, kind="stable")[:MOST_MODELS].tolist():
        rows = (number == model).any(axis=0)
        won = (number[0] == model)[rows].astype(np.float64)
        share = Estimate(float(won.mean()), *bootstrap_interval(won, member[rows], rng=rng))
        table.append({"model": str(names[model]), "rows": int(rows.sum()), "won": interval(share)})
    return sorted(table, key=lambda one: -one["won"]["value"])


def _sentence(accuracy: Estimate, n: int, tells: bool, dropped: int) -> str:
    seen = f"in {told(accuracy)} of {n:,} rows between two known models"
    if not tells:
        return f"Models' names do not give the choice away: they name the chosen response {seen}."
    return (
        f"The models' names alone name the chosen response {seen}; 50 % would be chance. Leaving "
        f"out {count(dropped, 'row')} makes every two models win equally often."
    )
