"""People get a random part of the questions, the judge the others."""

from __future__ import annotations

import numpy as np

from learning.acquisition.base import NoConfig
from learning.routing.data import Budget, Decisions, Questions
from learning.routing.policies.base import (
    Knowledge,
    Policy,
    Wish,
    blocked,
    draw,
    settle,
    usual,
)


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: NoConfig,
) -> Decisions:
    """Draw as many questions for people as time pays: all of it is audit."""
    audit = draw(questions, budget, share=1.0, rng=rng)
    wish = Wish(
        order=rng.permutation(np.flatnonzero(blocked(questions, knowledge))),
        human="policy",
        judge="policy",
        unpaid="policy",
        may_judge=np.ones(len(questions), np.bool_),
        value=usual(questions),
    )
    return settle(questions, knowledge, budget, audit=audit, wish=wish)


METHOD = Policy(
    name="random_mix",
    summary=(
        "People get as many questions as their time pays for, drawn at random, and the judge the "
        "rest. Every answer of a person then also tells where the judge is wrong; with fusion "
        "this alone is hard to beat."
    ),
    config_type=NoConfig,
    decide=decide,
)
