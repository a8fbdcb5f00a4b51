"""The same page sent twice is a repeat, whatever the form; with one thing changed it is not."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.errors import AnsweredElsewhere
from annotator.models import Annotation, Response
from annotator.services.annotations import record_annotation
from tests.annotator.acts import lease
from tests.campaigns import ask, make_campaign
from tests.e2e.shown import FORMS_SHOWN, several

GOOD = {"good-A": "yes", "good-B": "no", "good-C": "yes"}
MARKS = {
    f"rate-{letter}-{aspect}": str(mark)
    for letter, mark in (("A", 3), ("B", 1))
    for aspect in (0, 1)
}
REASON = {"rationale": "why", "tags": ["clear"]}
EVERYTHING = {"aspect-0": "a", "aspect-1": "tie", "confidence": "2", "highlights": "[]"} | REASON
PAGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "compare": ({"choice": "a2"}, {"choice": "b2"}),
    "compare with everything": ({"verdict": "a1"} | EVERYTHING, {"aspect-1": "b"}),
    "rank": ({"rank-A": "2", "rank-B": "1", "rank-D": "2"}, {"rank-C": "3"}),
    "best_worst": ({"best": "C", "worst": "A"}, {"worst": "B"}),
    "rate": (MARKS | {"thumb-A": "up", "thumb-B": "down"}, {"rate-A-1": "2"}),
    "accept": (GOOD, {"good-B": "yes"}),
    "edit": ({"edit_text": "Not that."}, {"edit_text": "Not this."}),
}


@pytest.mark.parametrize("name", PAGES)
def test_every_form_tells_a_repeat_from_another_answer(ada: User, name: str) -> None:
    page, change = PAGES[name]
    asked = FORMS_SHOWN[name]
    made = make_campaign(
        people=(ada,), rows=[several(0, asked.size)], form=asked.form, **asked.fields
    )
    ask(made)
    assignment = lease(made, ada)

    def send(data: dict[str, Any]) -> Annotation:
        return record_annotation(
            assignment_id=assignment.pk,
            user=ada,
            submission_key=assignment.submission_key,
            data={"choice": "submit", **data},
        )

    first = send(page)
    responses = Response.objects.count()
    assert send(page) == first
    with pytest.raises(AnsweredElsewhere):
        send(page | change)
    assert (Annotation.objects.count(), Response.objects.count()) == (1, responses)
