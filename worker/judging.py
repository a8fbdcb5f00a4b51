"""Asking a campaign's judge, and then deciding who answers what.

One job of a campaign at a time sees to all of its questions that the judge has not been asked.
Each answer is stored with its calls in one transaction as soon as it is there: a worker that is
killed loses what was under way and nothing else, and the next attempt asks what is missing.
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from django.conf import settings
from django.db.models import QuerySet

from annotator import selectors
from annotator.errors import InvalidAnswer
from annotator.forms import Shown, Step, parse
from annotator.models import Campaign, Judge, Query
from annotator.services import budgets, judges, routes, webhooks
from learning.errors import LearningError
from learning.judges.asking import EndpointJudge
from learning.judges.base import Ask, Call
from learning.judges.base import Judge as Asked
from learning.judges.causal import load
from learning.judges.endpoint import Endpoint
from learning.judges.errors import (
    BadAddress,
    CannotAsk,
    JudgeError,
    Malformed,
    SpendLimit,
    WrongKey,
)
from learning.judges.forms import form
from learning.judges.limits import Budget, Pace, Stop
from learning.judges.local import LocalJudge
from learning.judges.money import Prices
from learning.judges.pointwise import PointwiseJudge
from learning.judges.related import related
from learning.judges.replies import read
from learning.judges.run import Judged, Question, Run
from learning.judges.secret import Secret
from learning.judges.swapping import Judgement as Both
from learning.judges.templates import template
from learning.judges.yes_no import EndpointYesNo, LocalYesNo
from learning.routing.drift import watch
from learning.text import last_user_turn
from worker import judge_report, piloting, routing, space
from worker.heard import judged, people_error
from worker.jobs import RunningJob, Superseded

logger = logging.getLogger(__name__)
CHUNK: Final = 200  # questions that are in memory at once
LAST: Final = 40  # questions by which one sees that a judge looks at the order alone
BLIND: Final = 0.8  # of them
LONGER: Final = timedelta(minutes=10)  # before an endpoint that failed is tried again


def run(job: RunningJob) -> None:
    """Ask what was not asked yet, then route; what the judge does not answer goes to people."""
    campaign = Campaign.objects.get(pk=job.arguments["campaign"])
    judge = judges.asked(campaign)
    asking = None
    if judge is not None:
        known = campaign.routing in budgets.AT_ONCE or judges.accepted(judge)
        asking = _Asking(job, campaign, judge)
        asking.ask(piloting.unasked(campaign, judge, waiting=known))
    if not _runs(campaign):  # whoever resumes it has the sweep go on with the rest
        with job.fence():
            return
    job.progress(0, 0, "routing")
    if judge is None or asking is None or _looks_at_order_alone(judge):
        with job.fence():
            routes.route_to_people(campaign=campaign, judge=judge, reason="no_judge")
    else:
        _decide(asking)
    routes.go_on(campaign)  # what was published in the meantime


def _runs(campaign: Campaign) -> bool:
    """Whether the campaign is running now: while it is paused nobody is asked anything."""
    return Campaign.objects.filter(pk=campaign.pk, state=Campaign.State.RUNNING).exists()


def _decide(asking: _Asking) -> None:
    """Route, and say anew what is known of the judge when enough has come in.

    A judge that is not accepted yet is asked about a sample of what waits; one that has just
    been accepted about all of it. So what waits is decided about in one go, either way.
    """
    job, campaign, judge = asking.job, asking.campaign, asking.judge
    found = space.load(campaign, progress=lambda done, n: job.progress(done, n, "embedding"))
    table, human = judged(campaign, judge, found), people_error(campaign)
    pilot, belief = piloting.look(campaign, found, table, human)
    drawn = np.empty(0, np.int64) if pilot.accepted else piloting.draw(campaign, pilot, table)
    more = piloting.unasked(campaign, judge, waiting=True if pilot.accepted else drawn)
    if judges.asked(campaign) == judge and asking.ask(more):
        if not _runs(campaign):
            with job.fence():
                return
        if _looks_at_order_alone(judge):
            with job.fence():
                routes.route_to_people(campaign=campaign, judge=judge, reason="no_judge")
            return
        if pilot.accepted:
            table = judged(campaign, judge, found)
    if pilot.accepted:
        known = routing.knowledge(table, human, belief)
        decisions = routing.decisions(campaign, found, table, known)
    else:
        decisions = piloting.decisions(campaign, pilot, drawn)
    figures = _figures(campaign, judge, found, table, human, pilot)
    worse = watch(table.watched).sentence
    with job.fence():
        routes.apply_routes(
            campaign=campaign, judge=judge, policy=campaign.routing, decisions=decisions
        )
        if figures is not None:
            judges.record_report(judge=judge, audited=figures["audited"], figures=figures)
        if worse:
            judges.stop_asking(judge=judge, why=worse)


def _figures(*known: Any) -> dict[str, Any] | None:
    """A new report, if there is one: a figure that cannot be had keeps no question waiting."""
    campaign, judge, found, table, human, pilot = known
    try:
        return judge_report.measure(campaign, judge, found, table, human=human, pilot=pilot)
    except LearningError:
        logger.exception("judge %s of %s could not be measured", judge, campaign)
        return None


def _looks_at_order_alone(judge: Judge) -> bool:
    """Whether its verdict follows the order of display; then it is not asked any more."""
    last = judge.judgements.filter(p__isnull=False, error="").order_by("-pk")[:LAST]
    turned = [one.inconsistent for one in last]
    found = len(turned) == LAST and sum(turned) >= BLIND * LAST
    if found:
        said = f"its verdict followed the order of display in {sum(turned)} of {LAST} questions"
        judges.stop_asking(judge=judge, why=said)
    return found


class _Asking:
    """One run's questions to the judge."""

    def __init__(self, job: RunningJob, campaign: Campaign, judge: Judge) -> None:
        self.job, self.campaign, self.judge = job, campaign, judge
        self.left: set[int] = set()  # that the endpoint did not answer: not asked again in this run

    def ask(self, questions: QuerySet[Query]) -> bool:
        """Ask chunk by chunk until everything is answered, or something ends it.

        Returns whether there was anything to ask.
        """
        waiting = questions.exclude(pk__in=self.left)
        total = waiting.count()
        if total:
            budget = Budget(self.judge.spend_limit, spent=judges.spent(self.judge))
            try:
                self._ask(questions, total, budget)
            except LearningError as error:  # before the first question: address, key, model
                _say_why(self.campaign, self.judge, error)
            self.judge.refresh_from_db()
        return total > 0

    def _ask(self, questions: QuerySet[Query], total: int, budget: Budget) -> None:
        job, campaign, judge, stop, done = self.job, self.campaign, self.judge, Stop(), 0
        told = f"asking {judge.name}"
        with answering(judge, budget, stop) as who:
            while _runs(campaign) and (chunk := list(questions.exclude(pk__in=self.left)[:CHUNK])):
                job.progress(done, total, told)
                asked = _Chunk(campaign, judge, chunk)
                asked.refuse()
                ran = Run(
                    who,
                    asked.questions,
                    workers=judge.workers,
                    keep=asked.keep,
                    budget=budget,
                    stop=stop,
                )
                try:
                    for one in ran:
                        done += 1
                        if one.left:
                            self.left.add(int(str(one.key)))
                        if not _runs(campaign):
                            stop.set()
                        job.progress(done, total, told)
                except Superseded:
                    stop.set()
                    raise
                if ran.report.answered:
                    judges.trust_again(judge=judge)
                if ran.report.stopped is not None and not stop:
                    _say_why(campaign, judge, ran.report.stopped)
                    return


@contextmanager
def answering(judge: Judge, budget: Budget, stop: Stop) -> Iterator[Asked]:
    """The judge as the library knows it, with its connections.

    Raises:
        LearningError: it cannot be asked as it is set up.
    """
    own = template(judge.name, judge.template)
    alone = judge.mode == Judge.Mode.POINTWISE
    if judge.provider == Judge.Provider.LOCAL:
        model = load(Path(judge.model), threads=settings.TORCH_THREADS)
        yield PointwiseJudge(LocalYesNo(model, own)) if alone else LocalJudge(model, own)
        return
    host = urlsplit(judge.base_url).hostname
    if settings.JUDGE_HOSTS and host not in settings.JUDGE_HOSTS:  # named since it was set up
        raise BadAddress(f"the operator lets no judge be asked at {host} (JUDGE_HOSTS)")
    pace = Pace(judge.requests_per_minute, judge.tokens_per_minute)
    prices = Prices(judge.price_in, judge.price_out)
    with Endpoint(
        judge.base_url, key=key_of(judge), pace=pace, stop=stop, timeout=judge.timeout
    ) as endpoint:
        shared: dict[str, Any] = {"template": own, "prices": prices, "budget": budget}
        if alone:
            yield PointwiseJudge(EndpointYesNo(endpoint, judge.model, **shared))
        else:
            shared["max_tokens"] = judge.max_tokens
            yield EndpointJudge(endpoint, judge.model, **shared)


def key_of(judge: Judge) -> Secret:
    """Its key, from the environment of this worker.

    Raises:
        WrongKey: it is named and not there.
    """
    if not judge.key_name:
        return Secret()
    if not (value := os.environ.get(judge.key_name, "").strip()):
        raise WrongKey(f"the workers have no {judge.key_name} in their environment")
    return Secret(value)


def _say_why(campaign: Campaign, judge: Judge, error: LearningError) -> None:
    """Name on the judge's page what ended the run; what may pass is tried again later."""
    passing = isinstance(error, JudgeError) and not error.stops
    again = LONGER if passing else None
    judges.stop_asking(judge=judge, why=str(error), again_in=again)
    if isinstance(error, SpendLimit):
        webhooks.emit(
            campaign_id=campaign.pk,
            event=webhooks.Event.BUDGET,
            data={"budget": "judge", "judge": judge.name, "money": f"{judges.spent(judge):f}"},
        )


class _Chunk:
    """Some questions in the words of the library, and what becomes of them in the database."""

    def __init__(self, campaign: Campaign, judge: Judge, queries: Sequence[Query]) -> None:
        newest = campaign.guidelines.first()
        self.campaign, self.judge = campaign, judge
        self.guidelines = newest.text if newest else ""
        self.version = newest.version if newest else 0
        self.orders: dict[int, tuple[int, ...]] = {}
        self.steps: dict[int, tuple[Step, ...]] = {}
        self.asks: dict[int, Ask] = {}
        self.related: set[int] = set()
        self.questions: list[Question] = []
        self.impossible: list[tuple[int, CannotAsk]] = []
        for query in queries:
            self._add(query)

    def _add(self, query: Query) -> None:
        members = {member.response_id: member.response for member in query.members.all()}
        rng = random.Random(f"{self.campaign.seed}:{query.pk}")  # noqa: S311 - a display order
        order = tuple(rng.sample(sorted(members), len(members)))
        self.orders[query.pk], self.steps[query.pk] = order, selectors.steps(query)
        if any(related(self.judge.model, response.model) for response in members.values()):
            self.related.add(query.pk)
        prompts = {response.prompt_id: response.prompt for response in members.values()}
        texts = [members[pk].text for pk in order]
        if len(prompts) > 1:  # each response has a prompt of its own
            own = [last_user_turn(members[pk].prompt.content) for pk in order]
            texts = [f"(asked: {asked})\n\n{text}" for asked, text in zip(own, texts, strict=True)]
        try:
            ask = Ask.of(
                [form(*part) for part in _parts(self.steps[query.pk])],
                "" if len(prompts) > 1 else query.prompt.content,
                texts,
                guidelines=self.guidelines,
                context="" if len(prompts) > 1 else query.prompt.context,
            )
        except CannotAsk as error:
            self.impossible.append((query.pk, error))
            return
        self.asks[query.pk] = ask
        self.questions.append(Question(query.pk, ask, ask.straight))

    def refuse(self) -> None:
        """Note the questions that no judge can be asked."""
        for query_id, error in self.impossible:
            self.keep(Judged(query_id, Both((), error=error), left=False))

    def keep(self, judged: Judged) -> None:
        """Store one result. One that is to be asked again leaves only what it cost."""
        if judged.left:
            judges.book_lost(judge=self.judge, money=judged.judgement.money)
            return
        query_id, both = int(str(judged.key)), judged.judgement
        order = self.orders[query_id]
        answer, error = self._answer(query_id, both)
        said = judges.Said(
            query_id=query_id,
            order=order,
            calls=[self._call(query_id, call) for call in both.calls],
            answer=answer,
            outcome={
                "p": both.p if len(order) == 2 else None,
                "inconsistent": both.inconsistent,
                "disagreement": both.disagreement,
                "related": query_id in self.related,
                "error": error.code if error else "",
                "told": str(error)[: judges.BRIEF] if error else "",
                "guidelines_version": self.version,
            },
        )
        judges.record_judgement(judge=self.judge, said=said)

    def _call(self, query_id: int, call: Call) -> dict[str, Any]:
        """One call in database ids."""
        order = self.orders[query_id]
        found: dict[str, Any] = asdict(call)
        found["order"] = [order[place] for place in call.order]
        found["chose"] = None
        if len(order) == len(call.order) == 2 and not call.error:
            tiers = read(call.reply, self.asks[query_id], call.order).tiers
            found["chose"] = order[tiers[0][0]] if len(tiers) == 2 else None
        found["messages"] = [asdict(turn) for turn in call.messages]
        found["told"] = call.told[: judges.BRIEF]
        return found

    def _answer(self, query_id: int, both: Both) -> tuple[dict[str, Any] | None, JudgeError | None]:
        """The verdict as an annotation has it, by the rules that people's answers follow."""
        if both.verdict is None:
            return None, both.error
        order = self.orders[query_id]
        straight = tuple(range(len(order)))
        parts = self.steps[query_id][:-1]  # without the reason: a judge always gives one
        try:
            answer, _ = parse(both.verdict.fields(straight), steps=parts, shown=Shown(order))
        except InvalidAnswer as error:
            field, said = next(iter(error.fields.items()))
            return None, Malformed(field, "what a person's page could send", " ".join(said))
        columns = {
            "outcome": answer.outcome,
            "tiers": answer.tiers,
            "acceptable": answer.acceptable,
            "strength": answer.strength,
            "rationale": both.verdict.rationale,
            "details": answer.details,
            "guidelines_version": self.version,
        }
        return columns, None


def _parts(steps: Sequence[Step]) -> list[tuple[str, dict[str, Any]]]:
    """The forms of a question with the options that mean something to a judge."""
    return [(step.part.name, _known(step)) for step in steps[:-1]]


def _known(step: Step) -> dict[str, Any]:
    from learning.judges.forms import FORMS

    known = getattr(FORMS.get(step.part.name), "__dataclass_fields__", {})
    return {key: value for key, value in step.options.items() if key in known}
