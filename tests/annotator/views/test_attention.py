"""What the researcher's page says about attention; the annotator's own pages say none of it."""

from __future__ import annotations

from zlib import crc32

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotator.checks import attention
from annotator.models import Annotation, Campaign
from annotator.services import mixing
from annotator.services.annotations import undo_last
from annotator.services.campaigns import add_member
from annotator.services.corrections import key_after, revise_annotation
from tests.annotator.acts import answer, lease
from tests.campaigns import ask, item, known, make_campaign


@pytest.fixture
def worked(ada: User, ruth: User, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Ada has answered 24 questions, some of them gold or repeats."""
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: crc32(of.encode()) / 2**32)
    rows = [item(n) for n in range(30)] + [known(n) for n in range(12)]
    made = make_campaign(people=(ada,), rows=rows, gold_share=0.3, repeat_share=0.2)
    add_member(campaign=made, user=ruth, role="owner")
    ask(made)
    for _ in range(24):
        answer(lease(made, ada), ada)
    return made


def test_gold_and_repeats_are_told_with_interval_and_advice(
    worked: Campaign, as_ruth: Client
) -> None:
    page = as_ruth.get(f"/c/{worked.slug}/progress/")
    (line,) = page.context["f"].attention
    html = page.content.decode()
    assert "Attention" in html
    assert f"{line.right} of {line.gold}" in html
    assert f"{line.same} of {line.repeats}" in html
    assert page.context["f"].known == {"gold": 12}
    labels = Annotation.objects.labels().count()
    assert page.context["f"].judgements == labels == 24 - line.gold - line.repeats


def correct(said: Annotation, verdict: str) -> Annotation:
    return revise_annotation(
        assignment_id=said.assignment_id,
        user=said.annotator.user,
        submission_key=key_after(said),
        data={"choice": "submit", "verdict": verdict},
    )


def steady(campaign: Campaign) -> tuple[int, int]:
    """Repeats answered alike, of how many."""
    (line,) = attention(campaign=campaign, keys=[])
    return line.same, line.repeats


def test_who_makes_both_answers_agree_afterwards_changes_no_figure(worked: Campaign) -> None:
    alike, repeats = steady(worked)
    assert (alike, repeats > 0) == (0, True)  # the same button on turned sides
    for said in Annotation.objects.filter(query__arm="repeat"):
        correct(said, "b2")
    assert steady(worked) == (0, repeats)
    for said in Annotation.objects.filter(query__repeats__isnull=False):
        correct(said, "b1")
    assert steady(worked) == (0, repeats)


def test_what_stood_when_the_repeat_was_shown_is_compared(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: crc32(of.encode()) / 2**32)
    made = make_campaign(people=(ada,), rows=[item(n) for n in range(30)], repeat_share=0.2)
    ask(made)
    for _ in range(24):
        assignment = lease(made, ada)
        if assignment.query.arm == "repeat":
            answer(assignment, ada, "b2")
            answer(undo_last(slug=made.slug, user=ada), ada, "a2")  # a slip, taken back at once
        else:
            correct(answer(assignment, ada, "a2"), "b2")  # long before the repeat
    alike, repeats = steady(made)
    assert alike == repeats > 0


def test_a_repeat_and_what_it_repeats_are_both_listed_and_can_be_changed(
    worked: Campaign, as_ada: Client
) -> None:
    page = as_ada.get(f"/c/{worked.slug}/mine/").context["page"]
    again = Annotation.objects.filter(query__arm="repeat")
    first = Annotation.objects.filter(query__repeats__isnull=False)
    listed = {row.assignment: row for row in page.rows}
    assert again.count() == first.count() > 0
    for said in (*again, *first):
        assert listed[said.assignment_id].changeable
        assert as_ada.get(f"/a/{said.assignment_id}/change/").status_code == 200


def test_nothing_of_it_is_on_the_annotators_pages(worked: Campaign, as_ada: Client) -> None:
    for where in ("", "mine/", "guidelines/"):
        html = as_ada.get(f"/c/{worked.slug}/{where}").content.decode().lower()
        for word in ("gold", "repeat", "attention", "expected"):
            assert word not in html, (where, word)
    assert as_ada.get(f"/c/{worked.slug}/progress/").status_code == 404


def test_a_campaign_without_any_says_nothing(campaign: Campaign, as_ruth: Client) -> None:
    html = as_ruth.get(f"/c/{campaign.slug}/progress/").content.decode()
    assert "attention-title" not in html


def test_gold_that_is_wanted_and_missing_is_said(ada: User, ruth: User, as_ruth: Client) -> None:
    made = make_campaign(people=(ada,), rows=[item(1), known(1, "practice")], gold_share=0.1)
    add_member(campaign=made, user=ruth, role="owner")
    html = as_ruth.get(f"/c/{made.slug}/progress/").content.decode()
    assert "wants gold mixed in and has none" in html
