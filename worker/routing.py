"""Who answers what waits for a decision, by the campaign's routing policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, Route
from annotator.services import budgets, routes
from learning.answering import pair_features
from learning.data import Belief, Pool
from learning.routing import policies
from learning.routing.data import HUMAN, JUDGE, WAIT, Budget, Decisions, Questions
from learning.routing.drift import watch
from learning.routing.error import HumanError
from learning.routing.guarantee import Calibration
from learning.routing.policies.base import rules
from worker import choosing
from worker.heard import Table, error_model
from worker.space import Space
from worker.store import Ints

Doubles = NDArray[np.float64]

TO: Final = {HUMAN: Route.To.HUMAN, JUDGE: Route.To.JUDGE, WAIT: Route.To.NOBODY}


def decisions(
    campaign: Campaign, found: Space, table: Table, known: policies.Knowledge
) -> list[routes.Decision]:
    """Decide about everything that waits for it."""
    waiting = routes.unrouted(campaign).values_list("pk", flat=True)
    made = _decide(campaign, found, table, known) if table.waits.any() else []
    decided = {one.query_id for one in made}
    # One response alone, or no answer at all.
    rest = [pk for pk in waiting if pk not in decided]
    return made + [routes.Decision(pk, Route.To.HUMAN, "no_judge") for pk in rest]


def _decide(
    campaign: Campaign, found: Space, table: Table, known: policies.Knowledge
) -> list[routes.Decision]:
    rows = np.flatnonzero(table.waits)
    pool = Pool(
        features=found.phi,
        pairs=table.pairs[rows],
        prompt=table.prompt[rows],
        eligible=np.ones(len(rows), np.bool_),
    )
    seconds = expected_seconds(campaign, found, table.pairs[rows])
    questions = Questions.of(
        pool,
        table.signs.subset(rows),
        safety=table.safety[rows],
        related=table.related[rows],
        seconds=seconds,
    )
    left = budgets.human_seconds_left(campaign)
    rng = np.random.default_rng([campaign.seed, int(table.query[rows].max())])
    made = policies.get(campaign.routing).route(
        questions,
        known,
        Budget(min(left, campaign.human_share * float(seconds.sum()))),
        rng=rng,
        config=campaign.routing_config,
    )
    made = _beyond_share(made, questions, known, left)
    return [
        routes.Decision(
            query_id=int(table.query[row]),
            to=TO[int(made.who[at])],
            reason=made.reason[at],
            audit=bool(made.audit[at]),
            error=float(made.error[at]),
            value=float(made.value[at]) if np.isfinite(made.value[at]) else None,
            propensity=float(made.propensity[at]),
            seconds=float(seconds[at]),
        )
        for at, row in enumerate(rows)
    ]


def _beyond_share(
    made: Decisions, questions: Questions, known: policies.Knowledge, left: float
) -> Decisions:
    """Let people answer what the judge may not, as far as the campaign's whole budget goes.

    Their share of a batch is a wish; only the budget is a limit.
    """
    who, reason, spent = made.who.copy(), list(made.reason), made.seconds
    ruled = rules(questions, known)
    for row in np.flatnonzero(made.who == WAIT):
        if spent + questions.seconds[row] <= left:
            spent += float(questions.seconds[row])
            who[row], reason[row] = HUMAN, ruled[row] or "confidence"
    propensity = np.where((who == HUMAN) & ~made.audit, 1.0, made.propensity)
    return replace(made, who=who, reason=tuple(reason), seconds=spent, propensity=propensity)


def knowledge(table: Table, human: HumanError, belief: Belief) -> policies.Knowledge:
    """What the campaign has found out about people and the judge."""
    audit = table.audit
    confidence, wrong = table.signs.confidence[audit], table.wrong[audit] > 0.5
    return policies.Knowledge(
        error=error_model(table, human),
        belief=belief,
        human=human,
        calibration=Calibration(confidence, wrong),
        drifted=watch(table.watched).alarm,
    )


def expected_seconds(campaign: Campaign, found: Space, pairs: Ints) -> Doubles:
    """A person's time for each pair, from the campaign's own events; 30 s before there are any."""
    costs = choosing.costs(campaign, found)
    if not costs.timed:
        return np.full(len(pairs), budgets.USUAL_SECONDS)
    return np.asarray(costs.seconds(pair_features(found.surface, pairs)), np.float64)
