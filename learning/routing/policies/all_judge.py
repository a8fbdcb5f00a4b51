"""The judge answers everything that no rule keeps from it."""

from __future__ import annotations

import numpy as np

from learning.routing.data import Budget, Decisions, Questions
from learning.routing.policies.base import (
    Audited,
    Knowledge,
    Policy,
    Wish,
    blocked,
    draw_audit,
    settle,
    usual,
)


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: Audited,
) -> Decisions:
    """Leave questions to the judge; people get the audit's share of time, and what rules say."""
    ruled = np.flatnonzero(blocked(questions, knowledge))
    wish = Wish(
        order=rng.permutation(ruled),
        human="policy",
        judge="policy",
        unpaid="policy",
        may_judge=np.ones(len(questions), np.bool_),
        value=usual(questions),
    )
    audit = draw_audit(questions, knowledge, budget, config, rng=rng)
    return settle(questions, knowledge, budget, audit=audit, wish=wish)


METHOD = Policy(
    name="all_judge",
    summary=(
        "The judge answers every question that no rule keeps from it; people answer the audit "
        "and the rest. The cheapest labels, and as wrong as the judge is."
    ),
    config_type=Audited,
    decide=decide,
)
