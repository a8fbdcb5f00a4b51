"""Linear heads on a model's features: where training begins, and how far they may be trusted after.

Before training: the scalar head starts at the Laplace head fitted on the frozen features, so that
step 0 knows what they tell and the first steps do not tear them apart (linear probing, then fine
tuning: Kumar et al. 2022, arXiv:2202.10054).

After it: features that were trained on the labels separate these very labels too well, and the
evidence of a head refitted on them believes what it sees. The prior precision is therefore chosen
by labels that the features were not trained on.

The scalar head that leaves with the model is too sure of itself for the same reason. Its
temperature (Guo et al. 2017, arXiv:1706.04599, section 4.2) is found on the same held-out labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit

from learning.data import Comparisons
from learning.heads import LinearBT
from learning.heads._likelihood import AnswerModel
from learning.metrics import log_loss
from learning.scaling import Standardizer

PRECISIONS: Final = tuple(float(one) for one in np.logspace(-2.0, 4.0, 13))
_GAIN: Final = 1e-3  # nats a label that a fixed precision has to save over the evidence's own
_USUAL, _SPREAD = 0.5, 0.6  # decades: where it was best on 200 to 5 000 labels of four files
_FEWEST: Final = 30  # decisive labels, for a temperature
_TEMPERATURES: Final = (0.05, 20.0)


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """A scalar head and an answer model fitted on frozen features.

    Attributes:
        weight: Shape ``(d,)``, of the features as they are.
        bias: Centres rewards; cancels in every margin.
        answers: How margins become answers.
    """

    weight: NDArray[np.float64]
    bias: float
    answers: AnswerModel


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One fold: features of a model, labels it was trained on, and labels it was not.

    Attributes:
        features: One row a response that occurs in either, shape ``(m, d)``.
        surface: What heads see beside them, shape ``(m, s)``.
        train, test: Comparisons whose rows point into ``features``.
    """

    features: NDArray[np.float32]
    surface: NDArray[np.float32]
    train: Comparisons
    test: Comparisons


def probe(
    features: NDArray[np.floating[Any]], data: Comparisons, *, tie: float | None = None
) -> Probe:
    """Fit the Laplace head on features and undo their scaling.

    Args:
        features: One row a response, shape ``(m, d)``.
        data: Comparisons whose rows point into them, at least one.
        tie: Fix Davidson's ``nu`` instead of estimating it.
    """
    scaling = Standardizer.fit(features, None, data.pairs)
    belief = LinearBT(tie=tie).fit(scaling.transform(features, None), data)
    weight = belief.theta / scaling.scale  # 0 where a feature does not vary
    answers = AnswerModel(belief.tie, belief.strength_slope, belief.strength_cuts)
    return Probe(weight, -float(weight @ scaling.mean), answers)


def prior_precision(
    folds: Sequence[Held], *, tie: float | None = None, tick: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Find the prior precision under which heads refitted on the features predict new labels best.

    Each fold's head is fitted on the labels that its features were trained on, once under every
    precision of ``PRECISIONS`` and once under the evidence's own, and asked about the others. Few
    labels tell precisions apart badly, so their likelihood counts beside a log-normal prior: about
    3, and seldom beyond 0.2 and 50.

    Args:
        folds: What each fold's model made of its texts.
        tie: Fix Davidson's ``nu`` instead of estimating it.
        tick: Called before every fit.

    Returns:
        ``prior_precision``, ``None`` where the evidence does as well within 0.001 nats a label;
        ``evidence_log_loss`` and ``log_loss``: out of fold, of the evidence's own and of the chosen
        fixed one, in nats, over all decisive labels held out.
    """
    held = [fold for fold in folds if fold.test.decisive.any() and len(fold.train)]
    if not held:
        return {"prior_precision": None, "evidence_log_loss": None, "log_loss": None}
    choices: tuple[float | None, ...] = (None, *PRECISIONS)
    found, used = np.zeros(len(choices)), np.zeros(len(choices))
    for fold in held:
        both = np.concatenate([fold.train.pairs, fold.test.pairs])
        scaling = Standardizer.fit(fold.features, fold.surface, both)
        phi = scaling.transform(fold.features, fold.surface)
        count = int(fold.test.decisive.sum())
        for place, precision in enumerate(choices):
            tick()
            belief = LinearBT(tie=tie).fit(phi, fold.train, prior_precision=precision)
            p = belief.preference(*belief.margin(phi, fold.test.pairs))
            found[place] += count * log_loss(p, fold.test.outcome)
            used[place] += np.log10(belief.prior_precision) / len(held)
    labels = sum(int(fold.test.decisive.sum()) for fold in held)
    unlikely = found + 0.5 * np.square((used - _USUAL) / _SPREAD)  # minus the log posterior
    best = 1 + int(np.argmin(unlikely[1:]))
    chosen = choices[best] if unlikely[best] < unlikely[0] - labels * _GAIN else None
    return {
        "prior_precision": chosen,
        "evidence_log_loss": float(found[0] / labels),
        "log_loss": float(found[best] / labels),
    }


def temperature(margin: NDArray[np.floating[Any]], outcome: NDArray[np.integer[Any]]) -> float:
    """Find what margins are to be divided by to be the log odds of a win.

    Args:
        margin: Of labels that the model was not trained on, in logits, shape ``(n,)``.
        outcome: 1 where left won, -1 where right did, 0 for a tie, which says nothing here.

    Returns:
        What makes the decisive ones most probable, from 0.05 to 20; 1 where fewer than 30 are.
    """
    decisive = outcome != 0
    if int(decisive.sum()) < _FEWEST:
        return 1.0
    margin, outcome = margin[decisive], outcome[decisive]
    low, high = np.log(_TEMPERATURES)
    found = minimize_scalar(
        lambda log: log_loss(expit(margin / np.exp(log)), outcome),
        bounds=(low, high),
        method="bounded",
    )
    return float(np.exp(found.x))
