"""How strong a preference was: on whose scale, and what comes of it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from annotator.importers import IMPORTERS
from annotator.importers.base import Reading, Source
from annotator.models import Annotation, Campaign
from annotator.services.campaigns import create_campaign
from annotator.services.history import strength_of
from annotator.services.imports import ImportOptions, import_items
from tests.campaigns import item

TIERS = [[1], [2]]
OURS = {"meta": {"tiebreak_key": "k"}}


@pytest.mark.parametrize(
    ("said", "strongest", "strength"),
    [
        ({"strength": 2}, None, None),  # on a scale that nobody knows
        ({"strength": 2}, 6, 1),
        ({"strength": 2, "strength_max": 2}, 6, 3),  # the answer knows better than the file
        ({"strength": 2, "strength_max": None}, 2, 3),
        ({"strength": 2} | OURS, None, 2),  # it left from here
        ({"strength": 2} | OURS, 6, 2),
        (OURS, 3, None),
    ],
)
def test_the_scale_is_the_answers_own_or_that_of_the_file(
    said: dict[str, Any], strongest: float | None, strength: int | None
) -> None:
    assert strength_of(said, strongest, TIERS) == strength
    assert strength_of(said, strongest, [[1, 2]]) is None


@pytest.mark.parametrize("outcome", ["preference", "Looks fine"])
def test_a_scale_is_known_where_the_answer_is_ours(outcome: str) -> None:
    ours = {"strength_max": 3} if outcome == "preference" else {}
    values = {"outcome": outcome, "better": "response-1", "strength": 2}
    record = {
        "fields": {"prompt": "p", "response-1": "a", "response-2": "b"},
        "responses": {name: [{"value": value, "user_id": "u"}] for name, value in values.items()},
    }
    task = {
        "data": {"prompt": "p", "answer1": "a", "answer2": "b"},
        "annotations": [
            {
                "result": [
                    result("outcome", "choices", {"choices": [outcome]}),
                    result("strength", "rating", {"rating": 2}),
                ]
            }
        ],
    }
    for name, row in (("argilla", record), ("label-studio", task)):
        (unit,) = IMPORTERS[name].convert(iter([Source(1, row)]), Reading())
        (said,) = unit.made[0].native["annotations"]
        assert said["strength"] == 2
        assert {key: said[key] for key in said if key == "strength_max"} == ours


def result(name: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "prompt", "type": kind, "value": value}


@pytest.mark.django_db
@pytest.mark.parametrize(("most", "stored"), [(4, 2), (0, None), ("four", None)])
def test_what_is_no_scale_is_refused(most: Any, stored: int | None) -> None:
    campaign: Campaign = create_campaign(slug="sky", name="Sky")
    said = {"annotator": "w", "choice": 0, "strength": 2, "strength_max": most}
    row = item(1, annotations=[said])
    report = import_items(
        campaign=campaign,
        stream=io.BytesIO(json.dumps(row).encode()),
        options=ImportOptions(history=True, keep_good=True),
    )
    assert list(Annotation.objects.values_list("strength", flat=True)) == (
        [stored] if stored else []
    )
    problems = [(one.field, one.message) for one in report.problems]
    wrong = [("annotations[0].strength_max", f"expected a number above 0, got {most!r}")]
    assert problems == ([] if stored else wrong)
