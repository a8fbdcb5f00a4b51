"""Reading what a campaign's router decided, and how its judge does: tables and charts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from annotator.charts import Chart, Point, round_curve, share_curve
from annotator.judged import doubly_decided, standing, with_figures
from annotator.models import Campaign, Judge, JudgeReport, Route
from annotator.services.budgets import AT_ONCE, pilot_questions

REASONS = {
    "safety": "people's alone, by a tag",
    "no_judge": "the judge gave no usable answer",
    "related": "the judge is related to the author of a response",
    "undecided": "the judge calls it a tie",
    "inconsistent": "the judge contradicts itself when sides are swapped",
    "pilot": "the judge is being measured first",
    "doubt": "the judge seems to have another taste than people",
    "drift": "the judge got worse",
    "audit": "drawn at random, to measure the judge",
    "value": "by the value of a person's answer",
    "confidence": "by the confidence of the judge",
    "budget": "people's time",
    "policy": "by the policy",
}
TO = {Route.To.HUMAN: "people", Route.To.JUDGE: "judge", Route.To.NOBODY: "nobody for now"}
ROUNDS = 60  # the newest that are drawn


@dataclass(frozen=True)
class PilotShown:
    """How far measuring the judge has come.

    Attributes:
        state: ``pilot``, ``doubt`` or ``accepted``.
        audited: Questions drawn at random that people and the judge have decided, by now.
        wanted: So many are waited for.
    """

    state: str
    audited: int
    wanted: int


@dataclass(frozen=True)
class RoutedPage:
    """Everything that the page of judges and routing shows. At most ten queries.

    Attributes:
        judges: With `asked`, `failed`, `spent` and their standing in words.
        routes: Questions by whom they went to and why, most frequent first.
        shares: Share of people by round.
        report: The newest report of the judge in force, or of the last one.
        pilot: Of the judge that is asked, unless the policy measures nobody first.
        reliability, risk, frontier: Its charts.
    """

    judges: list[tuple[Any, str]]
    routes: list[tuple[str, str, int]]
    shares: Chart | None
    report: JudgeReport | None
    pilot: PilotShown | None
    reliability: Chart | None
    risk: Chart | None
    frontier: Chart | None


def page(campaign: Campaign) -> RoutedPage:
    """Read it all."""
    judges = list(with_figures(campaign.judges.all()))
    report = JudgeReport.objects.filter(judge=_foremost(judges)).first() if judges else None
    figures = report.figures if report is not None else {}
    routes = Route.objects.filter(query__campaign=campaign)
    return RoutedPage(
        judges=[(judge, standing(judge)) for judge in judges],
        routes=_by_reason(routes),
        shares=_shares(routes),
        report=report,
        pilot=_pilot(campaign, judges),
        reliability=reliability(figures),
        risk=risk(figures),
        frontier=frontier(figures),
    )


def _foremost(judges: list[Judge]) -> Judge:
    """The one that is asked; else the newest."""
    return next((judge for judge in judges if judge.active), judges[-1])


def _pilot(campaign: Campaign, judges: list[Judge]) -> PilotShown | None:
    """Counted now: a report may be of an hour ago."""
    judge = next((judge for judge in judges if judge.active), None)
    wanted = pilot_questions(campaign)
    if judge is None or campaign.routing in AT_ONCE:
        return None
    report = judge.reports.filter(created_at__gte=judge.measured_from).first()
    told = (report.figures.get("pilot") or {}) if report is not None else {}
    return PilotShown(told.get("state", "pilot"), doubly_decided(judge), wanted)


def _by_reason(routes: QuerySet[Route]) -> list[tuple[str, str, int]]:
    counted = routes.values_list("to", "reason").annotate(n=Count("pk")).order_by("-n")
    return [(TO[Route.To(to)], REASONS.get(why, why), n) for to, why, n in counted]


def _shares(routes: QuerySet[Route]) -> Chart | None:
    by_round: dict[int, Counter[str]] = defaultdict(Counter)
    counted = routes.filter(query__round__isnull=False).values_list("query__round__number", "to")
    for number, to, n in counted.annotate(n=Count("pk")).order_by("-query__round__number"):
        if number in by_round or len(by_round) < ROUNDS:
            by_round[number][to] += n
    points: dict[str, list[Point]] = {TO[to]: [] for to in (Route.To.HUMAN, Route.To.JUDGE)}
    for number in sorted(by_round):
        total = sum(by_round[number].values())
        for to in (Route.To.HUMAN, Route.To.JUDGE):
            points[TO[to]].append(Point(number, by_round[number][to] / total, None, None))
    return round_curve(points)


def reliability(figures: Mapping[str, Any]) -> Chart | None:
    """Agreement with people against the judge's confidence, before and after calibration."""
    bias = figures.get("bias") or {}
    series = {
        name: [
            Point(one["confidence"], one["agreement"]["value"], *_ends(one["agreement"]))
            for one in (bias.get(kind) or {}).get("diagram", [])
        ]
        for name, kind in (("as it says", "raw"), ("calibrated", "calibrated"))
    }
    known = {name: line for name, line in series.items() if line}
    ideal = [Point(0.5, 0.5, None, None), Point(1.0, 1.0, None, None)]
    return share_curve(known | {"ideal": ideal}, x_name="confidence") if known else None


def _ends(estimate: Mapping[str, Any]) -> tuple[float | None, float | None]:
    return estimate.get("low"), estimate.get("high")


def risk(figures: Mapping[str, Any]) -> Chart | None:
    """Share of errors among the judge's most confident answers, as more of them stand."""
    curve = figures.get("risk_coverage") or {}
    points = [
        Point(coverage, wrong, None, None)
        for coverage, wrong in zip(curve.get("coverage", []), curve.get("risk", []), strict=True)
    ]
    return share_curve({"errors": points}, x_name="answers that stand")


def frontier(figures: Mapping[str, Any]) -> Chart | None:
    """Share of labels that are right against people's share of the questions."""
    steps = figures.get("frontier") or []
    routed = [Point(one["share"], one["routed"]["value"], *_ends(one["routed"])) for one in steps]
    drawn = [Point(one["share"], one["random"], None, None) for one in steps]
    return share_curve({"routed": routed, "drawn by lot": drawn}, x_name="people's share")
