"""A campaign in memory: what was asked and said, what is known by now, what it cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from learning import heads
from learning.data import Belief, Comparisons, Pool
from learning.routing.data import HUMAN, JUDGE, Budget, Questions, Signs
from learning.routing.deviation import LEAST, Deviation, find
from learning.routing.error import fit_error, human_error
from learning.routing.guarantee import Calibration
from learning.routing.policies import AUDIT_SHARE, PILOT, Knowledge, get
from learning.routing.replay.plan import PURE, Plan
from learning.routing.replay.worlds import JudgedWorld
from learning.routing.source import Labels, learn
from learning.routing.value import worth_asking

Ints = NDArray[np.int64]
Outcomes = NDArray[np.int8]

_POOL, _REVEAL, _ROUTE = 11, 12, 13  # streams of one seed
_TWICE: Final = 0.3  # of the audit's share of people's time: to ask a second person
_PILOT_SHARE: Final = 0.5  # of a small budget that people's answers to the pilot may take


class Session:
    """One policy spending one budget on one world. Questions are places in ``pool``.

    Attributes:
        pool: Pairs of the world that there are to ask, ascending, shape ``(n,)``.
        signs: What the judge said of them; nothing where it was not asked.
        asked: Questions that a person answered, in order.
        twice: Those of them that a second person answered.
        audit: Which are in the random audit, shape ``(n,)``.
        stands: Where the judge's answer stood after the last round, shape ``(n,)``.
        cost: What was spent, in answers of a person.
    """

    def __init__(
        self,
        world: JudgedWorld,
        plan: Plan,
        label: str,
        *,
        budget: float,
        seed: int,
        train: Ints,
    ) -> None:
        self.world, self.plan, self.budget = world, plan, budget
        self.policy, self.config = get(label.partition(":")[0]), plan.config.get(label)
        lot = np.random.default_rng([seed, _POOL])
        self.pool = np.sort(lot.permutation(train)[: plan.pool])
        self.pairs = world.world.pairs[self.pool]
        self.first, self.second = self._reveal(np.random.default_rng([seed, _REVEAL]))
        self.rng = np.random.default_rng([seed, _ROUTE])
        self.head = heads.get(plan.head_of(world))
        self.recurring = heads.recurring(self.pairs)
        self.asked = np.empty(0, dtype=np.int64)
        self.twice = np.empty(0, dtype=np.int64)
        self.audit = np.zeros(len(self.pool), np.bool_)
        self.stands = np.zeros(len(self.pool), np.bool_)
        self.signs = self._unjudged()
        self.price = plan.judge_cost * world.calls
        self.to_judge = self._may_be_judged()
        self.cost = 0.0
        self.watched = self.policy.name not in PURE
        self.deviation = Deviation()
        self.belief: Belief | None = None
        self.knowledge = self._find_out()

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which questions a person has answered, shape ``(n,)``."""
        return np.isin(np.arange(len(self.pool)), self.asked)

    def spend(self) -> None:
        """Spend the budget: on a pilot, then round by round on the judge and on people."""
        if self.watched:
            self._pilot()
        for share in self.plan.shares:
            rest = max(self.budget - self.cost, 0.0)
            asks = self.asks_judge
            wanted = len(self.to_judge) if asks else 0
            if self.price:
                wanted = min(wanted, int(rest / self.price + 1e-9))
            stage = int(np.ceil(wanted * share))
            self._ask_judge(stage)
            self.cost += self.price * stage
            alone = self.policy.name == "all_judge"
            people = 0.0 if alone else max(rest - self.price * wanted, 0.0)
            self.cost += self._round(people * share, people_only=not asks)

    @property
    def asks_judge(self) -> bool:
        """Whether what is left is better spent on the judge than on people."""
        if not self.watched:
            return self.policy.needs_judge
        signs = self.signs.subset(np.flatnonzero(self.audit))
        return not self.deviation.doubtful and worth_asking(
            self.knowledge.error.predict(signs),
            signs.answered & ~signs.inconsistent,
            human=self.knowledge.human.value,
            price=self.price,
        )

    def _pilot(self) -> None:
        """Ask the judge and people about the same questions, drawn at random."""
        wanted = getattr(self.policy.parse_config(self.config), "pilot", PILOT)
        most = int(self.budget / (1.0 + self.price + _TWICE * AUDIT_SHARE))
        size = min(wanted, max(LEAST, int(self.budget * _PILOT_SHARE)), most)
        self.cost += self._double(size)
        self.knowledge = self._find_out()

    def _double(self, size: int) -> float:
        """Ask people and the judge about so many questions, drawn at random; return the cost."""
        self.to_judge = self.to_judge[~self.answered[self.to_judge]]
        rows = np.sort(self.to_judge[:size])
        self._ask_judge(size)
        self.asked = np.concatenate([self.asked, rows])
        self.audit[rows] = True
        second = self._second(rows, int(_TWICE * AUDIT_SHARE * size))
        return (1.0 + self.price) * len(rows) + second

    def _second(self, audited: Ints, most: int) -> int:
        """Ask a second person about some audited questions; returns how many."""
        several = self.world.world.answers.count[self.pool[audited]] > 1
        second = self.rng.permutation(audited[several])[:most]
        self.twice = np.concatenate([self.twice, second])
        return len(second)

    def learn(self) -> tuple[Belief, str]:
        """Fit the last head; return it with what it was fitted on."""
        labels = self._labels()
        features = self.world.world.features
        if self.policy.name in PURE or self.plan.learning == "overwrite":
            taken = labels.human | ~self.answered[labels.question]
            said = labels.comparisons.subset(taken)
            return self.head.fit(features, said, recurring=self.recurring), "as it is"
        found = learn(
            features,
            labels,
            human=self.knowledge.human.value,
            rng=self.rng,
            head=self.head,
            start=self.belief,
            recurring=self.recurring,
        )
        return found.belief, found.source

    def _reveal(self, rng: np.random.Generator) -> tuple[Outcomes, Outcomes]:
        """Two people's answers to each question, drawn in advance; the same one if there is one."""
        answers = self.world.world.answers
        start, count = answers.start[self.pool], answers.count[self.pool]
        lot = np.floor(rng.random(len(self.pool)) * count).astype(np.int64)
        return answers.outcome[start + lot], answers.outcome[start + (lot + 1) % count]

    def _unjudged(self) -> Signs:
        """What is known of the questions before the judge is asked."""
        signs = self.world.signs.subset(self.pool)
        n = len(self.pool)
        return replace(signs, probability=np.full(n, np.nan), inconsistent=np.zeros(n, np.bool_))

    def _may_be_judged(self) -> Ints:
        """Questions that there is an answer of the judge to, in random order."""
        known = np.flatnonzero(~np.isnan(self.world.signs.probability[self.pool]))
        return self.rng.permutation(known)[: len(known) if self.policy.needs_judge else 0]

    def _ask_judge(self, stage: int) -> None:
        now, self.to_judge = self.to_judge[:stage], self.to_judge[stage:]
        probability, inconsistent = self.signs.probability.copy(), self.signs.inconsistent.copy()
        probability[now] = self.world.signs.probability[self.pool[now]]
        inconsistent[now] = self.world.signs.inconsistent[self.pool[now]]
        self.signs = replace(self.signs, probability=probability, inconsistent=inconsistent)

    def _round(self, share: float, *, people_only: bool) -> float:
        """Route what no person has answered yet; return what people cost."""
        cost = 0.0
        if people_only and self.watched and not self.deviation.other_taste:
            cost = self._double(int(AUDIT_SHARE * share / (1.0 + self.price)))
        asked = ~np.isnan(self.signs.probability)
        open_ = np.flatnonzero(~self.answered & (asked | people_only))
        again = 0 if people_only else int(np.ceil(_TWICE * AUDIT_SHARE * share))
        policy = get("all_human") if people_only else self.policy
        found = policy.route(
            self._questions(open_),
            self.knowledge,
            Budget(seconds=max(share - cost - again, 0.0)),
            rng=self.rng,
            config=None if people_only else self.config,
        )
        self.asked = np.concatenate([self.asked, open_[found.human]])
        audited = open_[found.audit]
        self.audit[audited] = True
        second = self._second(audited, again)
        if not people_only:  # what a judge said before stays in the fit
            self.stands[:] = False
            self.stands[open_[found.who == JUDGE]] = True
        self.knowledge = self._find_out()
        return cost + float((found.who == HUMAN).sum() + second)

    def _questions(self, rows: Ints) -> Questions:
        prompt = self.world.world.prompt[self.pool[rows]]
        pool = Pool.of(self.world.world.features, self.pairs[rows], prompt=prompt)
        return Questions.of(pool, self.signs.subset(rows))

    def _find_out(self) -> Knowledge:
        """Learn about people and the judge from the audit, and refit the head for choosing."""
        people = human_error(self.first[self.twice], self.second[self.twice])
        rows = np.flatnonzero(self.audit & self.signs.answered & (self.first != 0))
        wrong = self.first[rows] != self.signs.outcome[rows]
        error = fit_error(self.signs.subset(rows), wrong.astype(float), human=people.value)
        usable = ~self.signs.inconsistent[rows]
        calibration = Calibration(self.signs.confidence[rows][usable], wrong[usable])
        self.knowledge = Knowledge(error=error, human=people, calibration=calibration)
        if len(self.asked) and self.policy.name not in PURE:
            labels = self._labels()
            self.deviation, self.belief = find(
                self.world.world.features,
                labels.comparisons,
                labels.epsilon,
                labels.human,
                head=self.head,
                recurring=self.recurring,
            )
        return replace(self.knowledge, belief=self.belief)

    def _labels(self) -> Labels:
        """Everything that was said, with its chance of being wrong.

        A judge that named no winner, or another one in the other order, said nothing.
        """
        clear = self.signs.answered & ~self.signs.inconsistent
        heard = np.flatnonzero((self.stands | self.answered) & clear)
        error = self.knowledge.error.predict(self.signs.subset(heard))
        people = len(self.asked) + len(self.twice)
        said = [self.first[self.asked], self.second[self.twice], self.signs.outcome[heard]]
        question = np.concatenate([self.asked, self.twice, heard])
        left, right = self.pairs[question].T
        return Labels(
            comparisons=Comparisons.of(left, right, np.concatenate(said)),
            epsilon=np.concatenate([np.full(people, self.knowledge.human.value), error]),
            question=question,
            human=np.arange(len(question)) < people,
            audit=self.audit[question],
        )
