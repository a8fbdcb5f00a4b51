"""Asking many questions at once, with a limit, a way to stop, and every result told once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from learning.judges.base import Ask, Call, Judge
from learning.judges.errors import Cancelled, JudgeError, SpendLimit
from learning.judges.forms import Order
from learning.judges.limits import Budget, Stop
from learning.judges.swapping import Judgement, judge

PATIENCE: Final = 5
_UnderWay: TypeAlias = "dict[Future[Judgement], tuple[Question, Decimal]]"


@dataclass(frozen=True, slots=True)
class Question:
    """One question with the name by which the caller knows it.

    Attributes:
        key: Anything that names it.
        ask: The question.
        order: The display order drawn for it; the reverse is asked, too.
    """

    key: Hashable
    ask: Ask
    order: Order


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a question.

    Attributes:
        key: Its name.
        judgement: With a verdict, or with the error that kept the judge from one.
        left: It was not answered for a reason that is not its own (the endpoint, the limit,
            a stop): ask it again another time.
    """

    key: Hashable
    judgement: Judgement
    left: bool


@dataclass(slots=True)
class Report:
    """How a run went; complete once it has been read to its end.

    Attributes:
        asked: Questions that were given.
        answered: With a verdict, or with a clear contradiction between the two orders.
        failed: Asked, and no verdict for a reason of their own (refused, malformed, too long).
        stopped: What ended the run early, if anything did.
    """

    asked: int
    answered: int = 0
    failed: int = 0
    stopped: JudgeError | None = None

    @property
    def left(self) -> int:
        """Questions to ask another time."""
        return self.asked - self.answered - self.failed


@dataclass(slots=True)
class Run:
    """A run; iterate over it once. Results come in the order in which they are complete.

    Everything but the calls themselves happens in the iterating thread: ``keep`` may use its
    database connection. Whatever ends the iteration, also a ``break`` or an error in the loop,
    what is under way is waited for and kept, since it has been paid for.

    The run ends early at an error that the next question would meet, too (a wrong key, no such
    model), after ``patience`` questions in a row to which the endpoint gave no answer, at the
    spend limit, and when ``stop`` is set.

    Attributes:
        who: The judge.
        questions: What to ask. To go on with a run that was cut short, pass what is unanswered.
        workers: Questions under way at once.
        keep: Gets every result, before it is yielded.
        told: Gets every call as soon as it was made, from the thread that made it.
        budget: The one that the judge spends from: a question is only begun if both of its
            orders can be paid for.
        stop: The one that the endpoint waits on.
        patience: See above.
        report: How it goes.
    """

    who: Judge
    questions: Sequence[Question]
    workers: int = 4
    keep: Callable[[Judged], None] | None = None
    told: Callable[[Call], None] | None = None
    budget: Budget = field(default_factory=Budget)
    stop: Stop = field(default_factory=Stop)
    patience: int = PATIENCE
    report: Report = field(init=False)
    _in_a_row: int = field(default=0, init=False)
    _begun: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.report = Report(len(self.questions))

    def __iter__(self) -> Iterator[Judged]:
        under_way: _UnderWay = {}
        with ThreadPoolExecutor(self.workers, "judge") as pool:
            try:
                while True:
                    self._begin(under_way, pool)
                    if not under_way:
                        return
                    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        question, _most = under_way.pop(future)
                        yield self._settled(question, future.result())
            finally:
                for future, (question, _most) in under_way.items():
                    self._settled(question, future.result())

    def _begin(self, under_way: _UnderWay, pool: ThreadPoolExecutor) -> None:
        """Put questions under way, as many as there are workers, unless the run is to end."""
        while len(under_way) < self.workers and self._begun < self.report.asked:
            question = self.questions[self._begun]
            if self.stop:
                self.report.stopped = self.report.stopped or Cancelled()
            if self.report.stopped is not None:
                return
            times = 2 if self.who.swaps and len(question.order) > 1 else 1
            most = times * self.who.worst_cost(question.ask)
            if not self._affords(most, under_way):
                return
            self._begun += 1
            future = pool.submit(judge, self.who, question.ask, question.order, told=self.told)
            under_way[future] = question, most

    def _affords(self, most: Decimal, under_way: _UnderWay) -> bool:
        """Whether a question can be paid for beside those under way, both orders of each."""
        unspent = self.budget.unspent
        if unspent is None or most + sum(held for _, held in under_way.values()) <= unspent:
            return True
        if not under_way:  # otherwise what they do not use of theirs may be enough
            left = max(unspent, Decimal(0))
            said = f"the next question could cost {most:f}; {left:f} is left"
            self.report.stopped = SpendLimit(said)
        return False

    def _settled(self, question: Question, judgement: Judgement) -> Judged:
        """Count and keep one result."""
        error = judgement.error
        silent = error is not None and error.of_endpoint
        self._in_a_row = self._in_a_row + 1 if silent else 0
        if error is not None and (error.stops or self._in_a_row >= self.patience):
            self.report.stopped = self.report.stopped or error
        left = error is not None and (error.stops or error.of_endpoint)
        if not left:
            self.report.failed += error is not None
            self.report.answered += error is None
        judged = Judged(question.key, judgement, left)
        if self.keep is not None:
            self.keep(judged)
        return judged
