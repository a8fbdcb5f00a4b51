"""One replay: a policy spends a budget on a judge and on people, and a head learns from both."""

from __future__ import annotations

from dataclasses import dataclass

from learning import metrics
from learning.errors import NotEnoughData
from learning.replay.folds import split
from learning.routing.replay.plan import Plan
from learning.routing.replay.session import Session
from learning.routing.replay.worlds import JudgedWorld


@dataclass(frozen=True, slots=True)
class Run:
    """One world, one policy, one budget, one seed.

    Attributes:
        file: Name of the world.
        policy: Label of the policy: its name, or ``NAME:WORD`` with other options.
        budget: What could be spent, in answers of a person.
        seed: What decided test side, answers and draws.
        accuracy: Of the head on the gold of held-out pairs.
        log_loss: On the same, in nats.
        cost: What was spent, audit and both orders of the judge included.
        human_share: Questions with an answer of a person among those with any.
        people: Answers of people, second ones included.
        audited: Questions in the random audit.
        source: What the head was fitted on in the end.
        judge_error: Share of errors, by gold, among the judge's answers that stood, if any
            did.
        tested: Held-out pairs.
    """

    file: str
    policy: str
    budget: float
    seed: int
    accuracy: float
    log_loss: float
    cost: float
    human_share: float
    people: int
    audited: int
    source: str
    judge_error: float | None
    tested: int


def play(world: JudgedWorld, plan: Plan, policy: str, budget: float, seed: int) -> Run:
    """Spend a budget by one policy and measure what was learnt.

    All policies meet the same test side, questions and answers for the same seed.

    Raises:
        ConfigError: unknown policy or options.
        NotEnoughData: the world cannot be split, or nothing is left to test on.
    """
    train, test = split(world.world, plan.folds, seed)
    test = test[world.gold[test] != 0]
    if not len(test):
        raise NotEnoughData(f"{world.name}: people agree on no held-out pair with seed {seed}")
    session = Session(world, plan, policy, budget=budget, seed=seed, train=train)
    session.spend()
    belief, source = session.learn()
    mu, s2 = belief.margin(world.world.features, world.world.pairs[test])
    p = belief.preference(mu, s2)
    gold = world.gold[session.pool]
    stood = session.stands & (gold != 0)
    wrong = session.signs.outcome[stood] != gold[stood]
    heard = int((session.answered | session.stands).sum())
    return Run(
        file=world.name,
        policy=policy,
        budget=budget,
        seed=seed,
        accuracy=metrics.accuracy(p, world.gold[test]),
        log_loss=metrics.log_loss(p, world.gold[test]),
        cost=session.cost,
        human_share=len(session.asked) / max(heard, 1),
        people=len(session.asked) + len(session.twice),
        audited=int(session.audit.sum()),
        source=source,
        judge_error=float(wrong.mean()) if stood.any() else None,
        tested=len(test),
    )
