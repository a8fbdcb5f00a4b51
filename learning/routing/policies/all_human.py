"""People answer everything: the pure source that routing has to beat."""

from __future__ import annotations

import numpy as np

from learning.acquisition.base import NoConfig
from learning.routing.data import Budget, Decisions, Questions
from learning.routing.policies.base import Knowledge, Policy, Wish, settle, usual


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: NoConfig,
) -> Decisions:
    """Send questions to people in random order; what time does not pay for waits."""
    n = len(questions)
    wish = Wish(
        order=rng.permutation(n),
        human="policy",
        judge="policy",
        unpaid="budget",
        may_judge=np.zeros(n, np.bool_),
        value=usual(questions),
    )
    return settle(questions, knowledge, budget, audit=np.empty(0, np.int64), wish=wish)


METHOD = Policy(
    name="all_human",
    summary=(
        "People answer every question. What to compare with, and what to do where judges may "
        "not be used."
    ),
    config_type=NoConfig,
    decide=decide,
    needs_judge=False,
)
