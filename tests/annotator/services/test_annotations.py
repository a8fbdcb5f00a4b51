"""Answers: append-only, idempotent, exact overlap, undo."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from annotator.errors import (
    AnsweredElsewhere,
    AssignmentClosed,
    InvalidAnswer,
    Missing,
    NothingToUndo,
)
from annotator.models import Annotation, Campaign, Query, Slot
from annotator.services.annotations import undo_last
from annotator.services.campaigns import set_state
from annotator.services.corrections import key_after, revise_annotation
from annotator.services.rounds import release_flagged, withdraw_flagged
from tests.annotator.acts import answer, expire, lease
from tests.campaigns import ask, make_campaign


@pytest.mark.parametrize(
    ("choice", "outcome", "best_shown", "strength", "acceptable"),
    [
        ("a3", "preference", 0, 3, None),
        ("a1", "preference", 0, 1, None),
        ("b2", "preference", 1, 2, None),
        ("tie", "tie", None, None, None),
        ("neither", "neither", None, None, 0),
    ],
)
def test_every_button_gives_its_weak_order(
    campaign: Campaign,
    ada: User,
    choice: str,
    outcome: str,
    best_shown: int | None,
    strength: int | None,
    acceptable: int | None,
) -> None:
    assignment = lease(campaign, ada)
    said = answer(assignment, ada, choice, rationale="because", active_ms="1500")
    shown = assignment.display_order
    expected = [shown] if best_shown is None else [[shown[best_shown]], [shown[1 - best_shown]]]
    said.refresh_from_db()
    assert (said.outcome, said.strength, said.acceptable) == (outcome, strength, acceptable)
    assert said.tiers == expected
    assert (said.rationale, said.active_ms, said.display_order) == ("because", 1500, shown)
    assert Slot.objects.get(pk=assignment.slot_id).annotation == said


def test_the_same_key_twice_stores_one_annotation(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    first = answer(assignment, ada, "a2", rationale="why", active_ms="900")
    assert answer(assignment, ada, "a2", rationale="why", active_ms="1200") == first
    assert Annotation.objects.count() == 1


@pytest.mark.parametrize(
    ("choice", "more"),
    [
        ("b3", {"rationale": "why"}),
        ("a2", {"rationale": "another reason"}),
        ("skip", {"rationale": "why"}),
        ("flag", {}),  # would be refused for its own sake: a flag needs a reason
    ],
)
def test_the_same_key_with_something_else_is_refused(
    campaign: Campaign, ada: User, choice: str, more: dict[str, str]
) -> None:
    assignment = lease(campaign, ada)
    first = answer(assignment, ada, "a2", rationale="why")
    with pytest.raises(AnsweredElsewhere, match="another tab"):
        answer(assignment, ada, choice, **more)
    assert Annotation.objects.get() == first
    assignment.refresh_from_db()
    assert assignment.draft["rationale"] == "why"


def test_an_answer_that_comes_again_after_its_correction_is_a_repeat(
    campaign: Campaign, ada: User
) -> None:
    first = answer(assignment := lease(campaign, ada), ada, "a2")
    revise_annotation(
        assignment_id=assignment.pk,
        user=ada,
        submission_key=key_after(first),
        data={"choice": "submit", "verdict": "b1"},
    )
    assert answer(assignment, ada, "a2") == first
    assert Annotation.objects.count() == 2


def test_another_key_after_the_answer_is_refused(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada)
    with pytest.raises(AssignmentClosed):
        answer(assignment, ada, key=uuid.uuid4())
    assert Annotation.objects.count() == 1


def test_nobody_answers_for_somebody_else(campaign: Campaign, ada: User, ben: User) -> None:
    assignment = lease(campaign, ada)
    with pytest.raises(Missing):
        answer(assignment, ben)
    assert not Annotation.objects.exists()


def test_a_wrong_answer_leaves_the_question_open(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    with pytest.raises(InvalidAnswer) as caught:
        answer(assignment, ada, "a9")
    assert "verdict" in caught.value.fields
    assert lease(campaign, ada) == assignment


def test_a_flag_needs_a_reason_and_holds_the_question(
    campaign: Campaign, ada: User, ben: User
) -> None:
    assignment = lease(campaign, ada)
    with pytest.raises(InvalidAnswer) as caught:
        answer(assignment, ada, "flag")
    assert "rationale" in caught.value.fields
    answer(assignment, ada, "flag", rationale="personal data")
    assert Query.objects.get(pk=assignment.query_id).flagged_at
    assert assignment.query_id not in all_served(campaign, ben)


def all_served(campaign: Campaign, person: User) -> list[int]:
    """Everything this person is given until nothing is left."""
    seen = []
    while (assignment := lease(campaign, person)) is not None:
        seen.append(assignment.query_id)
        answer(assignment, person)
    return seen


@pytest.fixture
def shared(ada: User, ben: User, sam: User) -> Campaign:
    """One question for two of three people."""
    made = make_campaign(prompts=1, people=(ada, ben, sam), overlap=2)
    ask(made)
    return made


def test_a_flagged_question_stays_held_when_another_person_skips_it(
    shared: Campaign, ada: User, ben: User, sam: User
) -> None:
    first, second = lease(shared, ada), lease(shared, ben)
    answer(first, ada, "flag", rationale="personal data")
    answer(second, ben, "skip")
    assert lease(shared, sam) is None


def test_a_withdrawn_question_is_not_offered_again_by_whoever_held_it(
    shared: Campaign, ada: User, ben: User, sam: User
) -> None:
    first, second = lease(shared, ada), lease(shared, ben)
    answer(first, ada, "flag", rationale="personal data")
    withdraw_flagged(query=first.query)
    answer(second, ben, "skip")
    assert lease(shared, sam) is None


@pytest.mark.parametrize("decide", [None, withdraw_flagged])
def test_a_flagged_question_is_not_shown_again_to_who_had_it_open(
    shared: Campaign, ada: User, ben: User, decide: Any
) -> None:
    first, second = lease(shared, ada), lease(shared, ben)
    answer(first, ada, "flag", rationale="personal data")
    if decide:
        decide(query=first.query)
    assert lease(shared, ben) is None
    expire(second)
    assert lease(shared, ben) is None
    answer(second, ben)  # what was typed on the page that is still open is kept
    assert Annotation.objects.filter(assignment=second).exists()


def test_a_released_question_comes_back_to_who_had_it_open(
    shared: Campaign, ada: User, ben: User
) -> None:
    first, second = lease(shared, ada), lease(shared, ben)
    answer(first, ada, "flag", rationale="odd")
    release_flagged(query=first.query)
    assert lease(shared, ben) == second


def test_taking_back_one_flag_of_two_keeps_the_hold(
    shared: Campaign, ada: User, ben: User, sam: User
) -> None:
    first, second = lease(shared, ada), lease(shared, ben)
    answer(first, ada, "flag", rationale="odd")
    answer(second, ben, "flag", rationale="odd, too")
    undo_last(slug=shared.slug, user=ada)
    assert Query.objects.get().flagged_at
    undo_last(slug=shared.slug, user=ben)
    assert Query.objects.get().flagged_at is None


def test_a_flag_that_comes_late_still_reaches_the_researcher(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    lease(campaign, ben)
    answer(first, ada, "flag", rationale="personal data")
    assert Query.objects.get(pk=first.query_id).flagged_at


def test_a_late_answer_counts_when_the_slot_came_back(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    answer(lease(campaign, ben), ben, "skip")
    said = answer(first, ada)
    assert Slot.objects.get(pk=first.slot_id).annotation == said


def test_a_researcher_releases_or_withdraws_a_flagged_question(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = lease(campaign, ada)
    answer(first, ada, "flag", rationale="odd")
    release_flagged(query=first.query)
    assert lease(campaign, ben).query_id == first.query_id
    second = lease(campaign, ada)
    answer(second, ada, "flag", rationale="odd")
    withdraw_flagged(query=second.query)
    assert set(second.query.slots.values_list("state", flat=True)) == {"withdrawn"}
    assert Query.objects.get(pk=second.query_id).flagged_at is None


def test_a_skipped_question_goes_to_others_and_not_back(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = lease(campaign, ada)
    answer(first, ada, "skip")
    assert lease(campaign, ada).query_id != first.query_id
    assert lease(campaign, ben).query_id == first.query_id


def test_a_late_answer_counts_while_the_slot_is_free(campaign: Campaign, ada: User) -> None:
    assignment = expire(lease(campaign, ada))
    said = answer(assignment, ada)
    assert said.late
    assert Slot.objects.get(pk=assignment.slot_id).annotation == said


def test_a_late_answer_is_kept_but_never_counted_beyond_the_overlap(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    second = lease(campaign, ben)
    counted = answer(second, ben)
    kept = answer(first, ada)
    assert kept.late
    assert Slot.objects.get(pk=first.slot_id).annotation == counted
    assert list(Annotation.objects.filter(query=first.query).standing()) == [counted]


def test_undo_reopens_the_question_and_keeps_the_history(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    first = answer(assignment, ada, "a3", rationale="oops")
    again = undo_last(slug=campaign.slug, user=ada)
    assert again == assignment
    assert again.submission_key != assignment.submission_key
    assert again.display_order == assignment.display_order
    assert again.draft == {"rationale": "oops"}
    assert not Annotation.objects.standing().exists()
    second = answer(again, ada, "b1")
    chain = Annotation.objects.order_by("pk")
    assert [row.outcome for row in chain] == ["preference", "undone", "preference"]
    assert [row.supersedes_id for row in chain] == [None, first.pk, chain[1].pk]
    assert list(Annotation.objects.standing()) == [second]


def test_after_an_undo_the_interrupted_question_comes_back(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    interrupted = lease(campaign, ada)
    reopened = undo_last(slug=campaign.slug, user=ada)
    assert lease(campaign, ada) == reopened
    answer(reopened, ada)
    assert lease(campaign, ada) == interrupted


def test_an_old_page_sent_again_after_an_undo_changes_nothing(
    campaign: Campaign, ada: User
) -> None:
    assignment = lease(campaign, ada)
    first = answer(assignment, ada, "a3")
    undo_last(slug=campaign.slug, user=ada)
    assert answer(assignment, ada, "a3", key=assignment.submission_key) == first
    assert not Annotation.objects.standing().exists()


def test_undo_without_an_answer_says_so(campaign: Campaign, ada: User) -> None:
    with pytest.raises(NothingToUndo):
        undo_last(slug=campaign.slug, user=ada)
    answer(lease(campaign, ada), ada)
    undo_last(slug=campaign.slug, user=ada)
    with pytest.raises(NothingToUndo):
        undo_last(slug=campaign.slug, user=ada)


def test_undo_waits_while_the_campaign_is_paused(campaign: Campaign, ada: User) -> None:
    answer(lease(campaign, ada), ada)
    set_state(campaign=campaign, state="paused")
    with pytest.raises(NothingToUndo, match="paused"):
        undo_last(slug=campaign.slug, user=ada)
    assert Annotation.objects.standing().count() == 1


def test_undoing_a_skip_fails_when_somebody_else_has_the_question(
    campaign: Campaign, ada: User, ben: User
) -> None:
    answer(lease(campaign, ada), ada, "skip")
    lease(campaign, ben)
    with pytest.raises(NothingToUndo):
        undo_last(slug=campaign.slug, user=ada)


def test_undoing_a_flag_lifts_the_hold(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada, "flag", rationale="a slip")
    undo_last(slug=campaign.slug, user=ada)
    assert Query.objects.get(pk=assignment.query_id).flagged_at is None
    assert Slot.objects.get(pk=assignment.slot_id).state == "leased"


@pytest.mark.parametrize("statement", ["UPDATE {} SET outcome = 'tie'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_an_annotation(
    campaign: Campaign, ada: User, statement: str
) -> None:
    from django.db import connection

    answer(lease(campaign, ada), ada)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(statement.format("annotator_annotation"))


def test_one_annotation_cannot_count_twice(ada: User, ben: User) -> None:
    campaign = make_campaign(prompts=1, people=(ada, ben), overlap=2)
    ask(campaign)
    said = answer(lease(campaign, ada), ada)
    other = Slot.objects.filter(annotation=None)
    with pytest.raises(DatabaseError), transaction.atomic():
        other.update(annotation=said, state="answered")
