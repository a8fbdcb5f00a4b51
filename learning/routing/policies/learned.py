"""People get what is worth their time: error of the judge times information over seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from learning import design
from learning.acquisition.base import kappa_weight
from learning.data import Belief
from learning.options import option
from learning.routing.data import Budget, Decisions, Questions
from learning.routing.policies.base import (
    Audited,
    Knowledge,
    Policy,
    Wish,
    draw_audit,
    settle,
    usual,
)
from learning.routing.value import advantage, human_value

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Config(Audited):
    """Options of ``learned``."""

    floor: float = option(
        0.3,
        "Least advantage of a person over the judge, as a share of that over no judge at all. "
        "Above 0 people are asked although the judge seems as good: that is a guess, and their "
        "answer adds to the judge's.",
        low=0.0,
        high=1.0,
    )


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Decisions:
    """Send the questions of most value per second to people, as a batch.

    Chosen one after the other: each pick takes what it tells off the value of questions like
    it, by a rank-one update of the head's covariance. Without a head, in random order.
    """
    audit = draw_audit(questions, knowledge, budget, config, rng=rng)
    error, human = knowledge.errors(questions), knowledge.human.value
    if knowledge.belief is None:
        order, value = rng.permutation(len(questions)), usual(questions)
    else:
        mu, s2 = knowledge.belief.margin(questions.pool)
        value = human_value(mu, s2, error=error, human=human, seconds=questions.seconds)
        share = np.maximum(advantage(error, human), config.floor * (1.0 - 2.0 * human) ** 2)
        rest = np.ones(len(questions), np.bool_)
        rest[audit] = False
        batch = _affordable(questions, budget, audit)
        order = _greedy(questions, knowledge.belief, np.flatnonzero(rest), batch, share, rng=rng)
    wish = Wish(
        order=order,
        human="value",
        judge="value",
        unpaid="budget",
        may_judge=np.ones(len(questions), np.bool_),
        value=value,
    )
    return settle(questions, knowledge, budget, audit=audit, wish=wish)


def _affordable(questions: Questions, budget: Budget, audit: Ints) -> int:
    """Return how many questions time could pay beside the audit, were they the shortest."""
    left = budget.seconds - float(questions.seconds[audit].sum())
    reach = np.cumsum(np.sort(questions.seconds))
    return int(np.searchsorted(reach, left * (1 + 1e-12), side="right"))


def _greedy(
    questions: Questions,
    belief: Belief,
    rows: Ints,
    batch: int,
    share: Doubles,
    *,
    rng: np.random.Generator,
) -> Ints:
    """Return rows in the order of choice, by variance times weight times share over seconds."""
    rows = rows[share[rows] > 0]
    worth = np.maximum(share, 1e-12) / questions.seconds
    pool = replace(questions.pool, rate=worth)

    def value(weight: Doubles, q: Doubles) -> Doubles:
        return np.asarray(weight * q)

    found = design.greedy(pool, belief, rows, batch, rng=rng, weigh=kappa_weight, value=value)
    return found.indices


METHOD = Policy(
    name="learned",
    summary=(
        "People get the questions on which their answer is worth most per second: where the "
        "head knows little and the audit says that the judge is often wrong. The audit finds "
        "weak spots that the judge itself is sure about. The default."
    ),
    config_type=Config,
    decide=decide,
)
