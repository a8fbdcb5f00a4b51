"""Lists and the researcher's first page of a campaign."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotator import selectors, wording
from annotator.charts import Point, learning_curve
from annotator.figures import figures
from annotator.models import Campaign, EncoderCard, Round

from .access import signed_in
from .exports import readable, section

# Both also learn from what was imported with its answers: they start from the same.
KINDS = {"all": "policy + random", "random": "random only"}


@require_GET
@signed_in
def home(request: HttpRequest) -> HttpResponse:
    """My campaigns: those I answer in, and those whose figures I may see."""
    return render(
        request,
        "home.html",
        {
            "answering": selectors.my_campaigns(user=request.user),
            "reading": Campaign.objects.readable_by(request.user).order_by("state", "name"),
        },
    )


@require_GET
@signed_in
def progress(request: HttpRequest, slug: str) -> HttpResponse:
    """Progress, learning curve, pace: true and readable."""
    campaign = readable(request, slug)
    found = figures(campaign=campaign)
    status = selectors.loop_status(campaign_id=campaign.pk)
    wants_part = bool(request.headers.get("HX-Request"))
    template = "campaign/progress_part.html" if wants_part else "campaign/progress.html"
    context = {
        "campaign": campaign,
        "f": found,
        "may_answer": Campaign.objects.answered_by(request.user).filter(pk=campaign.pk).exists(),
        "status": status,
        "has_judges": campaign.judges.exists(),
        "accuracy": learning_curve(_series(found.curve, "accuracy"), percent=True),
        "log_loss": learning_curve(_series(found.curve, "log_loss"), percent=False),
        **section(found.snapshots),
        **_card(found.card),
        **_choosing(found.chosen),
    }
    return render(request, template, context)


def _series(points: list[dict[str, Any]], figure: str) -> dict[str, list[Point]]:
    """Curves by kind of model; points without holdout answers are left out."""
    series: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        found = point.get(figure)
        if not found or found["value"] is None:
            continue
        line = series[KINDS[point["kind"]]]
        if not line or line[-1].at < point["labels"]:
            line.append(Point(point["labels"], found["value"], found["low"], found["high"]))
    return dict(series)


def _card(card: EncoderCard | None) -> dict[str, Any]:
    """The encoder card as a table and a curve."""
    said = card.figures if card is not None else {}
    points = [Point(p["labels"], p["accuracy"], None, None) for p in said.get("curve", [])]
    chart = learning_curve({"accuracy": points}, percent=True) if points else None
    return {"card_rows": wording.card_rows(said), "card_chart": chart}


def _choosing(made: Round | None) -> dict[str, Any]:
    """How the newest round chose, in words and in figures."""
    report = made.report if made is not None else {}
    return {
        "policy": report.get("policy") or {},
        "choosing": wording.sentences(report),
        "choosing_facts": wording.facts(report),
        "choosing_options": wording.options(report),
    }
