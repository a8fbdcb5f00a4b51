"""Reading routes: every reason has words."""

from __future__ import annotations

from annotator.routed import REASONS, reliability, risk
from learning.routing.data import REASONS as GIVEN


def test_every_reason_of_the_router_has_words() -> None:
    assert set(REASONS) == set(GIVEN)


def test_charts_are_drawn_from_a_report_and_missing_without() -> None:
    one = {"value": 0.7, "low": 0.5, "high": 0.9}
    bins = [
        {"confidence": 0.6, "agreement": one},
        {"confidence": 0.9, "agreement": one | {"low": None, "high": None}},
    ]
    chart = reliability({"bias": {"raw": {"diagram": bins}}})
    assert chart is not None
    assert [line.name for line in chart.lines] == ["as it says", "ideal"]
    assert chart.lines[0].dots[0][2] == "as it says, 60%: 70% (50% to 90%)"
    assert [tick.text for tick in chart.x_ticks] == ["60%", "80%", "100%"]
    assert reliability({}) is None
    drawn = risk({"risk_coverage": {"coverage": [0.5, 1.0], "risk": [0.1, 0.2]}})
    assert drawn is not None
    assert drawn.x_name == "answers that stand"
    assert risk({}) is None
