"""Leases: who gets what, for how long, and what happens when they run out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from annotator.errors import Missing
from annotator.models import Annotator, Assignment, Campaign, Slot
from annotator.services.annotations import undo_last
from annotator.services.assignments import next_assignment, renew_lease, save_draft
from annotator.services.campaigns import publish_guidelines, set_state
from tests.annotator.acts import answer, expire, lease


def test_the_same_person_gets_the_same_question_until_it_is_answered(
    campaign: Campaign, ada: User
) -> None:
    assert lease(campaign, ada) == lease(campaign, ada)
    assert Assignment.objects.count() == 1


def test_two_people_never_share_a_slot(campaign: Campaign, ada: User, ben: User) -> None:
    assert lease(campaign, ada).slot_id != lease(campaign, ben).slot_id


def test_a_person_is_never_asked_the_same_query_twice_whatever_the_overlap(
    ada: User, ben: User
) -> None:
    from tests.campaigns import ask, make_campaign

    campaign = make_campaign(prompts=3, people=(ada, ben), overlap=3)
    ask(campaign)
    seen = []
    while (assignment := lease(campaign, ada)) is not None:
        seen.append(assignment.query_id)
        answer(assignment, ada)
    assert len(seen) == len(set(seen)) == 3


def test_a_lease_that_ran_out_lets_another_person_in(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    assert lease(campaign, ben).slot_id == first.slot_id


def test_ones_own_expired_lease_is_renewed_with_the_same_sides(
    campaign: Campaign, ada: User
) -> None:
    first = expire(lease(campaign, ada))
    again = lease(campaign, ada)
    assert again == first
    assert again.display_order == first.display_order
    assert again.lease_until > timezone.now()


def test_a_slot_lost_to_somebody_else_cannot_be_renewed(
    campaign: Campaign, ada: User, ben: User
) -> None:
    first = expire(lease(campaign, ada))
    Slot.objects.exclude(pk=first.slot_id).update(state="withdrawn")
    lease(campaign, ben)
    assert not renew_lease(assignment=first)
    assert lease(campaign, ada) is None


def test_sides_are_drawn_for_each_assignment(ada: User, ben: User) -> None:
    from tests.campaigns import ask, make_campaign

    campaign = make_campaign(prompts=40, people=(ada,))
    ask(campaign)
    swapped = 0
    while (assignment := lease(campaign, ada)) is not None:
        swapped += assignment.display_order != sorted(assignment.display_order)
        answer(assignment, ada)
    assert 4 < swapped < 36  # 40 fair coins stay inside with p > 1 - 1e-7


def test_nothing_is_served_while_paused_and_again_after(campaign: Campaign, ada: User) -> None:
    set_state(campaign=campaign, state="paused")
    assert lease(campaign, ada) is None
    set_state(campaign=campaign, state="running")
    assert lease(campaign, ada) is not None


def test_new_guidelines_are_read_before_the_next_question(campaign: Campaign, ada: User) -> None:
    Annotator.objects.update(guidelines_read=0)
    publish_guidelines(campaign=campaign, text="Be fair.")
    assert lease(campaign, ada) is None


def test_a_stranger_gets_nothing(campaign: Campaign, sam: User) -> None:
    with pytest.raises(Missing):
        next_assignment(slug=campaign.slug, user=sam)


def test_a_draft_is_kept_and_renews_the_lease(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    soon = timezone.now() + timedelta(seconds=5)
    Assignment.objects.update(lease_until=soon)
    assert save_draft(assignment_id=assignment.pk, user=ada, draft={"rationale": "so far"})
    assignment.refresh_from_db()
    assert assignment.draft == {"rationale": "so far"}
    assert assignment.lease_until > soon


def test_a_draft_for_an_answered_question_changes_nothing(campaign: Campaign, ada: User) -> None:
    assignment = lease(campaign, ada)
    answer(assignment, ada)
    assert not save_draft(assignment_id=assignment.pk, user=ada, draft={"rationale": "late"})
    assignment.refresh_from_db()
    assert assignment.draft == {}


def test_the_next_question_is_leased_ahead_and_is_then_the_one_that_comes(
    campaign: Campaign, ada: User
) -> None:
    first = lease(campaign, ada)
    ahead = next_assignment(slug=campaign.slug, user=ada, after=first.pk)[1]
    assert ahead is not None
    assert (ahead.ahead, ahead.pk != first.pk) == (True, True)
    assert next_assignment(slug=campaign.slug, user=ada, after=first.pk)[1] == ahead
    assert lease(campaign, ada) == first  # a reload shows what is on the page
    answer(first, ada)
    shown = lease(campaign, ada)
    assert (shown, shown.ahead) == (ahead, False)
    assert shown.shown_at > ahead.shown_at


def test_a_question_that_was_taken_back_comes_before_one_leased_ahead(
    campaign: Campaign, ada: User
) -> None:
    first = lease(campaign, ada)
    next_assignment(slug=campaign.slug, user=ada, after=first.pk)
    answer(first, ada)
    second = lease(campaign, ada)
    third = next_assignment(slug=campaign.slug, user=ada, after=second.pk)[1]
    assert undo_last(slug=campaign.slug, user=ada) == first
    assert lease(campaign, ada) == first
    assert next_assignment(slug=campaign.slug, user=ada, after=first.pk)[1] == second
    answer(Assignment.objects.get(pk=first.pk), ada)
    assert lease(campaign, ada) == second
    answer(second, ada)
    assert lease(campaign, ada) == third


def test_one_person_holds_two_questions_at_most(campaign: Campaign, ada: User) -> None:
    first = lease(campaign, ada)
    for _ in range(3):
        next_assignment(slug=campaign.slug, user=ada, after=first.pk)
        lease(campaign, ada)
    assert Slot.objects.filter(state="leased").count() == 2
