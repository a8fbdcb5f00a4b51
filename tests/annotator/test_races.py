"""Real concurrent connections: never more counted than wanted, nothing lost, nothing doubled."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Count
from django.test import Client

from annotator.errors import NothingToUndo
from annotator.models import Annotation, Assignment, Campaign, Job, Query, Round, Slot
from annotator.services import mixing, rounds
from annotator.services.annotations import undo_last
from tests.annotator.acts import answer, expire, lease
from tests.annotator.conftest import person, signed_in
from tests.campaigns import ask, item, known, make_campaign

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]

CLIENTS = 32


def together(act: Callable[[Any], Any], subjects: list[Any]) -> list[Any]:
    """Do the same thing at the same moment, each in a thread with a connection of its own."""
    gate = threading.Barrier(len(subjects))

    def one(subject: Any) -> Any:
        try:
            gate.wait()
            return act(subject)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(subjects)) as pool:
        return list(pool.map(one, subjects))


def work_until_empty(campaign: Campaign) -> Callable[[Client], int]:
    """Answer through the real pages until nothing is served; every answer is sent twice."""

    def work(client: Client) -> int:
        answered = 0
        while True:
            page = client.get(f"/c/{campaign.slug}/", HTTP_HX_REQUEST="true")
            assert page.status_code == 200, page.content
            html = page.content.decode()
            where = re.search(r"/a/[0-9a-f-]{36}/answer/", html)
            if where is None:
                return answered
            key = re.search(r'name="submission_key" value="([0-9a-f-]{36})"', html)
            assert key is not None
            fields = {"choice": "a2", "submission_key": key[1]}
            for _ in range(2):
                sent = client.post(where[0], fields)
                assert sent.status_code == 302, sent.content
            answered += 1

    return work


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_32_clients_fill_every_slot_exactly_once(overlap: int) -> None:
    people = [person(f"p{number}") for number in range(CLIENTS)]
    campaign = make_campaign(prompts=40, people=tuple(people), overlap=overlap)
    ask(campaign)
    answered = together(work_until_empty(campaign), [signed_in(user) for user in people])
    slots = Slot.objects.filter(campaign=campaign)
    assert sum(answered) == slots.count() == 40 * overlap
    assert set(slots.values_list("state", flat=True)) == {"answered"}
    assert Annotation.objects.count() == slots.values("annotation").distinct().count()
    per_query = Annotation.objects.order_by().values_list("query").annotate(n=Count("pk"))
    assert {n for _, n in per_query} == {overlap}
    twice = Counter(Annotation.objects.values_list("query", "annotator"))
    assert max(twice.values()) == 1


def test_one_person_in_many_tabs_holds_one_question() -> None:
    ada = person("ada")
    campaign = make_campaign(prompts=20, people=(ada,), overlap=2)
    ask(campaign)
    leases = together(lambda _: lease(campaign, ada), list(range(16)))
    assert len({assignment.pk for assignment in leases}) == 1
    assert Assignment.objects.count() == 1


def test_the_same_answer_sent_by_many_requests_is_stored_once() -> None:
    ada = person("ada")
    campaign = make_campaign(prompts=2, people=(ada,))
    ask(campaign)
    assignment = lease(campaign, ada)
    stored = together(lambda _: answer(assignment, ada).pk, list(range(16)))
    assert len(set(stored)) == Annotation.objects.count() == 1


def test_a_late_answer_and_the_next_person_never_both_count() -> None:
    for number in range(8):
        ada, ben = person(f"ada{number}"), person(f"ben{number}")
        campaign = make_campaign(f"race-{number}", prompts=1, people=(ada, ben))
        ask(campaign)
        late = expire(lease(campaign, ada))

        together(_late_or_next, [(ada, late), (ben, campaign)])
        said = Annotation.objects.filter(campaign=campaign)
        assert said.standing().count() == 1
        assert said.filter(annotator__user=ada).count() == 1  # kept, whoever counted


def _late_or_next(subject: tuple[User, Assignment | Campaign]) -> None:
    who, what = subject
    if isinstance(what, Assignment):
        answer(what, who)
    elif (mine := lease(what, who)) is not None:
        answer(mine, who)


def test_many_askers_make_one_round() -> None:
    campaign = make_campaign(prompts=4)
    together(
        lambda n: rounds.request_round(campaign=campaign, trigger=f"asker {n}"), list(range(16))
    )
    assert Round.objects.count() == 1
    assert Job.objects.filter(kind="round").count() == 1


def test_two_workers_claim_a_job_once() -> None:
    from worker import jobs

    campaign = make_campaign(prompts=1)
    job = Job.objects.get(campaign=campaign)
    claims = together(lambda _: jobs.claim(job.pk), list(range(16)))
    assert len([claimed for claimed in claims if claimed is not None]) == 1


def test_submitting_reloading_and_undoing_at_once_never_deadlock() -> None:
    """Expired leases make a reload renew what a submit is about to close."""
    ada = person("ada")
    campaign = make_campaign(prompts=40, people=(ada,))
    ask(campaign)
    for _ in range(12):
        assignment = expire(lease(campaign, ada))
        key = assignment.submission_key

        def act(number: int, assignment: Assignment = assignment, key: Any = key) -> None:
            if number % 3 == 0:
                answer(assignment, ada, key=key)
            elif number % 3 == 1:
                lease(campaign, ada)
            else:
                with suppress(NothingToUndo):
                    undo_last(slug=campaign.slug, user=ada)

        together(act, list(range(6)))
    standing = Annotation.objects.standing()
    assert standing.count() == Slot.objects.filter(state="answered").count()
    assert standing.values("query").distinct().count() == standing.count()


def test_flags_taken_back_at_once_never_deadlock() -> None:
    people = [person(f"p{number}") for number in range(8)]
    campaign = make_campaign(prompts=2, people=tuple(people), overlap=8)
    ask(campaign, most=1)
    for _ in range(3):
        held = [lease(campaign, user) for user in people]
        for user, assignment in zip(people, held, strict=True):
            answer(assignment, user, "flag", rationale="odd")
        together(lambda user: undo_last(slug=campaign.slug, user=user), people)
        assert Query.objects.get().flagged_at is None


def test_many_tabs_of_one_person_get_one_gold_question(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = person("ada")
    rows = [item(n) for n in range(4)] + [known(n) for n in range(6)]
    campaign = make_campaign(people=(ada,), rows=rows, gold_share=0.3)
    ask(campaign)
    monkeypatch.setattr(mixing, "lot", lambda annotator, of: 0.0)
    answer(lease(campaign, ada), ada)
    given = together(lambda _: lease(campaign, ada), list(range(12)))
    assert len({assignment.pk for assignment in given}) == 1
    assert Slot.objects.get(reserved_for__user=ada).query.arm == "gold"
    assert Assignment.objects.filter(state="open").count() == 1
