"""Corrections on real concurrent connections: one chain, one count, nothing doubled."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from annotator.errors import AnswerChanged, NothingToUndo, WrongState
from annotator.models import Annotation, Slot
from annotator.services.annotations import undo_last
from tests.annotator.acts import answer, lease
from tests.annotator.conftest import person
from tests.annotator.services.test_corrections import correct
from tests.annotator.test_races import together
from tests.campaigns import ask, make_campaign

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


def test_the_same_correction_sent_by_many_requests_is_stored_once() -> None:
    ada = person("ada")
    campaign = make_campaign(prompts=1, people=(ada,))
    ask(campaign)
    said = answer(lease(campaign, ada), ada)
    stored = together(lambda _: correct(said, ada).pk, list(range(8)))
    assert len(set(stored)) == 1
    assert Annotation.objects.count() == 2
    assert Slot.objects.get().annotation_id == stored[0]


def test_of_two_tabs_one_corrects_and_the_other_is_told() -> None:
    ada = person("ada")
    campaign = make_campaign(prompts=6, people=(ada,))
    ask(campaign)
    for _ in range(6):
        said = answer(lease(campaign, ada), ada, "a1")

        def tab(choice: str, said: Annotation = said) -> Annotation | None:
            with suppress(AnswerChanged):
                return correct(said, ada, choice)
            return None

        stored = [made for made in together(tab, ["b1", "b3"]) if made is not None]
        assert len(stored) == 1
        assert Annotation.objects.filter(supersedes=said).get() == stored[0]
    assert Annotation.objects.standing().count() == 6


def test_correcting_and_undoing_at_once_never_deadlock_or_split_the_chain() -> None:
    ada = person("ada")
    campaign = make_campaign(prompts=12, people=(ada,))
    ask(campaign)
    for _ in range(10):
        said = answer(lease(campaign, ada), ada)

        def act(number: int, said: Annotation = said) -> Any:
            with suppress(NothingToUndo, WrongState, AnswerChanged):
                if number % 2:
                    return undo_last(slug=campaign.slug, user=ada)
                return correct(said, ada)
            return None

        together(act, list(range(4)))
        chain = Annotation.objects.filter(assignment=said.assignment_id)
        assert chain.filter(superseded_by=None).count() == 1
    standing = Annotation.objects.standing()
    assert standing.count() == Slot.objects.filter(state="answered").count()
