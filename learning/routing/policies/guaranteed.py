"""The judge's answers stand only where their errors are bounded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from learning.options import option
from learning.routing.data import Budget, Decisions, Questions
from learning.routing.guarantee import threshold
from learning.routing.policies.base import (
    Audited,
    Knowledge,
    Policy,
    Wish,
    blocked,
    draw_audit,
    settle,
)


@dataclass(frozen=True, slots=True)
class Config(Audited):
    """Options of ``guaranteed``."""

    alpha: float = option(
        0.2, "Largest share of judge answers that people would contradict.", low=0.001, high=0.5
    )
    delta: float = option(
        0.1, "Chance that the promise is broken all the same.", low=0.001, high=0.5
    )


def decide(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    rng: np.random.Generator,
    config: Config,
) -> Decisions:
    """Let answers above the certified threshold stand; the others go to people, or wait."""
    audit = draw_audit(questions, knowledge, budget, config, rng=rng)
    confidence = questions.signs.confidence
    open_ = ~blocked(questions, knowledge)
    found = threshold(
        knowledge.calibration, confidence[open_], alpha=config.alpha, delta=config.delta
    )
    doubt = 1.0 - confidence
    stands = open_ & (confidence >= found.least)
    order = np.lexsort((rng.random(len(doubt)), -doubt))
    wish = Wish(
        order=order[~stands[order]],
        human="confidence",
        judge="confidence",
        unpaid="confidence",
        may_judge=stands,
        value=doubt,
    )
    return settle(questions, knowledge, budget, audit=audit, wish=wish)


METHOD = Policy(
    name="guaranteed",
    summary=(
        "The judge's answers stand only above a confidence at which, by the audit, at most a "
        "given share of them is wrong, with a given certainty. Everything else goes to people "
        "and waits when their time runs out. For data whose quality has to be stated; with few "
        "audited questions nothing can be promised, and everything goes to people."
    ),
    config_type=Config,
    decide=decide,
)
