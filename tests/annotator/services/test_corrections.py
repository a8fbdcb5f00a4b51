"""Corrections: superseding, idempotent, the count as it was, and never against what came later."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotator import selectors
from annotator.errors import AnswerChanged, InvalidAnswer, Missing, NotQualified, WrongState
from annotator.models import Annotation, Assignment, Campaign, Query, Slot
from annotator.services.annotations import undo_last
from annotator.services.campaigns import set_state
from annotator.services.corrections import key_after, revise_annotation, standing
from annotator.services.exports import rows
from tests.annotator.acts import answer, expire, lease
from tests.campaigns import ask, item, make_campaign


def correct(
    said: Annotation, person: User, choice: str = "b1", *, key: Any = None, **more: Any
) -> Annotation:
    """Send the page of a correction."""
    assert said.assignment_id
    return revise_annotation(
        assignment_id=said.assignment_id,
        user=person,
        submission_key=key or key_after(said),
        data={"choice": "submit", "verdict": choice, **more},
    )


@pytest.fixture
def said(campaign: Campaign, ada: User) -> Annotation:
    """Ada's first answer."""
    return answer(lease(campaign, ada), ada, "a3", rationale="first thought", active_ms="2000")


def test_a_correction_supersedes_and_counts_in_its_place(said: Annotation, ada: User) -> None:
    made = correct(said, ada, rationale="second thought", active_ms="1500")
    first, second = said.display_order
    assert (made.supersedes_id, made.tiers, made.strength) == (said.pk, [[second], [first]], 1)
    assert (made.rationale, made.active_ms, made.late) == ("second thought", 3500, False)
    assert Slot.objects.get(annotation=made).state == "answered"
    assert list(Annotation.objects.standing()) == [made]
    assert Annotation.objects.count() == 2


def test_the_exported_row_says_what_was_corrected(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    correct(said, ada, "b3", rationale="second thought")
    [(row, _)] = rows(campaign=campaign, format_name="native")
    [exported] = row["annotations"]
    assert (exported["strength"], exported["rationale"]) == (3, "second thought")
    texts = {response["text"]: n for n, response in enumerate(row["responses"])}
    second = said.query.responses.get(pk=said.display_order[1])
    assert exported["choice"] == texts[second.text]


def test_a_correction_is_a_fresh_judgement_for_the_loop(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    before = selectors.loop_status(campaign_id=campaign.pk).fresh
    correct(said, ada)
    assert selectors.loop_status(campaign_id=campaign.pk).fresh == before + 1


def test_the_same_page_twice_stores_one(said: Annotation, ada: User) -> None:
    made = correct(said, ada, "b1", active_ms="700")
    assert correct(said, ada, "b1", active_ms="900") == made
    again = correct(made, ada, "b2")
    assert correct(said, ada, "b1") == made  # an old page, after a later correction
    assert list(Annotation.objects.standing()) == [again]


def test_a_second_tab_that_says_something_else_is_told(said: Annotation, ada: User) -> None:
    made = correct(said, ada, "b1")
    with pytest.raises(AnswerChanged, match="another tab"):
        correct(said, ada, "b3")
    with pytest.raises(AnswerChanged):
        correct(said, ada, "b1", rationale="because")
    assert list(Annotation.objects.standing()) == [made]


def test_a_page_of_something_else_is_told_and_stores_nothing(said: Annotation, ada: User) -> None:
    correct(said, ada)
    with pytest.raises(AnswerChanged):
        correct(said, ada, key=uuid.uuid4())
    assert Annotation.objects.count() == 2


def test_what_changes_nothing_is_not_stored(said: Annotation, ada: User) -> None:
    same = correct(said, ada, "a3", rationale="first thought", active_ms="900")
    assert same == said
    assert Annotation.objects.count() == 1


def test_the_page_is_filled_with_what_was_answered(said: Annotation, ada: User) -> None:
    now = standing(assignment_id=said.assignment_id, user=ada)
    assert (now.said, now.key) == (said, key_after(said))
    assert now.values == {"verdict": "a3", "rationale": "first thought"}
    made = correct(said, ada, "b2", rationale="")
    now = standing(assignment_id=said.assignment_id, user=ada)
    assert (now.said, now.values["verdict"], now.values["rationale"]) == (made, "b2", "")


@pytest.mark.parametrize("choice", ["skip", "flag"])
def test_an_answer_cannot_be_skipped_or_flagged_afterwards(
    said: Annotation, ada: User, choice: str
) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        revise_annotation(
            assignment_id=said.assignment_id,
            user=ada,
            submission_key=key_after(said),
            data={"choice": choice, "rationale": "personal data"},
        )
    assert "choice" in caught.value.fields
    assert list(Annotation.objects.standing()) == [said]


def test_a_wrong_answer_is_refused_and_the_old_one_stands(said: Annotation, ada: User) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        correct(said, ada, "a9")
    assert "verdict" in caught.value.fields
    assert list(Annotation.objects.standing()) == [said]


def test_nobody_corrects_for_somebody_else(said: Annotation, ben: User, sam: User) -> None:
    for person in (ben, sam):
        with pytest.raises(Missing):
            correct(said, person)
        with pytest.raises(Missing):
            standing(assignment_id=said.assignment_id, user=person)


def test_who_left_the_campaign_corrects_no_more(said: Annotation, ada: User) -> None:
    ada.memberships.all().delete()
    with pytest.raises(Missing):
        correct(said, ada)


@pytest.mark.parametrize("choice", ["skip", "flag"])
def test_a_skip_or_a_flag_is_no_answer_to_correct(
    campaign: Campaign, ada: User, choice: str
) -> None:
    passed = answer(lease(campaign, ada), ada, choice, rationale="odd")
    with pytest.raises(WrongState):
        correct(passed, ada)


def test_an_answer_that_was_taken_back_is_answered_and_not_corrected(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    reopened = undo_last(slug=campaign.slug, user=ada)
    with pytest.raises(WrongState):
        correct(said, ada)
    second = answer(reopened, ada, "b2")
    assert correct(second, ada, "b3").supersedes == second


def test_a_correction_can_be_taken_back_like_any_answer(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    made = correct(said, ada)
    reopened = undo_last(slug=campaign.slug, user=ada)
    assert reopened.pk == said.assignment_id
    assert not Annotation.objects.standing().exists()
    assert Annotation.objects.get(outcome="undone").supersedes == made


def test_corrections_go_on_in_a_pause_and_end_with_the_campaign(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    set_state(campaign=campaign, state="paused")
    made = correct(said, ada)
    set_state(campaign=campaign, state="running")
    set_state(campaign=campaign, state="finished")
    with pytest.raises(WrongState, match="finished"):
        correct(made, ada, "a1")


def test_what_was_reported_meanwhile_is_not_shown_again(said: Annotation, ada: User) -> None:
    Query.objects.filter(pk=said.query_id).update(withdrawn=True)
    with pytest.raises(WrongState, match="reported"):
        correct(said, ada)


@pytest.mark.parametrize("arm", ["practice", "qualification"])
def test_practice_and_tests_are_not_corrected(said: Annotation, ada: User, arm: str) -> None:
    Query.objects.filter(pk=said.query_id).update(arm=arm)
    with pytest.raises(Missing):
        correct(said, ada)


def test_who_did_not_pass_the_test_corrects_nothing(
    campaign: Campaign, said: Annotation, ada: User
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(qualification_pass=0.8)
    ada.annotators.update(disqualified_at=timezone.now())
    with pytest.raises(NotQualified):
        correct(said, ada)


def test_a_late_answer_stays_late_and_uncounted(campaign: Campaign, ada: User, ben: User) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    counted = answer(lease(campaign, ben), ben)
    late = answer(first, ada)
    made = correct(late, ada)
    assert made.late
    assert Slot.objects.get(pk=first.slot_id).annotation == counted
    assert list(Annotation.objects.standing()) == [counted]


def test_a_late_answer_that_counts_goes_on_counting(campaign: Campaign, ada: User) -> None:
    late = answer(expire(lease(campaign, ada)), ada)
    made = correct(late, ada)
    assert made.late
    assert list(Annotation.objects.standing()) == [made]


def test_the_guidelines_of_a_correction_are_those_read_by_now(said: Annotation, ada: User) -> None:
    ada.annotators.update(guidelines_read=7)
    assert correct(said, ada).guidelines_version == 7


def test_a_corrected_edit_is_another_response(ada: User) -> None:
    rows_in = [item(0, task="edit", responses=[{"text": "One answer.", "model": "m"}])]
    campaign = make_campaign(people=(ada,), rows=rows_in, form="edit")
    ask(campaign)
    said = answer(lease(campaign, ada), ada, "submit", edit_text="One better answer.")
    made = correct(said, ada, "", edit_text="The best answer.")
    assert made.tiers[1] == said.tiers[1]
    assert made.tiers[0] != said.tiers[0]
    [(row, _)] = rows(campaign=campaign, format_name="native")
    assert row["annotations"][0]["edit"]["text"] == "The best answer."


def test_the_assignment_keeps_its_place_in_the_history(said: Annotation, ada: User) -> None:
    before = Assignment.objects.get(pk=said.assignment_id)
    correct(said, ada, rationale="x")
    after = Assignment.objects.get(pk=said.assignment_id)
    assert (after.closed_at, after.state) == (before.closed_at, "answered")
    assert after.draft == {"verdict": "b1", "rationale": "x"}
