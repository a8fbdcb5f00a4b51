"""The same request from several connections at once: done once, answered to all."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotator.models import Annotation, AnsweredRequest, Campaign, Slot
from tests.annotator.api.scripts import Script
from tests.annotator.test_races import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.concurrent]


def test_one_key_from_many_connections_makes_one_campaign(ruth: User) -> None:
    scripts = [Script(ruth) for _ in range(8)]
    body = {"slug": "mine", "name": "Mine"}
    made = together(lambda s: s.post("campaigns/", body, **{"Idempotency-Key": "k"}), scripts)
    assert {one.status_code for one in made} == {201}
    assert all(one.json() == made[0].json() for one in made)
    assert sum("Idempotency-Replayed" not in one for one in made) == 1
    assert (Campaign.objects.count(), AnsweredRequest.objects.count()) == (1, 1)


def test_an_answer_sent_many_times_at_once_counts_once(campaign: Campaign, ada: User) -> None:
    scripts = [Script(ada) for _ in range(8)]
    leased = scripts[0].post(f"campaigns/{campaign.slug}/next/").json()
    key = {"Idempotency-Key": leased["submission_key"]}

    def put(script: Script) -> Any:
        return script.put(f"assignments/{leased['id']}/annotation/", {"choice": "a1"}, **key)

    said = together(put, scripts)
    assert {one.status_code for one in said} == {200}
    assert len({one.content for one in said}) == 1
    assert Annotation.objects.count() == 1


def test_release_and_answer_at_once_leave_the_slot_in_one_state(
    campaign: Campaign, ada: User
) -> None:
    script = Script(ada)
    for _ in range(6):
        leased = script.post(f"campaigns/{campaign.slug}/next/").json()
        where = f"assignments/{leased['id']}"
        key = {"Idempotency-Key": leased["submission_key"]}
        acts = [
            lambda w=where, k=key: Script(ada).put(f"{w}/annotation/", {"choice": "a1"}, **k),
            lambda w=where: Script(ada).delete(f"{w}/lease/"),
        ]
        said, released = together(lambda act: act(), acts)
        assert (said.status_code, released.status_code) == (200, 204)
        slot = Slot.objects.get(assignments=leased["id"])
        assert (slot.state, slot.annotation_id) == ("answered", said.json()["id"])
