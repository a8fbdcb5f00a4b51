"""People get what the judge is least sure of: two fixed cut-offs, as other tools have it."""

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
)


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: Audited,
) -> Decisions:
    """Send the least confident answers to people, equal ones in random order."""
    audit = draw_audit(questions, knowledge, budget, config, rng=rng)
    doubt = 1.0 - questions.signs.confidence
    doubt = np.where(blocked(questions, knowledge), 1.0, doubt)
    wish = Wish(
        order=np.lexsort((rng.random(len(doubt)), -doubt)),
        human="confidence",
        judge="confidence",
        unpaid="confidence",
        may_judge=np.ones(len(questions), np.bool_),
        value=doubt,
    )
    return settle(questions, knowledge, budget, audit=audit, wish=wish)


METHOD = Policy(
    name="judge_confidence",
    summary=(
        "People get the questions that the judge is least sure of. Simple, and as good as the "
        "judge's confidence: a judge that is wrong and sure of it is never asked about."
    ),
    config_type=Audited,
    decide=decide,
)
