"""What is known of a judge, from the questions that people answered too: figures for its page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotator.models import Campaign, Judge, JudgeCall, QueryResponse, Route
from annotator.services import judges
from learning.errors import NotEnoughData
from learning.estimation import Mean, win_rates
from learning.judges.bias import Position, position
from learning.judges.report import bias_report
from learning.routing.drift import watch
from learning.routing.error import HumanError
from learning.routing.frontier import LEAST, frontier
from learning.routing.guarantee import Calibration, risk_coverage, threshold
from worker.heard import Table, error_model, tags_of
from worker.piloting import Pilot
from worker.routing import expected_seconds
from worker.space import Space
from worker.store import Ints

Doubles = NDArray[np.float64]

AGAIN: Final = 1.25  # times as many audited questions as the last report had
MOST_POINTS: Final = 100  # of a curve
ALPHA, DELTA = 0.2, 0.1  # of the promise that is shown, whatever the policy


def due(judge: Judge, table: Table, pilot: Pilot) -> bool:
    """Whether a report would say something new: on more questions, or of the pilot."""
    newest = judge.reports.first()
    audited = int(table.audit.sum())
    if newest is None or not audited:
        return audited > 0
    moved = judges.accepted(judge) != pilot.accepted
    return moved or audited >= AGAIN * newest.audited


def measure(
    campaign: Campaign, judge: Judge, found: Space, table: Table, *, human: HumanError, pilot: Pilot
) -> dict[str, Any] | None:
    """All figures, as plain JSON, null where one cannot be had yet; None if nothing is new."""
    if not due(judge, table, pilot):
        return None
    rows = np.flatnonzero(table.audit)
    rng = np.random.default_rng(campaign.seed)
    confidence, wrong = table.signs.confidence[rows], table.wrong[rows]
    curve = risk_coverage(confidence, wrong)
    keep = np.unique(np.linspace(0, len(curve.risk) - 1, MOST_POINTS).round().astype(int))
    stands = threshold(
        Calibration(confidence, wrong > 0.5), table.signs.confidence, alpha=ALPHA, delta=DELTA
    )
    bias = _bias(campaign, judge, found, table, rows, rng)
    figures: dict[str, Any] = plain(
        {
            "audited": len(rows),
            "judged": len(table.query),
            "human_error": asdict(human),
            "pilot": pilot.told,
            "bias": bias,
            "risk_coverage": {
                "coverage": curve.coverage[keep],
                "risk": curve.risk[keep],
                "aurc": curve.aurc,
            },
            "guarantee": {
                "alpha": ALPHA,
                "sure": 1 - DELTA,
                "certified": stands.certified,
                "bound": stands.bound,
                "covered": float((table.signs.confidence >= stands.least).mean()),
            },
            "drift": _drift(table),
            "effects": _effects(table, human),
            "frontier": _frontier(campaign, found, table, rows, human, rng),
            "win_rates": _win_rates(campaign, found, table),
        }
    )
    return figures


def _effects(table: Table, human: HumanError) -> list[dict[str, Any]]:
    """What makes the judge wrong, the strongest first: change of the log odds of an error."""
    names = {f"tag {place}": name for place, name in enumerate(table.names)}
    found = error_model(table, human).effects()
    found.pop("intercept")
    listed = [
        {"sign": names.get(sign, sign), "tag": sign in names, "effect": mean, "sd": sd}
        for sign, (mean, sd) in found.items()
    ]
    return sorted(listed, key=lambda one: -abs(one["effect"]))


def _frontier(
    campaign: Campaign, found: Space, table: Table, rows: Ints, human: HumanError, rng: Any
) -> list[dict[str, Any]]:
    """What people's time would buy, by the audited questions; empty with too few of them."""
    if len(rows) < LEAST:
        return []
    seconds = expected_seconds(campaign, found, table.pairs[rows])
    steps = frontier(
        table.signs.subset(rows), table.wrong[rows], seconds, human=human.value, rng=rng
    )
    return [asdict(step) for step in steps]


def _drift(table: Table) -> dict[str, Any]:
    found = watch(table.watched)
    return {
        "watched": len(table.watched),
        "base": found.base,
        "path": found.path[-MOST_POINTS:],
        "threshold": found.threshold,
        "sentence": found.sentence,
    }


def _bias(
    campaign: Campaign, judge: Judge, found: Space, table: Table, rows: Ints, rng: Any
) -> dict[str, Any]:
    """Calibration, reliability, sides, controls and own kin, on the questions about two."""
    texts = _texts(table.query[rows].tolist())
    two = np.array([len(texts[int(pk)]) == 2 for pk in table.query[rows]], np.bool_)
    rows = rows[two]
    if not len(rows):
        return {}
    tags = tags_of(campaign, table.query[rows])
    ends = found.index.ids[table.pairs]
    shown = [_in_order(texts[int(table.query[row])], ends[row]) for row in rows]
    p = table.signs.probability[rows]
    first = table.signs.outcome[rows] > 0
    report = bias_report(
        judge.model,
        p,
        np.where(first, 1.0 - table.wrong[rows], table.wrong[rows]),
        prompts=[one[0].prompt.content for one in shown],
        responses=[(one[0].text, one[1].text) for one in shown],
        clusters=[str(pk) for pk in table.prompt[rows]],
        rng=rng,
        authors=[(one[0].model, one[1].model) for one in shown],
        tags=tags if any(tags) else None,
        position=_position(judge, rng),
    )
    return report.to_json()


def _texts(queries: list[int]) -> dict[int, dict[int, Any]]:
    """Responses by query and id."""
    found: dict[int, dict[int, Any]] = {pk: {} for pk in queries}
    members = QueryResponse.objects.filter(query_id__in=queries)
    for member in members.select_related("response__prompt"):
        found[member.query_id][member.response_id] = member.response
    return found


def _in_order(texts: dict[int, Any], ends: Ints) -> tuple[Any, Any]:
    """The two responses as the judge's probability has them."""
    return texts[int(ends[0])], texts[int(ends[1])]


def _position(judge: Judge, rng: np.random.Generator) -> Position | None:
    """Which side its calls chose; every question it was asked counts, not only audited ones."""
    calls = JudgeCall.objects.filter(judgement__judge=judge, judgement__p__isnull=False)
    chose: dict[int, list[float]] = {}
    fields = ("judgement_id", "order", "chose")
    for one, order, chosen in calls.order_by("pk").values_list(*fields).iterator(10_000):
        side = np.nan if chosen is None else float(chosen == order[0])
        chose.setdefault(one, []).append(side)
    both = np.array([sides for sides in chose.values() if len(sides) == 2], np.float64)
    try:
        return position(both.reshape(-1, 2), rng=rng)
    except NotEnoughData:
        return None


def _win_rates(campaign: Campaign, found: Space, table: Table) -> list[dict[str, Any]]:
    """How often each model's response is preferred: people and judge, and people alone.

    Over the router's questions: who was asked there by a random draw, and with what chance, is
    known. Where it drew for the audit and nobody has answered yet, the question is left out.
    """
    routes = Route.objects.filter(query__campaign=campaign, query__in=table.query.tolist())
    drawn = {
        pk: (audit, chance)
        for pk, audit, chance in routes.values_list("query_id", "audit", "propensity")
    }
    texts = _texts(list(drawn))
    rows = [
        row
        for row, pk in enumerate(table.query.tolist())
        if pk in drawn
        and len(texts[pk]) == 2
        and table.signs.answered[row]
        and not (drawn[pk][0] and np.isnan(table.wrong[row]))
    ]
    if not rows:
        return []
    ends = found.index.ids[table.pairs]
    names = sorted({r.model for row in rows for r in texts[int(table.query[row])].values()} - {""})
    number = {name: at for at, name in enumerate(names)}
    sides, chance, asked = [], [], []
    for row in rows:
        pk = int(table.query[row])
        sides.append([number.get(one.model, -1) for one in _in_order(texts[pk], ends[row])])
        asked.append(drawn[pk][0])
        chance.append(drawn[pk][1] if drawn[pk][0] else 1.0)
    at = np.array(rows)
    people = 1.0 - 2.0 * np.nan_to_num(table.wrong[at])  # 1: with the judge, -1: against
    outcome = np.where(table.signs.outcome[at] > 0, people, -people)
    rates = win_rates(
        np.array(sides), outcome, np.array(asked), np.array(chance), table.signs.probability[at]
    )
    return [
        {
            "model": names[one.model],
            "questions": one.questions,
            "anchored": _mean(one.anchored),
            "classical": _mean(one.classical),
        }
        for one in rates
    ]


def _mean(found: Mean) -> dict[str, Any]:
    return {key: getattr(found, key) for key in ("value", "low", "high", "n", "effective_n")}


def plain(value: Any) -> Any:
    """As JSON holds it: no arrays, and null for what is not finite."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
