"""Whether a judge is asked about everything that waits, or only about what it is measured on.

Nobody knows a new judge. Until people have decided enough of the same questions, and as long as
what both said speaks for a taste of its own, it is asked about the random stratum alone and people
answer everything. Where the judge is good, people's answers are not lost; where it is not, little
was spent on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db.models import Count, Prefetch, Q, QuerySet

from annotator.models import (
    Annotation,
    Campaign,
    Judge,
    Judgement,
    Query,
    QueryResponse,
    Route,
)
from annotator.services import budgets, routes
from annotator.services.judges import ACCEPTED
from learning import heads
from learning.data import Belief
from learning.errors import ConfigError
from learning.routing import AUDIT_SHARE, get
from learning.routing.deviation import Deviation, find
from learning.routing.error import HumanError
from worker import fitting, store
from worker.heard import Table, of_judge
from worker.space import Space
from worker.store import Ints


@dataclass(frozen=True, slots=True)
class Pilot:
    """How far measuring the judge has come.

    Attributes:
        audited: Questions of the random stratum that people and the judge have decided.
        wanted: So many are waited for; 0 where the policy waits for nothing.
        deviation: What the evidence says of the judge's taste.
        at_once: The policy wants the judge whatever it is like.
    """

    audited: int
    wanted: int
    deviation: Deviation
    at_once: bool = False

    @property
    def state(self) -> str:
        """``pilot``, ``doubt``, which are reasons of routes, or ``accepted``."""
        if self.at_once:
            return ACCEPTED
        if self.audited < self.wanted:
            return "pilot"
        return "doubt" if self.deviation.doubtful else ACCEPTED

    @property
    def accepted(self) -> bool:
        """Whether the judge is asked about everything that waits."""
        return self.state == ACCEPTED

    @property
    def told(self) -> dict[str, Any]:
        """For the judge's page."""
        found = {"state": self.state, "audited": self.audited, "wanted": self.wanted}
        return found | {"doubt": self.deviation.doubt, "kappa": self.deviation.kappa}


def look(campaign: Campaign, found: Space, table: Table, human: HumanError) -> tuple[Pilot, Belief]:
    """Return how far the pilot is, and the head for choosing who answers.

    Both are of people's labels and those of this judge as it is now: what an earlier one said
    tells nothing of its taste.
    """
    labels = store.labels(campaign, found.index)
    usable = ~labels.holdout & (found.has_line | ~labels.line)
    said = of_judge(table, found, human)
    both = said.beside(labels.comparisons.subset(usable), labels.query[usable])
    deviation, belief = find(
        found.phi,
        both.comparisons,
        both.epsilon,
        both.human,
        head=fitting.head_of(fitting.head_name(campaign, found), found),
        recurring=heads.recurring(found.trainable),
    )
    pilot = Pilot(
        audited=int(table.audit.sum()),
        wanted=budgets.pilot_questions(campaign),
        deviation=deviation,
        at_once=campaign.routing in budgets.AT_ONCE,
    )
    return pilot, belief


def draw(campaign: Campaign, pilot: Pilot, table: Table) -> Ints:
    """Draw what the judge is asked about of what waits; query ids, ascending.

    What is missing of the pilot and not under way, and always the audit's share. Each question
    has a lot of its own, so that a second attempt draws the same.
    """
    waiting = np.array(_waiting(campaign), np.int64)
    under_way = table.drawn & table.current & table.signs.answered & np.isnan(table.wrong)
    missing = pilot.wanted - pilot.audited - int(under_way.sum())
    size = max(missing, int(np.ceil(_audit_share(campaign) * len(waiting))))
    lots = np.random.default_rng(campaign.seed).random(int(waiting.max(initial=0)) + 1)
    return np.sort(waiting[np.argsort(lots[waiting], kind="stable")][:size])


def unasked(campaign: Campaign, judge: Judge, *, waiting: bool | Ints) -> QuerySet[Query]:
    """What this judge is to be asked: the whole random arm, a sample of history, and what waits.

    Of what waits all, none, or what was drawn.
    """
    said = Judgement.objects.filter(judge=judge).values("query_id")
    wanted = Q(arm=Query.Arm.RANDOM) | Q(pk__in=history_sample(campaign, judge.history_sample))
    if waiting is not False:
        waits = routes.unrouted(campaign)
        drawn = waits if waiting is True else waits.filter(pk__in=waiting.tolist())
        wanted |= Q(pk__in=drawn.values("pk"))
    found = Query.objects.filter(campaign=campaign, withdrawn=False).exclude(pk__in=said)
    found = found.filter(wanted).select_related("prompt")
    members = QueryResponse.objects.select_related("response__prompt").order_by("response_id")
    return found.prefetch_related(Prefetch("members", members)).order_by("pk")


def history_sample(campaign: Campaign, size: int) -> list[int]:
    """Imported questions with an answer of a person, drawn by lot; a larger sample adds to it.

    None on held-out prompts: what is learnt of the judge there would reach the training.
    """
    if not size:
        return []
    people = Annotation.objects.filter(campaign=campaign, annotator__kind="human").judgements()
    found = Query.objects.filter(campaign=campaign, arm=Query.Arm.IMPORTED)
    found = found.filter(prompt__is_holdout=False, pk__in=people.values("query_id"))
    several = found.annotate(n=Count("members")).filter(n__gte=2)
    ids = np.sort(np.fromiter(several.values_list("pk", flat=True), np.int64))
    lots = np.random.default_rng(campaign.seed).random(int(ids.max(initial=0)) + 1)
    return [int(pk) for pk in ids[np.argsort(lots[ids], kind="stable")][:size]]


def _audit_share(campaign: Campaign) -> float:
    try:
        config = get(campaign.routing).parse_config(campaign.routing_config)
    except ConfigError:  # of a version that knew other options
        return AUDIT_SHARE
    return float(getattr(config, "audit", AUDIT_SHARE))


def decisions(campaign: Campaign, pilot: Pilot, drawn: Ints) -> list[routes.Decision]:
    """Let people answer everything that waits, what was drawn first, as far as their time goes."""
    asked = set(drawn.tolist())
    left, each = budgets.human_seconds_free(campaign), budgets.usual_seconds(campaign)
    made = []
    for query in sorted(_waiting(campaign), key=lambda pk: (pk not in asked, pk)):
        if left < each:
            made.append(routes.Decision(query, Route.To.NOBODY, "budget", propensity=0.0))
            continue
        left -= each
        audit = query in asked
        reason = "audit" if audit else pilot.state
        made.append(routes.Decision(query, Route.To.HUMAN, reason, audit=audit, seconds=each))
    return made


def _waiting(campaign: Campaign) -> list[int]:
    return sorted(routes.unrouted(campaign).values_list("pk", flat=True))
