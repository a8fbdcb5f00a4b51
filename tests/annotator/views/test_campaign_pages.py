"""My campaigns, and the researcher's first page: true, readable, bounded."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.charts import Point, learning_curve
from annotator.models import Campaign, EncoderCard, Round
from annotator.services.campaigns import add_member
from annotator.templatetags.tiebreak import percent
from tests.annotator.acts import answer, lease


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.05, "high": value + 0.05}


def learnt(campaign: Campaign, *, labels: list[int], accuracy: list[float]) -> None:
    """A published round whose report has the curve."""
    last = Round.objects.filter(campaign=campaign).count()
    points = [
        {
            "round": number,
            "kind": kind,
            "labels": n if kind == "all" else n // 3,
            "n": 40,
            "prompts": 30,
            "accuracy": figure(value),
            "log_loss": figure(0.6),
        }
        for number, (n, value) in enumerate(zip(labels, accuracy, strict=True), start=1)
        for kind in ("all", "random")
    ]
    Round.objects.create(
        campaign=campaign,
        number=last + 1,
        trigger="test",
        state="published",
        report={"curve": points},
    )


def test_home_lists_what_i_answer_in(campaign: Campaign, as_ada: Client) -> None:
    page = as_ada.get("/").content.decode()
    assert campaign.name in page
    assert f"/c/{campaign.slug}/progress/" not in page


def test_home_leads_a_researcher_to_the_figures(campaign: Campaign, as_ruth: Client) -> None:
    assert f"/c/{campaign.slug}/progress/" in as_ruth.get("/").content.decode()


def test_an_annotator_does_not_see_the_figures(campaign: Campaign, as_ada: Client) -> None:
    assert as_ada.get(f"/c/{campaign.slug}/progress/").status_code == 404


def test_a_viewer_sees_the_figures(campaign: Campaign, sam: User, as_sam: Client) -> None:
    add_member(campaign=campaign, user=sam, role="viewer")
    assert as_sam.get(f"/c/{campaign.slug}/progress/").status_code == 200
    assert as_sam.get(f"/c/{campaign.slug}/").status_code == 404


def test_progress_counts_what_stands(campaign: Campaign, ada: User, as_ruth: Client) -> None:
    answer(lease(campaign, ada), ada, "a2", active_ms="4000")
    answer(lease(campaign, ada), ada, "skip")
    page = as_ruth.get(f"/c/{campaign.slug}/progress/")
    figures = page.context["f"]
    assert (figures.judgements, figures.answered_slots, figures.open_slots) == (1, 1, 5)
    assert figures.by_outcome == {"preference": 1, "skip": 1}
    ada_row = next(row for row in figures.annotators if row.user_id == ada.pk)
    assert (ada_row.answers, ada_row.skips, ada_row.median_ms) == (1, 1, 4000)


def test_the_learning_curve_is_drawn_with_both_kinds_and_a_table(
    campaign: Campaign, as_ruth: Client
) -> None:
    learnt(campaign, labels=[20, 60, 120], accuracy=[0.55, 0.62, 0.70])
    html = as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()
    assert html.count("<svg") >= 2
    assert "policy + random" in html
    assert "random only" in html
    assert percent(0.70) in html


def test_a_curve_needs_two_points() -> None:
    point = Point(10, 0.5, 0.4, 0.6)
    assert learning_curve({"a": [point]}, percent=True) is None
    chart = learning_curve({"a": [point, Point(30, 0.7, 0.6, 0.8)]}, percent=True)
    assert chart is not None
    (line,) = chart.lines
    assert [x for x, _, _ in line.dots] == [chart.left, chart.right]
    assert line.dots[0][1] > line.dots[1][1]  # better is higher up
    assert [tick.text for tick in chart.x_ticks] == ["10", "15", "20", "25", "30"]
    assert [tick.text for tick in chart.y_ticks] == ["40%", "60%", "80%"]


@pytest.mark.parametrize("rounds", [1, 8])
def test_the_page_costs_the_same_however_much_there_is(
    campaign: Campaign, ada: User, as_ruth: Client, django_assert_max_num_queries: Any, rounds: int
) -> None:
    for _ in range(rounds):
        learnt(campaign, labels=[20 * (n + 1) for n in range(rounds)], accuracy=[0.6] * rounds)
        figures = {"sentence": "Something.", "accuracy": 0.6, "curve": [], "enough": True}
        EncoderCard.objects.create(campaign=campaign, encoder_key="k", labels=9, figures=figures)
    with django_assert_max_num_queries(19):
        as_ruth.get(f"/c/{campaign.slug}/progress/")


def test_every_state_of_a_round_has_words(campaign: Campaign) -> None:
    made = Round(campaign=campaign, number=9, state="embedding", detail="3 200 of 10 000")
    assert made.words == "embedding 3 200 of 10 000"
    made.state, made.error = "failed", "Traceback …\nthe encoder is not installed"
    assert made.words == "failed: the encoder is not installed"
