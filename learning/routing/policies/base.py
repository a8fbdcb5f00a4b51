"""The one signature of all policies, and how a batch is paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from learning import options
from learning.data import Belief
from learning.routing.data import HUMAN, JUDGE, WAIT, Budget, Decisions, Questions
from learning.routing.error import NO_LABEL, ErrorModel, HumanError
from learning.routing.guarantee import Calibration

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

AUDIT_SHARE: Final = 0.15  # of people's time at least, whatever a policy would rather do
PILOT: Final = 100


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Knowledge:
    """What the campaign has found out by now.

    Attributes:
        error: Where the judge is wrong, from the audit.
        belief: The head for choosing: of :func:`learning.routing.fusion.weighted` labels, so
            that its uncertainty is honest. ``None`` before the first fit.
        human: People's error.
        calibration: Confidence and errors of audited questions that no rule keeps from the
            judge, for guarantees.
        drifted: The judge got worse: nothing is left to it.
    """

    error: ErrorModel
    belief: Belief | None = None
    human: HumanError
    calibration: Calibration = field(default_factory=Calibration.none)
    drifted: bool = False

    def errors(self, questions: Questions) -> Doubles:
        """Return P(the judge is wrong) of each question; 1/2 where its answer may not be used."""
        return np.where(blocked(questions, self), NO_LABEL, self.error.predict(questions.signs))


class Decide(Protocol):
    """Routes a batch of questions. Pure: equal arguments and generator state, equal decisions."""

    def __call__(
        self,
        questions: Questions,
        knowledge: Knowledge,
        budget: Budget,
        *,
        rng: np.random.Generator,
        config: Any,
    ) -> Decisions:
        """Return who answers each question, and why."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A routing policy with what people need to choose it.

    Attributes:
        name: Name in the registry, in configurations and with every decision.
        summary: One paragraph for a researcher.
        config_type: Frozen dataclass of its options.
        decide: The function.
        needs_judge: It is of no use without a judge's answers.
    """

    name: str
    summary: str
    config_type: type[Any]
    decide: Decide
    needs_judge: bool = True

    def parse_config(self, given: Mapping[str, Any] | None = None) -> Any:
        """Return options from plain JSON values, missing ones at their defaults.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range.
        """
        return options.read(self.config_type, given, self.name)

    def route(
        self,
        questions: Questions,
        knowledge: Knowledge,
        budget: Budget,
        *,
        rng: np.random.Generator,
        config: Mapping[str, Any] | None = None,
    ) -> Decisions:
        """Route a batch with options as plain values.

        Raises:
            ConfigError: an option is not valid.
        """
        return self.decide(questions, knowledge, budget, rng=rng, config=self.parse_config(config))


@dataclass(frozen=True, slots=True)
class Audited:
    """Options of policies that leave questions to the judge."""

    audit: float = options.option(
        AUDIT_SHARE,
        "Part of people's time for questions drawn at random. Only they tell where the judge is "
        "wrong, so there is no doing without them.",
        low=AUDIT_SHARE,
        high=1.0,
    )
    pilot: int = options.option(
        PILOT,
        "Questions drawn at random that people and the judge have to decide before it is asked "
        "about others. With fewer it is not known where it is wrong and whether its taste is "
        "people's, and learning from its answers can go astray.",
        low=0,
        high=100_000,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What a policy would like, before anything is paid for.

    Attributes:
        order: Questions for people, most wanted first. Those not named are not wanted.
        human: Reason of a question that goes to a person by this order.
        judge: Reason of a question that is left to the judge though a person was not wanted.
        unpaid: Reason of a wanted question that the judge gets, because time ran out.
        may_judge: Where the policy accepts the judge's answer, shape ``(n,)``; elsewhere a
            question waits if no person can be paid.
        value: What the order is by, shape ``(n,)``.
    """

    order: Ints
    human: str
    judge: str
    unpaid: str
    may_judge: Flags
    value: Doubles


def rules(questions: Questions, knowledge: Knowledge) -> list[str]:
    """Return the hard rule that keeps each question from the judge, or nothing.

    Where several apply: safety, drift, no usable answer, relation, inconsistency, a tie.
    """
    signs = questions.signs
    reason = np.full(len(questions), "", dtype=object)
    reason[~signs.answered] = "undecided"
    reason[signs.inconsistent] = "inconsistent"
    reason[questions.related] = "related"
    reason[np.isnan(signs.probability)] = "no_judge"
    if knowledge.drifted:
        reason[:] = "drift"
    reason[questions.safety] = "safety"
    return [str(one) for one in reason]


def blocked(questions: Questions, knowledge: Knowledge) -> Flags:
    """Return where a hard rule keeps the judge out, shape ``(n,)``."""
    return np.array([bool(rule) for rule in rules(questions, knowledge)], dtype=np.bool_)


def draw_audit(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    config: Audited,
    *,
    rng: np.random.Generator,
) -> Ints:
    """Draw the audit: a simple random sample of *all* questions, ascending.

    As many as cost, on average, the share of people's time, rounded up, and until the pilot
    is through as many as are missing. Time without limit is that of all questions.
    """
    missing = max(config.pilot - knowledge.error.rows, 0)
    return draw(questions, budget, share=config.audit, least=missing, rng=rng)


def draw(
    questions: Questions,
    budget: Budget,
    *,
    share: float,
    least: int = 0,
    rng: np.random.Generator,
) -> Ints:
    """Draw a share of people's time, and at least so many questions if time pays them."""
    n = len(questions)
    if not n:
        return np.empty(0, dtype=np.int64)
    mean = float(questions.seconds.mean())
    seconds = min(budget.seconds, float(questions.seconds.sum()))
    room = int(np.floor(seconds / mean + 1e-9))  # so many that the budget pays, on average
    wanted = max(int(np.ceil(share * seconds / mean - 1e-9)), least)
    return np.sort(rng.choice(n, size=min(wanted, room, n), replace=False))


def settle(
    questions: Questions,
    knowledge: Knowledge,
    budget: Budget,
    *,
    audit: Ints,
    wish: Wish,
) -> Decisions:
    """Pay for a policy's wishes within the budgets.

    People's time goes to the audit first, so that there always is one, then to safety
    questions, then down the order. What a hard rule keeps from the judge, the policy does not
    accept it for, or money does not pay, waits when time runs out; all else is left to the
    judge.
    """
    n = len(questions)
    ruled = rules(questions, knowledge)
    safety = [i for i in range(n) if ruled[i] == "safety"]
    till = _Till(questions, budget)
    for first in (audit, safety, wish.order):
        till.pay_people(first)
    wanted = np.zeros(n, np.bool_)
    wanted[wish.order] = True
    sampled = np.zeros(n, np.bool_)
    sampled[audit] = True
    sampled &= till.who == HUMAN
    reason = [""] * n
    for i in range(n):
        if till.who[i] == HUMAN:
            reason[i] = ruled[i] or ("audit" if sampled[i] else wish.human)
        elif ruled[i] or not wish.may_judge[i] or not till.pay_judge(i):
            reason[i] = "budget"
        else:
            reason[i] = wish.unpaid if wanted[i] else wish.judge
    chance = len(audit) / n if n else 0.0
    return Decisions(
        who=till.who,
        reason=tuple(reason),
        audit=sampled,
        error=knowledge.errors(questions),
        value=wish.value,
        propensity=np.where((till.who == HUMAN) & ~sampled, 1.0, chance),
        seconds=budget_spent(till.seconds),
        money=budget_spent(till.money),
    )


def budget_spent(parts: Sequence[float]) -> float:
    """Return the sum of what was paid."""
    return float(np.sum(parts)) if len(parts) else 0.0


class _Till:
    """Pays while there is something left; a question too dear does not stop cheaper ones."""

    def __init__(self, questions: Questions, budget: Budget) -> None:
        self.questions, self.left = questions, budget
        self.who = np.full(len(questions), WAIT, dtype=np.int8)
        self.seconds: list[float] = []
        self.money: list[float] = []

    def pay_people(self, order: Sequence[int] | Ints) -> None:
        for i in order:
            price = float(self.questions.seconds[i])
            if self.who[i] != HUMAN and price <= self.left.seconds * (1 + 1e-12):
                self.left = self.left.minus(price, 0.0)
                self.who[i] = HUMAN
                self.seconds.append(price)

    def pay_judge(self, i: int) -> bool:
        price = float(self.questions.money[i])
        if price > self.left.money * (1 + 1e-12):
            return False
        self.left = self.left.minus(0.0, price)
        self.who[i] = JUDGE
        self.money.append(price)
        return True


def usual(questions: Questions) -> Doubles:
    """Return zeros: the value of a person's answer to policies that see none; ``(n,)``."""
    return np.zeros(len(questions))
